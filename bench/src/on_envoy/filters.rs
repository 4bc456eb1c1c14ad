//! HTTP filters as Envoy's configuration has them.

use std::path::Path;

use serde_json::{Value, json};

fn filter(name: &str, kind: &str, mut fields: Value) -> Value {
    fields["@type"] = json!(format!(
        "type.googleapis.com/envoy.extensions.filters.http.{kind}"
    ));
    json!({"name": name, "typed_config": fields})
}

/// A wasm plugin in a VM of its own.
pub(crate) fn wasm(name: &str, path: &Path) -> Value {
    let vm = json!({
        "vm_id": name,
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": path}},
    });
    let config = json!({"config": {"name": name, "vm_config": vm}});
    filter("wasm", "wasm.v3.Wasm", config)
}

/// As [`wasm`], with a configuration, and headers that may wait for the body.
pub(crate) fn wasm_configured(name: &str, path: &Path, configuration: &str) -> Value {
    let mut filter = wasm(name, path);
    let config = &mut filter["typed_config"]["config"];
    config["allow_on_headers_stop_iteration"] = json!(true);
    config["configuration"] = json!({
        "@type": "type.googleapis.com/google.protobuf.StringValue",
        "value": configuration,
    });
    filter
}

/// A shared library in Envoy's own process, and which of its filters.
pub(crate) fn dynamic_module(path: &Path, name: &str) -> Value {
    let fields = json!({
        "dynamic_module_config": {
            "module": {"local": {"filename": path}},
            "do_not_close": true,
        },
        "filter_name": name,
    });
    let kind = "dynamic_modules.v3.DynamicModuleFilter";
    filter("dynamic_modules", kind, fields)
}

/// A Lua script.
pub(crate) fn lua(script: &str) -> Value {
    let source = json!({"default_source_code": {"inline_string": script}});
    filter("lua", "lua.v3.Lua", source)
}

/// Envoy's own filter for headers and parameters.
pub(crate) fn header_mutation(mutations: Value) -> Value {
    let fields = json!({"mutations": mutations});
    filter(
        "header_mutation",
        "header_mutation.v3.HeaderMutation",
        fields,
    )
}

/// One header more.
pub(crate) fn append(name: &str) -> Value {
    json!({"append": {"header": {"key": name, "value": "1"}}})
}

/// Envoy's own filter that holds requests until their bodies are whole.
pub(crate) fn buffer() -> Value {
    filter(
        "buffer",
        "buffer.v3.Buffer",
        json!({"max_request_bytes": 1 << 20}),
    )
}

/// A service that is asked over gRPC, the body with the rest if it is wanted.
pub(crate) fn ext_authz(cluster: &str, body: bool) -> Value {
    let mut fields = json!({
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": cluster}, "timeout": "5s"},
    });
    if body {
        fields["with_request_body"] = json!({"max_request_bytes": 1 << 20, "pack_as_bytes": true});
    }
    filter("ext_authz", "ext_authz.v3.ExtAuthz", fields)
}

/// The same over HTTP.
pub(crate) fn ext_authz_http(cluster: &str) -> Value {
    let service = json!({
        "server_uri": {"uri": "http://callee", "cluster": cluster, "timeout": "5s"},
        "authorization_response": {"allowed_upstream_headers": {"patterns": [{"exact": "x-bench"}]}},
    });
    let fields = json!({"transport_api_version": "V3", "http_service": service});
    filter("ext_authz", "ext_authz.v3.ExtAuthz", fields)
}

/// A service that takes part in streams over gRPC.
pub(crate) fn ext_proc(cluster: &str, response: &str, body: &str) -> Value {
    let fields = json!({
        "grpc_service": {"envoy_grpc": {"cluster_name": cluster}},
        "message_timeout": "5s",
        "processing_mode": {
            "request_header_mode": "SEND",
            "response_header_mode": response,
            "request_body_mode": body,
        },
    });
    filter("ext_proc", "ext_proc.v3.ExternalProcessor", fields)
}
