mod registry;
mod signing;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use self::registry::{Copy, Pull, Push, Registry, Remote, Search, Tags, Trust};
pub(super) use self::signing::{Sign, Verify};

/// Modules as OCI images, and manifests that make a proxy load them.
#[derive(Debug, Parser)]
#[command(name = "attache-image", bin_name = "attache", version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

const EXIT_CODES: &str = "\
Exit status: 0 done, 1 failed (standard error says why), 2 arguments not understood, 141 nobody read the output to its end.";

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    Package(Package),
    Images(Images),
    Sbom(Sbom),
    Push(Push),
    Pull(Pull),
    Copy(Copy),
    Tags(Tags),
    Search(Search),
    Registry(Registry),
    Sign(Sign),
    Verify(Verify),
    Deploy(Deploy),
    Check(Check),
}

/// Make an OCI image of a filter, in a folder.
///
/// The image is one that Istio, Envoy Gateway, Higress and container tools all read. Its folder is an OCI image
/// layout, and `attache push oci:FOLDER:TAG REGISTRY/REPOSITORY` publishes it. The same source gives the same
/// image. README, configuration schema, suites and a list of the crates in the module go with it.
///
/// `docker run` does not run such an image: a proxy-wasm module is loaded by a proxy and is no program.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache package auth-scrub                     into target/attache/images, tagged with its version
  attache package ./my-filter -o images --tag next
  attache package auth-scrub --test --cost       after its suites pass, with what a request costs
  attache package filter.wasm --name filter --version 1.2.0
  attache push oci:target/attache/images:auth-scrub-0.1.0 registry.example.com/filters/auth-scrub")]
pub(super) struct Package {
    /// A package in this workspace, the folder of a package, or a .wasm file
    #[arg(value_name = "NAME|PATH|FILE")]
    pub(super) filter: String,

    /// The folder of images; made if there is none
    #[arg(
        short,
        long,
        value_name = "FOLDER",
        default_value = "target/attache/images"
    )]
    pub(super) output: PathBuf,

    /// What names the image in the folder; its name and version without it
    #[arg(long)]
    pub(super) tag: Option<String>,

    #[command(flatten)]
    pub(super) about: Described,

    /// Print one line of JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// What an image says beside what its module says.
#[derive(Args, Debug)]
pub(super) struct Described {
    /// The filter's name, where the module does not say
    #[arg(long)]
    pub(super) name: Option<String>,

    /// The filter's version, where the module does not say
    #[arg(long)]
    pub(super) version: Option<String>,

    /// Where the source is
    #[arg(long, value_name = "URL")]
    pub(super) source: Option<String>,

    /// The commit that it is built from
    #[arg(long, value_name = "COMMIT")]
    pub(super) revision: Option<String>,

    /// The licence, where the module does not say
    #[arg(long, value_name = "SPDX")]
    pub(super) license: Option<String>,

    /// The README, where it is not the package's
    #[arg(long, value_name = "FILE")]
    pub(super) readme: Option<PathBuf>,

    /// A suite that goes with the image, instead of those in the package's tests; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) suite: Vec<PathBuf>,

    /// Play the suites first, and go on only if the filter passes them; needs the program of `attache test`
    #[arg(long)]
    pub(super) test: bool,

    /// Count what a request costs, and say it in the image; needs the program of `attache test`
    #[arg(long)]
    pub(super) cost: bool,

    /// The machines whose container tools unpack the image
    #[arg(long, value_name = "NAME", default_value = "amd64")]
    pub(super) architecture: String,
}

/// Show the images in a folder: digests, what is attached, and who takes them.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache images                                 those in target/attache/images
  attache images ./images --json")]
pub(super) struct Images {
    /// The folder of images
    #[arg(value_name = "FOLDER", default_value = "target/attache/images")]
    pub(super) folder: PathBuf,

    /// Print one line of JSON an image, for programs
    #[arg(long)]
    pub(super) json: bool,
}

/// List the crates that a filter's module, or a program, is linked of.
///
/// The list is a software bill of materials: CycloneDX 1.6 in JSON, with the checksums of the lock file, on standard
/// output. That of a filter goes with its image, too. The same sources give the same list.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache sbom auth-scrub                        of a filter, which is built
  attache sbom ./my-filter -o bom.cdx.json
  attache sbom --program cli                     of a package that makes a program
  attache sbom --program cli --file target/release/attache")]
pub(super) struct Sbom {
    /// A package in this workspace or the folder of a package
    #[arg(
        value_name = "NAME|PATH",
        required_unless_present = "program",
        conflicts_with = "program"
    )]
    pub(super) filter: Option<String>,

    /// The folder of a package that makes a program for this machine
    #[arg(long, value_name = "FOLDER")]
    pub(super) program: Option<PathBuf>,

    /// The program that was built of it, whose SHA-256 the list then says
    #[arg(long, value_name = "FILE", requires = "program")]
    pub(super) file: Option<PathBuf>,

    /// Where to write it; standard output without it
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// Write the manifest by which a proxy loads an image.
///
/// The manifest goes to standard output, pinned by digest, with the configuration checked against the schema that
/// the module brings.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache deploy registry.example.com/filters/auth-scrub:0.1.0 --to istio
  attache deploy auth-scrub-0.1.0 --to envoy-gateway --gateway shop --image registry.example.com/filters/auth-scrub:0.1.0
  attache deploy auth-scrub-0.1.0 --to envoy --write /etc/envoy/modules --config scrub.json | tee filter.yaml

