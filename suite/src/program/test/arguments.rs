use std::num::NonZero;
use std::path::PathBuf;

use attache_envoy::Selection;
use clap::{Parser, ValueEnum};

/// Play suites: the requests of a YAML file through filters, and what must be seen of them.
///
/// On the harness a case takes milliseconds and needs no proxy. With `--on both` it is played on a
/// real Envoy as well, and whatever the two saw otherwise is a failure, expected or not. Packages are
/// built first.
#[derive(Debug, Parser)]
#[command(
    name = "attache-test",
    bin_name = "attache test",
    version,
    after_help = "Exit status: 0 all cases passed, 1 one failed or could not be played, 2 arguments not understood, 141 nobody read the output to its end.",
    after_long_help = "\
Examples:
  attache test                                every *.suite.yaml in this folder and below
  attache test auth-scrub                     those of a package of the workspace in this folder
  attache test s.suite.yaml --filter refused  cases with that word in their names
  attache test --envoy 1.38                   as Envoy 1.38 plays them
  attache test --on both --envoy 1.39         compared with a real Envoy
  attache test s.suite.yaml --plugin go.wasm  another module, of any language, held to the same suite
  attache test tests.textpb --plugin f.wasm   plugin tests as Google's Service Extensions have them
  attache test --watch                        again whenever a file changes in this folder or below
  attache test --coverage                     with the callbacks that no case reaches
  attache test --junit report.xml             what came of it for a CI system
  attache test s.suite.yaml --bless           write down what was seen, for review as a diff
  attache test --json | jq 'select(.verdict != \"passed\")'

Exit status: 0 all cases passed, 1 one failed or could not be played, 2 arguments not understood, 141 nobody read the output to its end."
)]
pub(in crate::program) struct Arguments {
    /// Suite files, plugin tests (.textpb), folders to look for *.suite.yaml in, or packages; this folder unless given
    #[arg(value_name = "FILE|FOLDER|NAME")]
    pub(in crate::program) suites: Vec<PathBuf>,

    /// Where the cases are played
    #[arg(long, value_enum, default_value_t = On::Harness)]
    pub(in crate::program) on: On,

    /// The Envoy to use: a binary, or a version such as 1.39; on the harness, the one to play
    #[arg(long, value_name = "PATH|VERSION")]
    pub(in crate::program) envoy: Option<Selection>,

    /// Play the suites on this module, or on that of a package, in the place of the plugin that they name
    #[arg(long, value_name = "FILE.wasm|NAME")]
    pub(in crate::program) plugin: Option<String>,

    /// The configuration of that plugin, where a suite gives it none: a file
    #[arg(long, value_name = "FILE")]
    pub(in crate::program) config: Option<PathBuf>,

    /// Only the cases whose names contain this
    #[arg(long, value_name = "NAME")]
    pub(in crate::program) filter: Option<String>,

    /// Play again whenever a file changes in this folder or below, until Ctrl-C
    // `attache` takes the word before this program sees it.
    #[arg(long)]
    pub(in crate::program) watch: bool,

    /// How many suites are played at a time; one a core unless set, and one with an Envoy
    #[arg(long, value_name = "N")]
    pub(in crate::program) jobs: Option<NonZero<usize>>,

    /// Also say which callbacks of the modules were called on the harness, and which never; and without which rules of
    /// a configuration (lists called `rules`) no case fails
    #[arg(long)]
    pub(in crate::program) coverage: bool,

    /// Write what was seen into the suites: where nothing is expected, and where it is otherwise
    #[arg(long)]
    pub(in crate::program) bless: bool,

    /// Print one line of JSON a case and host, for programs
    #[arg(long)]
    pub(in crate::program) json: bool,

    /// Also write what came of all cases into a file, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(in crate::program) junit: Option<PathBuf>,
}

/// Where the cases are played.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(in crate::program) enum On {
    /// On the harness, without a proxy
    Harness,
    /// On a real Envoy
    Envoy,
    /// On both, and compared
    Both,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
