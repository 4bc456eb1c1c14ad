use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// A plugin: a module, which filter of it is meant, and its configuration.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a plugin, such as `package`"
)]
pub(crate) struct PluginFile {
    /// The package of this workspace that is built into the module. Either this or `module`.
    pub(crate) package: Option<String>,
    /// A `.wasm` file, relative to the suite's folder. Either this or `package`.
    pub(crate) module: Option<PathBuf>,
    /// The plugin's name in log lines and statistics; that of the package or file unless set.
    pub(crate) name: Option<String>,
    /// Which filter of the module is meant; the plugin's name unless set.
    pub(crate) root_id: Option<String>,
    /// Plugins of one vm_id, code and VM configuration share a VM; the plugin's name unless set.
    pub(crate) vm_id: Option<String>,
    /// What the filter is configured with: YAML that becomes JSON, or text that is taken as it is.
    pub(crate) configuration: Option<serde_json::Value>,
    /// What the VM is configured with, likewise.
    pub(crate) vm_configuration: Option<serde_json::Value>,
    /// Environment variables of the module.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// What becomes of streams once the VM has failed; `fail_closed` unless set.
    #[serde(default)]
    pub(crate) failure_policy: PolicyFile,
    /// Whether a filter that stops in its headers callback still gets body and trailers.
    #[serde(default)]
    pub(crate) allow_on_headers_stop_iteration: bool,
    /// The host calls, callbacks and WASI functions that the VM may use, such as `proxy_log`,
    /// `proxy_on_request_headers` and `fd_write`; all unless set.
    pub(crate) allowed_capabilities: Option<Vec<String>>,
    /// Whether a service runs in the main thread only, and not in the workers.
    pub(crate) singleton: Option<bool>,
}

/// What becomes of streams once the VM has failed.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum PolicyFile {
    /// They get a 503.
    #[default]
    #[serde(rename = "fail_closed")]
    Closed,
    /// They pass without the plugin.
    #[serde(rename = "fail_open")]
    Open,
    /// The VM is started anew, at most about once a second; in between they get a 503.
    #[serde(rename = "fail_reload")]
    Reload,
}

/// Configuration as the filter reads it: text as it is, everything else as JSON.
pub(crate) fn configuration(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
