use serde::Serialize;
use serde_json::Value;

use super::{Checked, Document, Failure, ManifestError, Metadata, Reference, yaml};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy<'d> {
    target_refs: [Reference<'d>; 1],
    wasm: [Wasm<'d>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wasm<'d> {
    name: &'d str,
    #[serde(rename = "rootID", skip_serializing_if = "str::is_empty")]
    root_id: &'d str,
    code: Code<'d>,
    fail_open: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<Environment<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<&'d Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Code<'d> {
    r#type: &'static str,
    image: Image<'d>,
    pull_policy: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Image<'d> {
    url: &'d str,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_secret_ref: Option<Reference<'d>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Environment<'d> {
    host_keys: Vec<&'d str>,
}

pub(super) fn manifest(checked: &Checked<'_>) -> Result<String, ManifestError> {
    let plugin = checked.plugin;
    if checked.holds {
        return checked.unable(
            "it holds headers until it knows the body, for which Envoy needs `allow_on_headers_stop_iteration`, and Envoy Gateway has no field for that; use an EnvoyPatchPolicy, or a filter that does not hold",
        );
    }
    if checked.kind != "http" {
        return checked.unable(&format!(
            "it is of the kind `{}`, and Envoy Gateway loads HTTP filters",
            checked.kind
        ));
    }
    let Some(gateway) = &plugin.gateway else {
        return checked.no_field(
            "a plugin without a target",
            "name the Gateway that it belongs to with --gateway",
        );
    };
    if plugin.phase.is_some() || plugin.priority.is_some() {
        return checked.no_field(
            "a phase or a priority",
            "the order in the policy's list is the order in Envoy",
        );
    }
    if !plugin.selector.is_empty() {
        return checked.no_field("labels of workloads", "name a Gateway with --gateway");
    }
    if plugin.environment.iter().any(|(_, value)| value.is_some()) {
        return checked.no_field("a variable with a value", "it passes on variables of Envoy's own environment; set it there, and name it without a value");
    }
    let host_keys: Vec<&str> = plugin
        .environment
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let words = [
        format!(
            "{} `{}` for Envoy Gateway, pinned by the digest of the image's manifest.",
            plugin.name, plugin.image
        ),
        format!(
            "The module in it has the digest sha256:{}.",
            checked.module.hex()
        ),
    ];
    yaml(
        &words,
        &Document {
            api_version: "gateway.envoyproxy.io/v1alpha1",
            kind: "EnvoyExtensionPolicy",
            metadata: Metadata {
                name: &plugin.name,
                namespace: &plugin.namespace,
            },
            spec: Policy {
                target_refs: [Reference::gateway(gateway)],
                wasm: [Wasm {
                    name: &plugin.name,
                    root_id: &checked.root_id,
                    code: Code {
                        r#type: "Image",
                        image: Image {
                            url: &plugin.image,
                            sha256: checked.manifest.hex(),
                            pull_secret_ref: plugin.pull_secret.as_deref().map(|name| Reference {
                                group: "",
                                kind: "Secret",
                                name,
                            }),
                        },
                        pull_policy: "IfNotPresent",
                    },
                    fail_open: plugin.failure == Failure::Open,
                    env: (!host_keys.is_empty()).then_some(Environment { host_keys }),
                    config: plugin.config.as_ref(),
                }],
            },
        },
    )
}
