use std::path::PathBuf;

use attache_envoy::Selection;
use clap::{Parser, ValueEnum};

use super::subject::HERE;

/// Count what filters cost: fuel, host calls, crossings and bytes, by callback.
///
/// The harness plays a set of requests through the module as it is shipped, a hundred times to warm it up
/// and then for the count, and 1,000 times more to see whether memory grows. Fuel is about one a WebAssembly
/// instruction; what host calls take in Envoy is not in it. The same module costs the same, on any machine, so
/// that a file of one run says what a change has cost.
///
/// Of a suite, each case is counted as it is played: from a fresh start, with its clusters and times.
///
/// With `--on envoy` it is the processor time of a real Envoy that is measured, with the filter and without, in
/// turns, and told with the interval that holds it at 95 %. A listener without a filter is measured twice: a
/// difference that is not larger than the one between those two is not claimed. Such times hold for one machine.
///
/// `--native` and `--lua` put others into the same rounds, and each module is told against each of them, and
/// against the modules before it: an entry of `http_filters` as it stands in a bootstrap, and a script for
/// Envoy's Lua filter. Where they do not do the same to the request, what differs is named. `--on envoy` needs Linux.
#[derive(Debug, Parser)]
#[command(
    name = "attache-test",
    bin_name = "attache bench",
    version,
    after_help = "Exit status: 0 done, 1 something costs more than before or cannot be measured, 2 arguments not understood, 141 nobody read the output to its end.",
    after_long_help = "\
Examples:
  attache bench                                   the package in this folder
  attache bench auth-scrub                        a package of the workspace in this folder
  attache bench filter.wasm --config filter.json  any proxy-wasm module, with a configuration
  attache bench a.wasm b.wasm                     two modules, one after the other
  attache bench tests/auth-scrub.suite.yaml       the cases of a suite
  attache bench auth-scrub --save before.jsonl    keep the numbers …
  attache bench auth-scrub --compare before.jsonl … and fail where they get worse
  attache bench auth-scrub --on envoy             processor time in a real Envoy, to the same without it
  attache bench a.wasm b.wasm --on envoy          two modules in one Envoy, and b to a
  attache bench gate --on envoy --native rbac.yaml --lua gate.lua
                                                  to a filter of Envoy's own and to a script
  attache bench auth-scrub --json | jq 'select(.bench == \"get\") | .fuel'

Exit status: 0 done, 1 something costs more than before or cannot be measured, 2 arguments not understood, 141 nobody read the output to its end."
)]
pub(super) struct Arguments {
    /// Packages of this workspace, folders of packages, .wasm files, suites; the package here without
    #[arg(value_name = "NAME|PATH|FILE")]
    subjects: Vec<String>,

    /// The plugin's configuration: a file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Which filter of the module is meant, where it holds several
    #[arg(long, value_name = "ID")]
    pub(super) root_id: Option<String>,

    /// Where it is measured
    #[arg(long, value_enum, default_value_t = On::Harness)]
    pub(super) on: On,

    /// The Envoy to use: a binary, or a version such as 1.39
    #[arg(long, value_name = "PATH|VERSION")]
    pub(super) envoy: Option<Selection>,

    /// A filter of Envoy's own to compare with: a file with its entry, `name` and `typed_config`; may be repeated
    #[arg(long, value_name = "FILE.yaml")]
    pub(super) native: Vec<PathBuf>,

    /// A script for Envoy's Lua filter to compare with; may be repeated
    #[arg(long, value_name = "FILE.lua")]
    pub(super) lua: Vec<PathBuf>,

    /// How many rounds are taken on Envoy, 40 unless said; more tell finer differences
    #[arg(long, value_name = "N", value_parser = rounds)]
    rounds: Option<usize>,

    /// Keep the numbers in a file
    #[arg(long, value_name = "FILE")]
    pub(super) save: Option<PathBuf>,

    /// Compare with the numbers of a file, and fail where one is worse
    #[arg(long, value_name = "FILE")]
    pub(super) compare: Option<PathBuf>,

    /// By how many percent a number may grow before it counts as worse
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, value_parser = percent, requires = "compare")]
    pub(super) tolerance: f64,

    /// Print one line of JSON a measurement, for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// Where it is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum On {
    /// Counted on the harness, the same on any machine
    Harness,
    /// Processor time of a real Envoy
    Envoy,
}

impl Arguments {
    /// How many rounds are taken on Envoy.
    pub(super) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(40)
    }

    /// An option that is given, and says something of Envoy.
    pub(super) fn of_envoy(&self) -> Option<&'static str> {
        let given = [
            ("--native", !self.native.is_empty()),
            ("--lua", !self.lua.is_empty()),
            ("--rounds", self.rounds.is_some()),
            ("--envoy", self.envoy.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, is_given)| *is_given);
        given.next().map(|(option, _)| option)
    }

    /// What is measured.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &str> {
        let here = self.subjects.is_empty().then_some(HERE);
        self.subjects.iter().map(String::as_str).chain(here)
    }
}

/// Fewer say nothing with an interval.
fn rounds(word: &str) -> Result<usize, String> {
    match word.parse() {
        Ok(rounds) if (20..=10_000).contains(&rounds) => Ok(rounds),
        _ => {
            Err("expected 20 to 10000 rounds: fewer have no interval that says anything".to_owned())
        }
    }
}

fn percent(word: &str) -> Result<f64, String> {
    let number = word.strip_suffix('%').unwrap_or(word).trim();
    match number.parse() {
        Ok(percent) if (0.0..=1000.0).contains(&percent) => Ok(percent),
        _ => Err("expected a number of percent, such as 2 or 0.5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn percents_are_read_with_and_without_their_sign() {
        assert_eq!(percent("2"), Ok(2.0));
        assert_eq!(percent("0.5 %"), Ok(0.5));
        assert!(percent("-1").is_err() && percent("a").is_err());
    }
}
