use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::Matcher;

/// A plugin is replaced while streams are under way; what is not given stays as it was.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "what changes of a plugin, such as `configuration`"
)]
pub(crate) struct ReloadFile {
    /// Which plugin of the chain; may be left out where there is only one.
    pub(crate) plugin: Option<String>,
    /// Another package of this workspace.
    pub(crate) package: Option<String>,
    /// Another `.wasm` file.
    pub(crate) module: Option<PathBuf>,
    /// Another configuration.
    pub(crate) configuration: Option<serde_json::Value>,
    /// Another configuration of the VM.
    pub(crate) vm_configuration: Option<serde_json::Value>,
    /// Other environment variables.
    pub(crate) environment: Option<BTreeMap<String, String>>,
    /// It is refused, and one line of the log is like this. The plugin before serves on.
    pub(crate) refused: Option<Matcher>,
}
