use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Checked, Document, Failure, ManifestError, Metadata, Reference, Target, yaml};

/// Where in the chain of filters that Istio makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum Phase {
    /// Before Istio authenticates.
    Authn,
    /// After it authenticated, before it authorizes.
    Authz,
    /// After it authorized, before it counts.
    Stats,
}

/// What both kinds have at the top.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Placement<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<Selector<'d>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    target_refs: Vec<Reference<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selector<'d> {
    match_labels: BTreeMap<&'d str, &'d str>,
}

#[derive(Serialize)]
struct WasmPlugin<'d> {
    #[serde(flatten)]
    placement: Placement<'d>,
    #[serde(flatten)]
    module: Module<'d>,
}

#[derive(Serialize)]
struct TrafficExtension<'d> {
    #[serde(flatten)]
    placement: Placement<'d>,
    wasm: Module<'d>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Module<'d> {
    url: String,
    sha256: String,
    image_pull_policy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_pull_secret: Option<&'d str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    plugin_name: &'d str,
    r#type: &'static str,
    fail_strategy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vm_config: Option<VmConfig<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin_config: Option<&'d Value>,
}

#[derive(Serialize)]
struct VmConfig<'d> {
    env: Vec<Variable<'d>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Variable<'d> {
    name: &'d str,
    value_from: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'d str>,
}

pub(super) fn manifest(checked: &Checked<'_>) -> Result<String, ManifestError> {
    let plugin = checked.plugin;
    let module = module(checked)?;
    let words = [
        format!(
            "{} `{}` for Istio, pinned by the digest of the image's manifest.",
            plugin.name, plugin.image
        ),
        format!(
            "The module in it has the digest sha256:{}.",
            checked.module.hex()
        ),
    ];
    let metadata = Metadata {
        name: &plugin.name,
        namespace: &plugin.namespace,
    };
    let placement = placement(checked)?;
    if checked.target == Target::WasmPlugin {
        return yaml(
            &words,
            &Document {
                api_version: "extensions.istio.io/v1alpha1",
                kind: "WasmPlugin",
                metadata,
                spec: WasmPlugin { placement, module },
            },
        );
    }
    yaml(
        &words,
        &Document {
            api_version: "extensions.istio.io/v1alpha1",
            kind: "TrafficExtension",
            metadata,
            spec: TrafficExtension {
                placement,
                wasm: module,
            },
        },
    )
}

fn placement<'d>(checked: &Checked<'d>) -> Result<Placement<'d>, ManifestError> {
    let plugin = checked.plugin;
    // The CRD's own rule: one of the two.
    if plugin.gateway.is_some() && !plugin.selector.is_empty() {
        return checked.no_field("a selector beside a gateway", "name one of the two");
    }
    let labels: BTreeMap<&str, &str> = plugin
        .selector
        .iter()
        .map(|(label, value)| (label.as_str(), value.as_str()))
        .collect();
    if labels
        .iter()
        .any(|(label, value)| label.is_empty() || label.contains('*') || value.contains('*'))
    {
        return checked.no_field("labels that are empty or have a `*`", "name whole labels");
    }
    let gateway = plugin.gateway.as_deref().map(Reference::gateway);
    Ok(Placement {
        selector: (!labels.is_empty()).then_some(Selector {
            match_labels: labels,
        }),
        target_refs: gateway.into_iter().collect(),
        phase: plugin.phase,
        priority: plugin.priority,
    })
}

fn module<'d>(checked: &'d Checked<'_>) -> Result<Module<'d>, ManifestError> {
    let plugin = checked.plugin;
    if checked.holds {
        return checked.unable(
            "it holds headers until it knows the body, for which Envoy needs `allow_on_headers_stop_iteration`, and Istio has no field for that; use an EnvoyFilter, or a filter that does not hold",
        );
    }
    let kind = match checked.kind.as_str() {
        "http" => "HTTP",
        "tcp" => "NETWORK",
        other => {
            return checked.unable(&format!(
                "it is of the kind `{other}`, and Istio loads HTTP and network filters"
            ));
        }
    };
    let variables = plugin.environment.iter().map(|(name, value)| Variable {
        name,
        value_from: if value.is_some() { "INLINE" } else { "HOST" },
        value: value.as_deref(),
    });
    let env: Vec<_> = variables.collect();
    Ok(Module {
        url: format!("oci://{}", plugin.image),
        sha256: checked.manifest.hex(),
        image_pull_policy: "IfNotPresent",
        image_pull_secret: plugin.pull_secret.as_deref(),
        plugin_name: &checked.root_id,
        r#type: kind,
        fail_strategy: match plugin.failure {
            Failure::Reload => "FAIL_RELOAD",
            Failure::Close => "FAIL_CLOSE",
            Failure::Open => "FAIL_OPEN",
        },
        vm_config: (!env.is_empty()).then_some(VmConfig { env }),
        plugin_config: plugin.config.as_ref(),
    })
}
