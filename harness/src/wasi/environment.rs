//! `environ_get`, `environ_sizes_get`, `args_sizes_get`.

use crate::call::{Answer, Call};
use crate::mutation::Rule;
use crate::vm::VmState;

/// There are no arguments, not even a program's name.
pub(super) fn argument_sizes(call: &mut Call<'_>, count: u32, size: u32) -> Answer {
    let arguments = u32::from(call.mutated(Rule::ThereIsAnArgument));
    call.write_u32(count, arguments)?;
    call.write_u32(size, 0)
}

pub(super) fn sizes(call: &mut Call<'_>, count: u32, size: u32) -> Answer {
    let entries = entries(call.state());
    let bytes: usize = entries.iter().map(Vec::len).sum();
    call.write_u32(count, number(entries.len()))?;
    call.write_u32(size, number(bytes))
}

/// Writes each variable as `KEY=value` with a NUL, and the address of each.
pub(super) fn get(call: &mut Call<'_>, variables: u32, buffer: u32) -> Answer {
    let (mut variables, mut buffer) = (variables, buffer);
    for entry in entries(call.state()) {
        call.write_u32(variables, buffer)?;
        call.write(buffer, &entry)?;
        variables = variables.saturating_add(4);
        buffer = buffer.saturating_add(number(entry.len()));
    }
    Ok(())
}

fn entries(state: &VmState) -> Vec<Vec<u8>> {
    let variables = &state.world.plugins[state.first_plugin].environment;
    let hidden = !variables.is_empty() && state.world.mutated(Rule::EnvironmentIsEmpty);
    variables
        .iter()
        .filter(|_| !hidden)
        .map(|(key, value)| format!("{key}={value}\0").into_bytes())
        .collect()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
