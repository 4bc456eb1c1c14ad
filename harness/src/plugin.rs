//! A plugin to put into a chain.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Effort;
use crate::error::SourceError;
use crate::guest::Package;
use crate::variables::Variables;

/// Envoy's `reload_config.backoff.base_interval`, where it is not set.
const RELOAD_BACKOFF: Duration = Duration::from_secs(1);

/// A filter with its configuration, as Envoy's `PluginConfig` describes one.
///
/// ```no_run
/// use attache_harness::{FailurePolicy, Plugin};
///
/// let plugin = Plugin::from_file("auth_scrub.wasm")
///     .name("auth-scrub")
///     .config(r#"{ "headers": ["authorization"] }"#)
///     .failure_policy(FailurePolicy::FailReload);
/// ```
#[derive(Clone, Debug)]
pub struct Plugin {
    pub(crate) name: String,
    pub(crate) root_id: String,
    pub(crate) vm_id: Option<String>,
    pub(crate) configuration: Vec<u8>,
    pub(crate) vm_configuration: Vec<u8>,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) reload_backoff: Duration,
    pub(crate) allow_on_headers_stop_iteration: bool,
    pub(crate) discovered: bool,
    pub(crate) effort: Effort,
    pub(crate) allowed_capabilities: BTreeSet<String>,
    pub(crate) variables: Variables,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Package(Package),
    File(PathBuf),
    Bytes(Arc<Vec<u8>>),
}

impl Plugin {
    /// A plugin that a package of a workspace builds, named after the package; `directory` is any
    /// folder in the workspace. [`plugin!`](crate::plugin!) knows the folder. The package is built
    /// for wasm32 when the host starts, once a process, and finished as `attache build` does.
    #[must_use]
    pub fn guest(directory: impl Into<PathBuf>, package: impl Into<String>) -> Self {
        let package = Package {
            directory: directory.into(),
            name: package.into(),
        };
        Self::new(package.name.clone(), Source::Package(package))
    }

