//! What is tried of a filter before its image is published: its suites, and what a request costs. Both need the harness,
//! which the command `attache` finds a program for.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use super::stage;

/// Plays suites, of a package as they say, or of the module in a file.
pub(super) fn play(suites: &[PathBuf], module: Option<&Path>) -> anyhow::Result<()> {
    if suites.is_empty() {
        bail!("there is no suite to play: name one with --suite, or leave out --test");
    }
    stage("Playing", format_args!("{} suites", suites.len()));
    let mut command = attache();
    command.arg("test").args(suites);
    if let Some(module) = module {
        command.arg("--plugin").arg(module);
    }
    // Only the image is a result of ours.
    let status = command
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .with_context(|| cannot(&command))?;
    match status.success() {
        true => Ok(()),
        false => {
            bail!("the filter does not pass its own suites, and nothing was written or published")
        }
    }
}

/// What a request costs, as the harness counts it: the same module costs the same on any machine.
pub(super) fn cost(filter: &str) -> anyhow::Result<String> {
    stage("Counting", "what a request costs");
    let mut command = attache();
    command.args(["bench", filter, "--json"]);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| cannot(&command))?;
    if !output.status.success() {
        bail!("cannot count what a request costs; `attache bench {filter}` says why");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let costs = text
        .lines()
        .filter_map(|line| in_words(&serde_json::from_str(line).ok()?));
    match costs.collect::<Vec<_>>()[..] {
        [] => bail!("`attache bench {filter}` counts nothing"),
        ref costs => Ok(costs.join("; ")),
    }
}

/// One line of `attache bench --json`.
fn in_words(line: &Value) -> Option<String> {
    let bench = line.get("bench")?.as_str()?;
    let count = |name: &str| line.get(name)?.as_u64();
    let (fuel, calls) = (count("fuel")?, count("host_calls")?);
    Some(format!("{bench}: {fuel} fuel, {calls} host calls"))
}

fn attache() -> Command {
    let name = format!("attache{}", env::consts::EXE_SUFFIX);
    let beside = env::current_exe()
        .ok()
        .map(|path| path.with_file_name(&name));
    // The command says where it is when it hands over, as cargo does by `CARGO`.
    let program = env::var_os("ATTACHE")
        .or_else(|| Some(beside.filter(|path| path.is_file())?.into_os_string()));
    Command::new(program.unwrap_or_else(|| OsString::from(name)))
}

fn cannot(command: &Command) -> String {
    format!(
        "cannot run `{}`, which plays suites and counts costs; it belongs beside this program",
        command.get_program().display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_told_in_a_line() {
        let line =
            serde_json::json!({ "bench": "get", "fuel": 4_300, "host_calls": 5, "crossings": 9 });
        assert_eq!(in_words(&line).unwrap(), "get: 4300 fuel, 5 host calls");
        assert_eq!(in_words(&serde_json::json!({ "bench": "get" })), None);
    }
}
