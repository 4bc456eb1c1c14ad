use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::yaml::{Yaml, quoted};

/// What Envoy does with requests while a plugin's VM has failed
/// (`envoy.extensions.wasm.v3.FailurePolicy`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
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

impl FailurePolicy {
    fn name(self) -> &'static str {
        match self {
            Self::FailClosed => "FAIL_CLOSED",
            Self::FailOpen => "FAIL_OPEN",
            Self::FailReload => "FAIL_RELOAD",
        }
    }
}

/// A filter with its configuration, as a place in a filter chain
/// (`envoy.extensions.wasm.v3.PluginConfig`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Plugin {
    /// Its name in the filter chain, in statistics and in the log.
    pub name: String,
    /// Which filter of the module is meant.
    pub root_id: String,
    /// Which VM it runs in. Plugins share one if vm_id, code and environment
    /// are the same; shared data lives by it.
    pub vm_id: String,
    /// The module, a `.wasm` file. Envoy reads it when it is configured, and
    /// does not notice when the file changes.
    pub module: PathBuf,
    /// What the filter gets as its configuration, usually JSON; passed on byte
    /// for byte.
    pub configuration: Option<String>,
    /// What the VM gets as its configuration; passed on byte for byte.
    pub vm_configuration: Option<String>,
    /// What happens while the VM has failed.
    pub failure_policy: FailurePolicy,
    /// Whether headers that the filter stops are held back until it lets them
    /// go, rather than until the body comes.
    pub allow_on_headers_stop_iteration: bool,
    /// Environment variables that the module can read.
    pub environment: BTreeMap<String, String>,
    /// The host calls, callbacks and WASI functions that the VM may use, such as `proxy_log`; all
    /// where it is empty.
    pub allowed_capabilities: BTreeSet<String>,
    /// Envoy's field of this name, which says nothing about a local file: two configurations that
    /// differ in nothing else are told apart by it, and their VMs are not.
    pub nack_on_code_cache_miss: bool,
}

impl Plugin {
    /// A plugin with a VM of its own, without configuration. Root id and vm_id
    /// are its name.
    pub fn new(name: impl Into<String>, module: impl Into<PathBuf>) -> Self {
        let name = name.into();
        Self {
            root_id: name.clone(),
            vm_id: name.clone(),
            name,
            module: module.into(),
            configuration: None,
            vm_configuration: None,
            failure_policy: FailurePolicy::default(),
            allow_on_headers_stop_iteration: false,
            environment: BTreeMap::new(),
            allowed_capabilities: BTreeSet::new(),
            nack_on_code_cache_miss: false,
        }
    }

    /// The same plugin with this configuration.
    #[must_use]
    pub fn configured(mut self, configuration: impl Into<String>) -> Self {
        self.configuration = Some(configuration.into());
        self
    }

    /// Writes the `typed_config` of this entry point.
    pub(crate) fn write(&self, yaml: &mut Yaml, entry: EntryPoint) -> Result<(), NotUtf8> {
        let module = utf8(&self.module)?;
        yaml.within("typed_config:", |yaml| {
            yaml.line(&format!(
                "\"@type\": type.googleapis.com/envoy.extensions.{}",
                entry.kind()
            ));
            if entry == EntryPoint::SingletonService {
                yaml.line("singleton: true");
            }
            yaml.within("config:", |yaml| {
                yaml.field("name", &self.name);
                yaml.line("# Which filter of the module is meant; a module may hold several.");
                yaml.field("root_id", &self.root_id);
                yaml.line(&format!("failure_policy: {}", self.failure_policy.name()));
                if self.allow_on_headers_stop_iteration {
                    yaml.line("allow_on_headers_stop_iteration: true");
                }
                if let Some(configuration) = &self.configuration {
                    yaml.line("# The filter gets this text as it is.");
                    yaml.within("configuration:", |yaml| {
                        yaml.line("\"@type\": type.googleapis.com/google.protobuf.StringValue");
                        yaml.block("value", configuration);
                    });
                }
                if !self.allowed_capabilities.is_empty() {
                    yaml.within("capability_restriction_config:", |yaml| {
                        yaml.within("allowed_capabilities:", |yaml| {
                            for name in &self.allowed_capabilities {
                                yaml.line(&format!("{}: {{}}", quoted(name)));
                            }
                        });
                    });
                }
                self.write_vm(yaml, module);
            });
        });
        Ok(())
    }

