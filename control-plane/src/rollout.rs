mod criteria;
mod file;
mod probe;
mod stamp;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use attache_module::sha256;
use serde::{Deserialize, Serialize};

use crate::status::Version;

pub use criteria::{Canary, Criteria};
pub use file::{FileError, read};
pub(crate) use file::{GENERATION, LARGEST_MODULE, LARGEST_TEXT, ReadModule, name_of, read_again};
pub use probe::{Answer, Probe};

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
    /// How its workers are told by their answers, where the module does not count.
    #[serde(default)]
    pub probe: Option<Probe>,
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

/// A module: from a file, or in an image that has to be fetched before it has bytes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Module {
    /// The file that it was read from, or the image by its name.
    pub path: PathBuf,
    /// The image, as the rollout names it.
    #[serde(default)]
    image: Option<String>,
    /// The image as it was fetched, by its digest.
    #[serde(default)]
    fetched: Option<String>,
    #[serde(skip)]
    bytes: Arc<[u8]>,
    #[serde(skip)]
    counts: bool,
    sha256: String,
}

/// The counter that a module of our SDK raises as the last act of each configuration.
pub(crate) const CONFIGURED: &str = "attache_configured_total";

/// Modules are the same when their bytes are; those in images when the images are named alike, whether they were
/// fetched yet or not.
impl PartialEq for Module {
    fn eq(&self, other: &Self) -> bool {
        match (&self.image, &other.image) {
            (None, None) => self.sha256 == other.sha256,
            (image, of_other) => image == of_other,
        }
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
            image: None,
            fetched: None,
            sha256: sha256(&bytes),
            counts: bytes.windows(name.len()).any(|bytes| bytes == name),
            bytes,
        }
    }

    /// The module of an image that was not fetched yet.
    pub fn of_image(reference: impl Into<String>) -> Self {
        let image = reference.into();
        Self {
            path: PathBuf::from(&image),
            image: Some(image),
            fetched: None,
            bytes: Arc::default(),
            counts: false,
            sha256: String::new(),
        }
    }

    /// The same with what came: its bytes, and by which digest.
    #[must_use]
    pub fn fetched(&self, by: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            image: self.image.clone(),
            fetched: Some(by.into()),
            ..Self::new(&self.path, bytes)
        }
    }

    /// The same with these bytes, if they are its own.
    pub(crate) fn with_bytes(&self, bytes: Vec<u8>) -> Option<Self> {
        let found = Self::new(&self.path, bytes);
        (found.sha256 == self.sha256).then(|| Self {
            image: self.image.clone(),
            fetched: self.fetched.clone(),
            ..found
        })
    }

    /// The image that it is in, as the rollout names it.
    #[must_use]
    pub fn image(&self) -> Option<&str> {
        self.image.as_deref()
    }

    /// Whether its bytes are still to be fetched.
    #[must_use]
    pub fn is_to_be_fetched(&self) -> bool {
        self.image.is_some() && self.sha256.is_empty()
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
            image: self
                .module
                .fetched
                .clone()
                .or_else(|| self.module.image.clone()),
            configuration: sha256(self.configuration.as_bytes()),
            state_epoch: self.state_epoch,
        }
    }
}
