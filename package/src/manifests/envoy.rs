use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Checked, Failure, ManifestError, yaml};

/// An entry for the list of filters of a connection manager, or of a filter chain.
pub(super) fn filter(checked: &Checked<'_>) -> Result<String, ManifestError> {
    let plugin = checked.plugin;
    let type_url = match checked.kind.as_str() {
        "http" => "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "tcp" => "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm",
        other => return checked.unable(&format!("it is of the kind `{other}`; `envoy-configs` and the examples show where such a plugin goes")),
    };
    for (given, what) in [
        (
            plugin.phase.is_some() || plugin.priority.is_some(),
            "a phase or a priority",
        ),
        (
            !plugin.selector.is_empty() || plugin.gateway.is_some(),
            "a target",
        ),
        (plugin.pull_secret.is_some(), "a secret to pull with"),
    ] {
        if given {
            return checked.no_field(what, "put the filter where it belongs in the configuration");
        }
    }
    let file = plugin
        .file
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.wasm", checked.module.hex())));
    let words = [
        format!(
            "{} for a list of Envoy's filters. The file is pinned by its name, which is its digest:",
            plugin.name
        ),
        "Envoy does not look at the digest of a local file.".to_owned(),
    ];
    let mut config = Plugin {
        name: &plugin.name,
        root_id: &checked.root_id,
        failure_policy: match plugin.failure {
            Failure::Reload => "FAIL_RELOAD",
            Failure::Close => "FAIL_CLOSED",
            Failure::Open => "FAIL_OPEN",
        },
        allow_on_headers_stop_iteration: checked.holds.then_some(true),
        configuration: None,
        vm_config: VmConfig {
            vm_id: &plugin.name,
            runtime: "envoy.wasm.runtime.v8",
            code: json!({ "local": { "filename": file } }),
            environment_variables: environment(checked),
        },
    };
    if let Some(value) = &plugin.config {
        config.configuration = Some(Text {
            r#type: "type.googleapis.com/google.protobuf.StringValue",
            value: value.to_string(),
        });
    }
    yaml(
        &words,
        &[Entry {
            name: &plugin.name,
            typed_config: Typed {
                r#type: type_url,
                config,
            },
        }],
    )
}

fn environment(checked: &Checked<'_>) -> Option<Value> {
    let variables = &checked.plugin.environment;
    let keys: Vec<&String> = variables
        .iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name)
        .collect();
    let values: serde_json::Map<String, Value> = variables
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), json!(value.as_ref()?))))
        .collect();
    (!variables.is_empty()).then(|| json!({ "host_env_keys": keys, "key_values": values }))
}

#[derive(Serialize)]
struct Entry<'d> {
    name: &'d str,
    typed_config: Typed<'d>,
}

#[derive(Serialize)]
struct Typed<'d> {
    #[serde(rename = "@type")]
    r#type: &'static str,
    config: Plugin<'d>,
}

#[derive(Serialize)]
struct Plugin<'d> {
    name: &'d str,
    root_id: &'d str,
    failure_policy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_on_headers_stop_iteration: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<Text>,
    vm_config: VmConfig<'d>,
}

#[derive(Serialize)]
struct Text {
    #[serde(rename = "@type")]
    r#type: &'static str,
    value: String,
}

#[derive(Serialize)]
struct VmConfig<'d> {
    vm_id: &'d str,
    runtime: &'static str,
    code: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment_variables: Option<Value>,
}
