mod criteria;
mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use attache_module::sha256;
use serde::{Deserialize, Serialize};

use crate::status::Version;

pub use criteria::{Canary, Criteria};
pub use file::{FileError, read};
pub(crate) use file::{GENERATION, name_of, read_again};

/// What a file declares: a plugin for groups of Envoys, with its module read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rollout {
    /// Its name: that of its file, without `.yaml`.
    pub name: String,
    /// The file.
    pub file: PathBuf,
    /// The name of the plugin, in filter chains and in Envoy's statistics.
    pub plugin: String,
    /// Which filter of the module is meant.
    pub root_id: String,
    /// The module.
    pub module: Module,
    /// What the filter gets as its configuration, byte for byte.
    pub configuration: String,
    /// The groups of Envoys that it is for; all where there are none.
    pub groups: Vec<String>,
    /// What Envoy does with requests while the plugin's VM has failed.
    pub failure_policy: FailurePolicy,
    /// Whether headers that the filter stops are held back until it lets them go.
    pub allow_on_headers_stop_iteration: bool,
    /// Environment variables that the module can read.
    pub environment: BTreeMap<String, String>,
    /// Shared data live as long as this stays.
    pub state_epoch: u32,
    /// Suites that have to pass before a push.
    pub suites: Vec<SuiteText>,
    /// The group that tries a version before the others.
    pub canary: Option<Canary>,
    /// What makes a version fail that is with Envoys.
    pub criteria: Criteria,
}

/// A suite as it was when the rollout was read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SuiteText {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// The bytes of a module.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Module {
    /// The file that they were read from.
    pub path: PathBuf,
    #[serde(skip)]
    bytes: Arc<[u8]>,
    #[serde(skip)]
    counts: bool,
    sha256: String,
}

/// The counter that a module of our SDK raises as the last act of each configuration.
pub(crate) const CONFIGURED: &str = "attache_configured_total";

/// Modules are the same when their bytes are.
impl PartialEq for Module {
    fn eq(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }
}

impl Eq for Module {}

impl Module {
    /// A module that was read from this file.
    pub fn new(path: impl Into<PathBuf>, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let name = CONFIGURED.as_bytes();
        Self {
            path: path.into(),
            sha256: sha256(&bytes),
            counts: bytes.windows(name.len()).any(|bytes| bytes == name),
            bytes,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it counts how often it was configured, by generation, as modules of our SDK do.
    #[must_use]
    pub fn counts_configurations(&self) -> bool {
        self.counts
    }

    /// The sha256 of its bytes, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// What Envoy does with requests while a plugin's VM has failed
/// (`envoy.extensions.wasm.v3.FailurePolicy`).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailurePolicy {
    /// They get 503 until the plugin is configured anew.
    FailClosed,
    /// They pass without the plugin.
    FailOpen,
    /// The VM is started again, at most about once a second; in between they get 503.
    #[default]
    FailReload,
}

impl Rollout {
    /// The name under which the plugin's VMs share data: the plugin's name and the state epoch.
    #[must_use]
    pub fn vm_id(&self) -> String {
        format!("{}@{}", self.plugin, self.state_epoch)
    }

    /// Whether it is for Envoys of this group.
    #[must_use]
    pub fn is_for(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|one| one == group)
    }

    /// Whether an Envoy could be meant by both, for the same plugin.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.plugin == other.plugin
            && (self.groups.is_empty()
                || other.groups.is_empty()
                || self.groups.iter().any(|group| other.is_for(group)))
    }

    /// The version that this is, when it has been pushed as this generation.
    #[must_use]
    pub fn version(&self, generation: Option<u64>) -> Version {
        Version {
            generation,
            module: self.module.sha256.clone(),
            configuration: sha256(self.configuration.as_bytes()),
            state_epoch: self.state_epoch,
        }
    }
}
