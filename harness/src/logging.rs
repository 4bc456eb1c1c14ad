//! `proxy_log`, `proxy_get_log_level`.

use std::time::Duration;

use crate::abi::{LogLevel, Status};
use crate::call::{Answer, Call};
use crate::mutation::Rule;
use crate::timeline::LogLine;
use crate::vm::VmState;

pub(crate) fn log(call: &mut Call<'_>, level: u32, message: u32, size: u32) -> Answer {
    call.number(level);
    let level = LogLevel::from_code(level).ok_or(Status::BadArgument)?;
    let message = call.bytes(message, size)?;
    let level = match level {
        LogLevel::Critical if call.mutated(Rule::CriticalIsAnError) => LogLevel::Error,
        LogLevel::Warn if call.mutated(Rule::WarningsAreInfo) => LogLevel::Info,
        LogLevel::Error if call.mutated(Rule::ErrorsAreWarnings) => LogLevel::Warn,
        LogLevel::Debug if call.mutated(Rule::DebugIsInfo) => LogLevel::Info,
        level => level,
    };
    line(call, level, &message);
    Ok(())
}

/// Logs what a guest says, by `proxy_log` or on its standard output or error.
pub(crate) fn line(call: &mut Call<'_>, level: LogLevel, message: &[u8]) {
    let message = String::from_utf8_lossy(message).into_owned();
    let state = call.state();
    let prefix = prefix(state);
    let slot = state.slot;
    state.world.log(
        slot,
        LogLine {
            time: Duration::ZERO,
            level,
            message,
            prefix,
        },
    );
}

/// The number is spdlog's, which agrees with the ABI's for the levels that a guest can log at.
pub(crate) fn log_level(call: &mut Call<'_>, level: u32) -> Answer {
    let configured = call.world().log_level.unwrap_or(LogLevel::Info);
    let off = u32::from(call.mutated(Rule::LogLevelIsOneMore));
    call.write_u32(level, configured as u32 + off)
}

/// `wasm log name root_id vm_id: `, each where it is not empty. Roots omit the name.
fn prefix(state: &VmState) -> String {
    let context = state.context();
    let plugin = &state.world.plugins[context.map_or(state.first_plugin, |context| context.plugin)];
    let current = state.contexts.get(&state.current);
    let other = state.current != state.effective;
    let context = match current {
        Some(_) if other && state.world.mutated(Rule::LogPrefixIsTheCallbacks) => current,
        _ => context,
    };
    let parts: &[&str] = match context {
        // The VM context, in `_initialize` and kin, has no plugin.
        None => &[],
        Some(context)
            if context.stream.is_none() && !state.world.mutated(Rule::RootsLogTheirName) =>
        {
            &[&plugin.root_id, &plugin.vm_id]
        }
        Some(_) if state.world.mutated(Rule::StreamsLogNoName) => &[&plugin.root_id, &plugin.vm_id],
        Some(_) if state.world.mutated(Rule::LogPrefixHasNoVmId) => {
            &[&plugin.name, &plugin.root_id]
        }
        Some(_) if state.world.mutated(Rule::LogPrefixHasNoRootId) => {
            &[&plugin.name, &plugin.vm_id]
        }
        Some(_) => &[&plugin.name, &plugin.root_id, &plugin.vm_id],
    };
    let mut prefix = String::from("wasm log");
    for part in parts.iter().filter(|part| !part.is_empty()) {
        prefix.push(' ');
        prefix.push_str(part);
    }
    prefix.push_str(": ");
    prefix
}
