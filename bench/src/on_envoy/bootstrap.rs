//! The configuration of the Envoy that is measured.

use serde_json::{Value, json};

use super::variant::Variant;

/// One listener for each variant. A direct response answers, so that no upstream takes part.
pub(crate) fn bootstrap(variants: &[Variant]) -> Value {
    let listeners: Vec<Value> = variants.iter().map(listener).collect();
    json!({
        "admin": {"address": loopback()},
        "static_resources": {"listeners": listeners},
    })
}

fn loopback() -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}})
}

fn listener(variant: &Variant) -> Value {
    let mut filters: Vec<Value> = variant
        .filter
        .iter()
        .flat_map(|filter| std::iter::repeat_n(filter.clone(), variant.copies()))
        .collect();
    filters.push(json!({
        "name": "router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": variant.name,
        "route_config": {
            "virtual_hosts": [{
                "name": "all",
                "domains": ["*"],
                "routes": [{
                    "match": {"prefix": "/"},
                    "direct_response": {"status": 200},
                    "response_headers_to_add": [{"header": {"key": "x-powered-by", "value": "bench"}}],
                }],
            }],
        },
        "http_filters": filters,
    });
    json!({
        "name": variant.name,
        "address": loopback(),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    })
}

/// A wasm plugin in a VM of its own.
pub(crate) fn wasm(name: &str, path: &std::path::Path) -> Value {
    json!({
        "name": "wasm",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": name,
                "vm_config": {
                    "vm_id": name,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": path}},
                },
            },
        },
    })
}

/// As [`wasm`], with a configuration, and headers that may wait for the body.
pub(crate) fn wasm_configured(name: &str, path: &std::path::Path, configuration: &str) -> Value {
    let mut filter = wasm(name, path);
    let config = &mut filter["typed_config"]["config"];
    config["allow_on_headers_stop_iteration"] = json!(true);
    config["configuration"] = json!({
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": configuration,
    });
    filter
}

/// A Lua script.
pub(crate) fn lua(script: &str) -> Value {
    json!({
        "name": "lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        },
    })
}

/// Envoy's own filter for header changes.
pub(crate) fn header_mutation() -> Value {
    json!({
        "name": "header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {
                "request_mutations": [
                    {"append": {"header": {"key": "x-bench", "value": "1"}}},
                ],
                "response_mutations": [{"remove": "x-powered-by"}],
            },
        },
    })
}

/// Envoy's own filter for two headers and a parameter.
pub(crate) fn heads_mutation() -> Value {
    json!({
        "name": "heads_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {
                "request_mutations": [
                    {"append": {
                        "header": {"key": "x-bench", "value": "1"},
                        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                    }},
                    {"remove": "x-tenant"},
                ],
                "query_parameter_mutations": [
                    {"append": {
                        "record": {"key": "tenant", "value": "acme"},
                        "action": "OVERWRITE_IF_EXISTS_OR_ADD",
                    }},
                ],
            },
        },
    })
}
