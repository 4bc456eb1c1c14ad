use std::io;
use std::time::Duration;

use attache_module::ReadError;

use crate::consumer::Refusal;
use crate::digest::Digest;
use crate::layer::LayerError;
use crate::layout::LayoutError;
use crate::registry::credentials::CredentialsError;
use crate::signing::Unverified;
use attache_module::harmless;

/// Why a registry did not give or take an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No answer came.
    #[error("cannot reach `{registry}`")]
    Unreachable {
        /// The registry.
        registry: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// An answer was cut off, again and again.
    #[error("the connection to `{registry}` was cut while {what} came: {got} of {expected} bytes")]
    Cut {
        /// The registry.
        registry: String,
        /// What was fetched.
        what: String,
        /// The bytes that came.
        got: u64,
        /// Those that should.
        expected: u64,
    },
    /// No answer came in time.
    #[error("`{registry}` was silent for {seconds} s when it was to {what}")]
    Late {
        /// The registry.
        registry: String,
        /// What was tried.
        what: String,
        /// For how long.
        seconds: u64,
    },
    /// The registry has no such thing.
    #[error("`{registry}` has no {what}")]
    NotFound {
        /// The registry.
        registry: String,
        /// What was asked for.
        what: String,
    },
    /// The registry wants to know who asks, or does not let them.
    #[error(
        "`{registry}` does not let {who} {what}{}; `docker login {registry}` or `skopeo login {registry}` keeps credentials",
        said(reason)
    )]
    Denied {
        /// The registry.
        registry: String,
        /// As whom it was asked.
        who: String,
        /// What was tried.
        what: String,
        /// What it said.
        reason: String,
    },
    /// The registry wants credentials in a way that is not known or not safe.
    #[error("cannot ask `{registry}` for access: {why}")]
    Challenge {
        /// The registry.
        registry: String,
        /// What is wrong.
        why: String,
    },
    /// The registry answered with a status that ends the attempt.
    #[error("`{registry}` answered {status} to {what}{}", said(message))]
    Status {
        /// The registry.
        registry: String,
        /// What was tried.
        what: String,
        /// The status.
        status: u16,
        /// What it said.
        message: String,
        /// After which time it wants to be asked again.
        after: Option<Duration>,
    },
    /// The registry broke a rule of the OCI distribution specification.
    #[error("`{registry}` does not answer as a registry to {what}: {why}")]
    Broken {
        /// The registry.
        registry: String,
        /// What was tried.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// What came is not what was asked for.
    #[error(
        "`{registry}` lies about {what}: what came has the digest {found}, expected {expected}"
    )]
    Digest {
        /// The registry.
        registry: String,
        /// What was fetched.
        what: String,
        /// The digest of what came.
        found: Digest,
        /// The one that was asked for.
        expected: Digest,
    },
    /// The name has the digest of another image than the one that is published under it.
    #[error(
        "`{name}` is to name an image whose digest is {found}, expected {expected}, as the name says; leave the digest out, or name the image that has it"
    )]
    OtherName {
        /// The name.
        name: String,
        /// The digest of the image.
        found: Digest,
        /// The one in the name.
        expected: Digest,
    },
    /// An image with all that it names is larger than a filter has reason to be.
    #[error("{what} is {size} {unit} with all that it names, expected at most {limit}")]
    TooMuch {
        /// Which image.
        what: String,
        /// How much there is.
        size: u64,
        /// Of what.
        unit: &'static str,
        /// What it may be.
        limit: u64,
    },
    /// A document that one reader takes for this and another for that.
    #[error("{what} is refused: {why}")]
    Ambiguous {
        /// Which.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// Something is larger than a filter has reason to be, and was not fetched.
    #[error("{what} is {size} bytes, expected at most {limit}")]
    TooLarge {
        /// What it is.
        what: String,
        /// What is said of its size, or how much came.
        size: u64,
        /// What it may be.
        limit: u64,
    },
    /// A document is not what it is said to be.
    #[error("{what} is not what OCI says it is")]
    Document {
        /// Which.
        what: String,
        /// Why not.
        source: serde_json::Error,
    },
    /// A list of images for several machines, with none that is taken.
    #[error(
        "{what} is a list of images for {platforms}, expected one for linux/amd64, which Istio and Envoy Gateway take; name one by its digest"
    )]
    Platform {
        /// Which.
        what: String,
        /// What it has.
        platforms: String,
    },
    /// It is neither an image nor a list of them.
    #[error("{what} is of the kind `{media_type}`, expected an image of OCI or Docker")]
    Kind {
        /// Which.
        what: String,
        /// Its media type.
        media_type: String,
    },
    /// Credentials that are kept cannot be used.
    #[error("cannot tell who asks")]
    Credentials(#[from] CredentialsError),
    /// The certificates that were named cannot be used, or the system's.
    #[error("cannot set up TLS")]
    Tls(#[source] reqwest::Error),
    /// The file of certificates cannot be read.
    #[error("cannot read the certificates")]
    Certificates(#[source] io::Error),
    /// A folder of images fails.
    #[error("the folder of images fails")]
    Layout(#[from] LayoutError),
    /// No proxy would find the module.
    #[error("no module is found by the rules of Istio")]
    Refused(#[from] Refusal),
    /// The layer holds none.
    #[error("the image holds no module")]
    Layer(#[from] LayerError),
    /// Nobody has signed it whom the policy trusts.
    #[error(transparent)]
    Unverified(#[from] Unverified),
    /// What it holds is none.
    #[error("what the image holds would be refused by every proxy")]
    Module(#[from] ReadError),
}

impl RegistryError {
    /// Whether the same may well succeed a little later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_builder() && !source.is_redirect(),
            Self::Cut { .. } | Self::Late { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// After which time the registry wants to be asked again.
    pub(super) fn after(&self) -> Option<Duration> {
        match self {
            Self::Status { after, .. } => *after,
            _ => None,
        }
    }

    pub(super) fn is_connect(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.is_connect())
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// What a registry said, where it said something, made harmless for a terminal.
fn said(message: &str) -> String {
    match message.trim() {
        "" => String::new(),
        message => format!(" (`{}`)", harmless(message)),
    }
}