Kubernetes can put the image beside Envoy as a volume (`volumes: [{ name: filter, image: { reference: … } }]`); then
`--to envoy --file /filter/plugin.wasm` is the filter that loads it from there.")]
pub(super) struct Deploy {
    /// The image: its tag or digest in the folder, or its name in a registry
    #[arg(value_name = "TAG|REFERENCE")]
    pub(super) image_or_tag: String,

    /// What is to load it
    #[arg(long, value_enum, value_name = "TARGET")]
    pub(super) to: To,

    /// The folder of images
    #[arg(long, value_name = "FOLDER", default_value = "target/attache/images")]
    pub(super) images: PathBuf,

    /// Where the image is published: registry/repository:tag; what was named as the image without it
    #[arg(long, value_name = "REFERENCE")]
    pub(super) image: Option<String>,

    /// The plugin's name; the filter's without it
    #[arg(long)]
    pub(super) name: Option<String>,

    /// The Kubernetes namespace
    #[arg(long, default_value = "default")]
    pub(super) namespace: String,

    /// Which filter of the module is meant, where it holds several
    #[arg(long, value_name = "ID")]
    pub(super) root_id: Option<String>,

    /// The plugin's configuration: a file with JSON
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// What happens where the plugin cannot run
    #[arg(long, value_enum, default_value = "reload")]
    pub(super) failure: OnFailure,

    /// The version of Istio: 1.30 and later get a TrafficExtension, older ones a WasmPlugin
    #[arg(long, value_name = "VERSION", default_value = "1.30")]
    pub(super) istio_version: String,

    /// Where in Istio's chain of filters
    #[arg(long, value_enum)]
    pub(super) phase: Option<InPhase>,

    /// Which of several in a phase comes first, under Istio: higher ones do
    #[arg(long, allow_negative_numbers = true)]
    pub(super) priority: Option<i32>,

    /// A label of the workloads, under Istio; may be repeated
    #[arg(long, value_name = "LABEL=VALUE")]
    pub(super) selector: Vec<String>,

    /// The Gateway that the plugin belongs to
    #[arg(long, value_name = "NAME")]
    pub(super) gateway: Option<String>,

    /// The secret to pull the image with
    #[arg(long, value_name = "NAME")]
    pub(super) pull_secret: Option<String>,

    /// A variable of the VM: with a value, or of the host's environment; may be repeated
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub(super) environment: Vec<String>,

    /// For Envoy: the file that Envoy is to read
    #[arg(long, value_name = "FILE", conflicts_with = "write")]
    pub(super) file: Option<PathBuf>,

    /// For Envoy: a folder to write the module into, as DIGEST.wasm
    #[arg(long, value_name = "FOLDER")]
    pub(super) write: Option<PathBuf>,

    #[command(flatten)]
    pub(super) trust: Trust,

    #[command(flatten)]
    pub(super) remote: Remote,
}

/// Say what is wrong with manifests and bootstraps, before a proxy finds out.
///
/// Reads WasmPlugin, TrafficExtension, EnvoyExtensionPolicy, EnvoyFilter and configurations of Envoy, in YAML or
/// JSON, several in a file or not: whether they are pinned and by the digest of the right kind, what happens when a
/// plugin fails, the configuration against the filter's schema, and traps such as remote code over ECDS.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache check istio/*.yaml
  attache check envoy.yaml --images images       with what the images in a folder say of themselves
  attache check istio.yaml --image registry.example.com/filters/auth-scrub:0.1.0
  kubectl get wasmplugins -A -o yaml | attache check -
  kubectl get crds -o yaml > crds.yaml; attache check istio/*.yaml --crds crds.yaml

Exit status: 0 nothing is wrong (warnings aside), 1 something is, or a file cannot be read.")]
pub(super) struct Check {
    /// Files to check; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    /// A folder of images that the files may name
    #[arg(long, value_name = "FOLDER")]
    pub(super) images: Option<PathBuf>,

    /// An image in a registry that the files may name; may be repeated
    #[arg(long, value_name = "REFERENCE")]
    pub(super) image: Vec<String>,

    /// The CRDs of the cluster that the files are for: what it would refuse is an error; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) crds: Vec<PathBuf>,

    /// Print one line of JSON a finding, for programs
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) trust: Trust,

    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum To {
    Istio,
    EnvoyGateway,
    Envoy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum OnFailure {
    /// Traffic is refused, and a VM that trapped is started again
    Reload,
    /// Traffic is refused
    Close,
    /// Traffic passes without the plugin
    Open,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum InPhase {
    /// Before Istio authenticates
    Authn,
    /// Before it authorizes
    Authz,
    /// Before it counts
    Stats,
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
