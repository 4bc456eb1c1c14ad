use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::Described;

/// How registries are spoken to.
#[derive(Args, Debug)]
#[command(next_help_heading = "Registry options")]
pub(crate) struct Remote {
    /// Speak HTTP without TLS to this registry, as is done with those on this machine anyway; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) plain_http: Vec<String>,

    /// Certificates in PEM, beside those of the system; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Vec<PathBuf>,
}

/// Whose signatures count.
#[derive(Args, Debug)]
pub(crate) struct Trust {
    /// Whose signatures an image has to have to be let in, by repository
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

/// Publish a filter to a registry.
///
/// A package or a module is made an image first, as `attache package` does; `oci:FOLDER:TAG` is an image in a folder. What
/// is attached goes along: README, schemas, suites, signatures, the list of crates. Without a tag in the reference, the
/// image's version is its tag. The tag is written last, and what the registry has already is not sent again.
///
/// Credentials are those that `docker login`, `podman login` or `skopeo login` keep.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache push auth-scrub registry.example.com/filters/auth-scrub          tagged with its version
  attache push ./my-filter localhost:5000/my-filter:next --sign team.key
  attache push filter.wasm ghcr.io/me/filter --name filter --version 1.2.0
  attache push oci:target/attache/images:auth-scrub-0.1.0 registry.example.com/filters/auth-scrub:0.1.0")]
pub(crate) struct Push {
    /// A package in this workspace, the folder of a package, a .wasm file, or oci:FOLDER:TAG
    #[arg(value_name = "NAME|PATH|FILE|IMAGE")]
    pub(crate) filter: String,

    /// Where to: registry/repository, with a tag or without
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: String,

    #[command(flatten)]
    pub(crate) about: Described,

    /// Sign the image with this private key
    #[arg(long, value_name = "FILE")]
    pub(crate) sign: Option<PathBuf>,

    /// Print one line of JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) trust: Trust,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// Fetch an image from a registry, and what is attached to it.
///
/// Every byte is held against the digest that names it, and nothing is written before all of it has come. Of an image
/// for several machines the one for linux/amd64 is taken, as Istio and Envoy Gateway do.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache pull registry.example.com/filters/auth-scrub:0.1.0                into target/attache/images
  attache pull localhost:5000/my-filter@sha256:… -o images --tag mine
  attache pull ghcr.io/me/filter:1.2.0 --module filter.wasm                 the module alone
  attache pull ghcr.io/me/filter:1.2.0 --policy policy.yaml                 if it is signed as the policy says")]
pub(crate) struct Pull {
    /// The image: registry/repository:tag, registry/repository@sha256:…
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: String,

    /// The folder of images, made if there is none [default: target/attache/images, unless --module]
    #[arg(short, long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,

    /// What names the image in the folder; repository and tag without it
    #[arg(long)]
    pub(crate) tag: Option<String>,

    /// Write the module into a file
    #[arg(short, long, value_name = "FILE")]
    pub(crate) module: Option<PathBuf>,

    /// Print one line of JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) trust: Trust,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// Copy an image, and what is attached to it, to another registry or a folder.
///
/// The digest stays. An image for several machines is copied whole.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache copy ghcr.io/me/filter:1.2.0 registry.example.com/filters/filter:1.2.0
  attache copy registry.example.com/filters/filter:1.2.0 oci:mirror:filter-1.2.0
  attache copy oci:mirror:filter-1.2.0 registry.intern:5000/filter:1.2.0 --ca-file intern.pem")]
pub(crate) struct Copy {
    /// The image: a reference, or oci:FOLDER:TAG
    #[arg(value_name = "FROM")]
    pub(crate) from: String,

    /// Where to: a reference, or oci:FOLDER:TAG
    #[arg(value_name = "TO")]
    pub(crate) to: String,

    /// Print one line of JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) trust: Trust,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// List the tags of a repository.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache tags registry.example.com/filters/auth-scrub
  attache tags localhost:5000/my-filter --json")]
pub(crate) struct Tags {
    /// The repository: registry/repository
    #[arg(value_name = "REPOSITORY")]
    pub(crate) repository: String,

    /// List those too under which publishers keep lists and signatures (`sha256-…`)
    #[arg(long)]
    pub(crate) all: bool,

    /// Print one line of JSON, for programs
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// Be a registry, for this machine.
///
/// Images are kept in a folder. It takes what every OCI registry takes, from every client, and keeps lists of what is
/// attached. It asks nobody who they are: listen on this machine only, or let others fetch and not publish
/// (--read-only). For more than one machine there are distribution, zot, Harbor and the registries of clouds.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache registry                                    on 127.0.0.1:5000, in ./registry
  attache registry /var/lib/attache --listen 127.0.0.1:0 --json
  attache registry mirror --listen 0.0.0.0:5000 --read-only
  attache push auth-scrub localhost:5000/auth-scrub   in another terminal")]
pub(crate) struct Registry {
    /// The folder of images; made if there is none
    #[arg(value_name = "FOLDER", default_value = "registry")]
    pub(crate) folder: PathBuf,

    /// The address; port 0 is a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5000")]
    pub(crate) listen: SocketAddr,

    /// Let images be fetched and not published
    #[arg(long)]
    pub(crate) read_only: bool,

    /// Print one line of JSON when it is ready, for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// Find filters by words, in a registry or in an index of them.
///
/// Every word has to occur in the name of a repository, in the filter's title or description, or among the host calls
/// and callbacks that it links, whatever the case. A repository is known by its newest tag.
///
/// Large registries show no list of their repositories. For them, and for several at once, there is an index: a file of
/// what `attache search --json` printed, one line a filter.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  attache search --registry localhost:5000                    all filters there
  attache search credentials --registry localhost:5000
  attache search proxy_http_call --registry localhost:5000    those that make calls
  attache search --registry localhost:5000 --json > filters.index
  attache search credentials --index filters.index")]
pub(crate) struct Search {
    /// Words that have to occur, all of them
    #[arg(value_name = "WORD")]
    pub(crate) words: Vec<String>,

    /// A registry to look in; may be repeated
    #[arg(long, value_name = "HOST")]
    pub(crate) registry: Vec<String>,

    /// An index to look in; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) index: Vec<PathBuf>,

    /// Print one line of JSON a filter, for programs and for an index
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) remote: Remote,
}