    fn write_vm(&self, yaml: &mut Yaml, module: &str) {
        yaml.within("vm_config:", |yaml| {
            yaml.line(
                "# Plugins of another vm_id share neither memory nor shared data with this one.",
            );
            yaml.field("vm_id", &self.vm_id);
            yaml.line("runtime: envoy.wasm.runtime.v8");
            if self.nack_on_code_cache_miss {
                yaml.line("nack_on_code_cache_miss: true");
            }
            yaml.within("code:", |yaml| {
                yaml.within("local:", |yaml| yaml.field("filename", module))
            });
            if let Some(configuration) = &self.vm_configuration {
                yaml.within("configuration:", |yaml| {
                    yaml.line("\"@type\": type.googleapis.com/google.protobuf.StringValue");
                    yaml.block("value", configuration);
                });
            }
            if !self.environment.is_empty() {
                yaml.within("environment_variables:", |yaml| {
                    yaml.within("key_values:", |yaml| {
                        for (name, value) in &self.environment {
                            yaml.field(&quoted(name), value);
                        }
                    });
                });
            }
        });
    }
}

/// Where a plugin stands in Envoy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EntryPoint {
    HttpFilter,
    TcpFilter,
    AccessLogger,
    Service,
    SingletonService,
    StatsSink,
}

impl EntryPoint {
    fn kind(self) -> &'static str {
        match self {
            Self::HttpFilter => "filters.http.wasm.v3.Wasm",
            Self::TcpFilter => "filters.network.wasm.v3.Wasm",
            Self::AccessLogger => "access_loggers.wasm.v3.WasmAccessLog",
            Self::Service | Self::SingletonService => "wasm.v3.WasmService",
            Self::StatsSink => "stat_sinks.wasm.v3.Wasm",
        }
    }
}

/// A path that configuration cannot express.
#[derive(Debug, thiserror::Error)]
#[error("the path `{}` is not UTF-8, which a configuration of Envoy cannot hold; move the file", path.display())]
pub(crate) struct NotUtf8 {
    path: PathBuf,
}

pub(crate) fn utf8(path: &Path) -> Result<&str, NotUtf8> {
    path.to_str().ok_or_else(|| NotUtf8 {
        path: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(plugin: &Plugin) -> String {
        let mut yaml = Yaml::default();
        plugin.write(&mut yaml, EntryPoint::HttpFilter).unwrap();
        yaml.finish()
    }

    #[test]
    fn a_plugin_has_a_vm_of_its_own_and_is_reloaded() {
        let text = written(&Plugin::new("auth-scrub", "/m/a.wasm"));
        for line in [
            "vm_id: \"auth-scrub\"",
            "root_id: \"auth-scrub\"",
            "failure_policy: FAIL_RELOAD",
            "filename: \"/m/a.wasm\"",
        ] {
            assert!(text.contains(line), "no {line} in {text}");
        }
        assert!(!text.contains("configuration:"), "{text}");
    }

    #[test]
    fn values_from_outside_cannot_break_out_of_their_quotes() {
        let mut plugin = Plugin::new("a\"\nb: c", "/m.wasm").configured("x: \"\ty\"");
        plugin.environment.insert("K\n".into(), "#".into());
        plugin.allowed_capabilities.insert("proxy\t".into());
        let text = written(&plugin);
        assert!(text.contains(r#"name: "a\"\nb: c""#), "{text}");
        assert!(text.contains(r#"value: "x: \"\ty\"""#), "{text}");
        assert!(text.contains(r##""K\n": "#""##), "{text}");
        assert!(text.contains(r#""proxy\t": {}"#), "{text}");
    }

    #[test]
    fn a_path_that_is_not_utf8_is_refused() {
        use std::os::unix::ffi::OsStringExt;
        let path = std::ffi::OsString::from_vec(b"/m\xff.wasm".to_vec());
        let error = Plugin::new("p", path)
            .write(&mut Yaml::default(), EntryPoint::HttpFilter)
            .unwrap_err();
        assert!(error.to_string().contains("is not UTF-8"), "{error}");
    }
}