    /// A plugin from a `.wasm` file, named after the file. It is read when the host starts.
    #[must_use]
    pub fn from_file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        Self::new(name.unwrap_or_default(), Source::File(path))
    }

    /// A plugin from the bytes of a module.
    #[must_use]
    pub fn from_bytes(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(name.into(), Source::Bytes(Arc::new(bytes.into())))
    }

    fn new(name: String, source: Source) -> Self {
        Self {
            name,
            root_id: String::new(),
            vm_id: None,
            configuration: Vec::new(),
            vm_configuration: Vec::new(),
            failure_policy: FailurePolicy::default(),
            reload_backoff: RELOAD_BACKOFF,
            allow_on_headers_stop_iteration: false,
            effort: Effort::Usual,
            discovered: false,
            allowed_capabilities: BTreeSet::new(),
            variables: Variables::default(),
            source,
        }
    }

    /// Sets the configuration that `proxy_on_configure` reads; empty unless set.
    #[must_use]
    pub fn config(mut self, configuration: impl Into<Configuration>) -> Self {
        self.configuration = configuration.into().0;
        self
    }

    /// Sets the configuration that `proxy_on_vm_start` reads; empty unless set.
    #[must_use]
    pub fn vm_config(mut self, configuration: impl Into<Configuration>) -> Self {
        self.vm_configuration = configuration.into().0;
        self
    }

    /// Sets the name, which stands in log lines and in `plugin_name`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the root id, which chooses among the filters of one module; empty unless set.
    #[must_use]
    pub fn root_id(mut self, root_id: impl Into<String>) -> Self {
        self.root_id = root_id.into();
        self
    }

    /// Sets the VM id; the plugin's name unless set. Plugins with one VM id, VM configuration,
    /// environment, list of capabilities and module share a VM, as in Envoy, and a trap in one fails
    /// both. Shared data belongs to the VM id alone.
    #[must_use]
    pub fn vm_id(mut self, vm_id: impl Into<String>) -> Self {
        self.vm_id = Some(vm_id.into());
        self
    }

    /// Sets what a trap means for the streams after it.
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }

    /// Sets `reload_config.backoff.base_interval` for
    /// [`FailReload`](FailurePolicy::FailReload): how long a VM must have been loaded before a
    /// failure lets it be loaded again. Up to half of it is added at random. 1 s unless set; Envoy
    /// refuses less than 1 ms.
    #[must_use]
    pub fn reload_backoff(mut self, base: Duration) -> Self {
        self.reload_backoff = base;
        self
    }

    /// Sets `allow_on_headers_stop_iteration`: a pause in a headers callback then lets body and
    /// trailers callbacks come, and one of those that continues also releases the headers.
    #[must_use]
    pub fn allow_on_headers_stop_iteration(mut self) -> Self {
        self.allow_on_headers_stop_iteration = true;
        self
    }

    /// Has the module compiled in less time, to code that runs slower and is not kept for other processes: for a plugin
    /// that is started and then runs little. What it does and what it is answered are the same; its stack is less deep.
    ///
    /// ```no_run
    /// use attache_harness::{Host, Plugin};
    ///
    /// // Whether it takes this configuration.
    /// let plugin = Plugin::from_file("auth_scrub.wasm").compiled_quickly();
    /// Host::builder().plugin(plugin.config("{}")).start().unwrap();
    /// ```
    #[must_use]
    pub fn compiled_quickly(mut self) -> Self {
        self.effort = Effort::Quick;
        self
    }

    /// Says that Envoy gets the plugin by discovery (ECDS) and not with its listener: it is started behind those that
    /// stand in the configuration, wherever it is in the chain.
    #[must_use]
    pub fn discovered(mut self) -> Self {
        self.discovered = true;
        self
    }

    /// Allows these host calls and callbacks (`proxy_log`, `proxy_on_request_headers`) and WASI
    /// functions (`fd_write`) and nothing else, as `capability_restriction_config` does; all are
    /// allowed unless this is called. A host call that is not allowed answers
    /// [`InternalFailure`](crate::Status::InternalFailure), a WASI function 76, and a callback is
    /// not called. The start functions and the allocator need no capability.
    #[must_use]
    pub fn allowed_capabilities<S: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        self.allowed_capabilities
            .extend(names.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable of the VM, as `environment_variables.key_values` does.
    #[must_use]
    pub fn environment(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.variables.values.insert(key.into(), value.into());
        self
    }

    /// Passes an environment variable of the host on, as `environment_variables.host_env_keys`
    /// does. The host's variables are those of
    /// [`HostBuilder::host_environment`](crate::HostBuilder::host_environment); one that it has not
    /// is left out.
    #[must_use]
    pub fn host_environment_key(mut self, key: impl Into<String>) -> Self {
        self.variables.host_keys.push(key.into());
        self
    }

    /// Gets the module.
    pub(crate) fn bytes(&self) -> Result<Arc<Vec<u8>>, SourceError> {
        match &self.source {
            Source::Package(package) => match package.build() {
                Ok(bytes) => Ok(bytes),
                Err(source) => Err(SourceError::Build {
                    package: package.name.clone(),
                    source,
                }),
            },
            Source::File(path) => read(path).map(Arc::new),
            Source::Bytes(bytes) => Ok(Arc::clone(bytes)),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SourceError> {
    fs::read(path).map_err(|source| SourceError::Read {
        path: path.display().to_string(),
        source,
    })
}

/// The configuration of a plugin or a VM, as bytes.
///
/// A [`serde_json::Value`] is written as JSON text, as Envoy does with a `Struct`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Configuration(Vec<u8>);

impl From<serde_json::Value> for Configuration {
    fn from(value: serde_json::Value) -> Self {
        Self(value.to_string().into_bytes())
    }
}

impl From<&str> for Configuration {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<String> for Configuration {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&[u8]> for Configuration {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Configuration {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// What becomes of streams when a VM has failed. The stream in which it fails gets a 503 with all
/// of them but the last.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// Every following stream of the thread gets a 503.
    #[default]
    FailClosed,
    /// Every following stream of the thread passes without the filter.
    FailOpen,
    /// The next stream starts the VM anew, if the last start is long enough ago: Envoy's default
    /// back-off of one second, and up to half a second more. Until then there are 503s.
    FailReload,
    /// The deprecated `fail_open: true`: as [`FailOpen`](Self::FailOpen), and the stream in which
    /// the VM fails goes on to the upstream.
    DeprecatedFailOpen,
}

/// The plugin that a package of this workspace builds; without a name, that of the caller's own
/// package. It is built for wasm32 when the host starts, once a run of the tests.
///
/// ```ignore
/// let mut host = Host::with(plugin!("auth-scrub").config(json!({})))?;
/// ```
#[macro_export]
macro_rules! plugin {
    () => {
        $crate::Plugin::guest(env!("CARGO_MANIFEST_DIR"), env!("CARGO_PKG_NAME"))
    };
    ($package:expr) => {
        $crate::Plugin::guest(env!("CARGO_MANIFEST_DIR"), $package)
    };
}
