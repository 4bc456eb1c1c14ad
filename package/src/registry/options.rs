use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::credentials::Credentials;
use super::error::RegistryError;
use crate::manifest::Descriptor;
use crate::signing::Policy;

/// How a [`Client`](super::Client) goes about.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The registries, with their ports, that HTTP is spoken to without TLS. To one on this machine that is done
    /// anyway.
    pub plain_http: Vec<String>,
    /// Certificates beside those of the system, each text in PEM.
    pub certificates: Vec<Vec<u8>>,
    /// Who asks.
    pub access: Access,
    /// How often something is tried again that failed and may pass: a connection that was cut, 429, 5xx.
    pub retries: u32,
    /// How long the first pause before that is; each further one is three times as long.
    pub backoff: Duration,
    /// Whose signatures an image has to have to be let in; without a policy anything is.
    pub policy: Option<Policy>,
    /// Who is told what happens meanwhile.
    pub progress: Option<Arc<Told>>,
}

/// Who is told what happens.
pub type Told = dyn Fn(&Progress<'_>) + Send + Sync;

/// Who asks.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Access {
    /// Whom Docker, podman or skopeo keep credentials of, see [`Credentials::kept_for`].
    #[default]
    Kept,
    /// These, whatever is kept.
    As(Credentials),
}

/// What happens while an image comes or goes.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'p> {
    /// Bytes have come.
    Fetched {
        /// Of what.
        of: &'p Descriptor,
        /// How many there are by now.
        bytes: u64,
    },
    /// Something begins to go.
    Sending {
        /// What.
        of: &'p Descriptor,
    },
    /// The registry has it already.
    There {
        /// What.
        of: &'p Descriptor,
    },
    /// Something failed and is tried again.
    Again {
        /// How.
        error: &'p RegistryError,
        /// After which time.
        after: Duration,
    },
}

impl Options {
    pub(super) fn tell(&self, progress: &Progress<'_>) {
        if let Some(told) = &self.progress {
            told(progress);
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plain_http: Vec::new(),
            certificates: Vec::new(),
            access: Access::Kept,
            retries: 3,
            backoff: Duration::from_millis(400),
            policy: None,
            progress: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("plain_http", &self.plain_http)
            .field("access", &self.access)
            .field("retries", &self.retries)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}
