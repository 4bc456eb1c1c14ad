//! The configuration of the Envoy that is measured.

use serde_json::{Value, json};

use super::peers::Peers;
use super::work::{Candidate, Goes, Work};

/// One listener for each candidate.
pub(crate) fn bootstrap(work: &Work, peers: &Peers) -> Value {
    let listeners = work.candidates.iter().map(|it| listener(it, work.goes));
    let listeners: Vec<Value> = listeners.collect();
    let clusters: Vec<Value> = peers
        .clusters()
        .map(|(name, address, speaks_http2)| {
            let port = json!({"address": "127.0.0.1", "port_value": address.port()});
            let endpoint = json!({"endpoint": {"address": {"socket_address": port}}});
            let mut cluster = json!({
                "name": name,
                "load_assignment": {
                    "cluster_name": name,
                    "endpoints": [{"lb_endpoints": [endpoint]}],
                },
            });
            if speaks_http2 {
                cluster["typed_extension_protocol_options"] = json!({
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                        "explicit_http_config": {"http2_protocol_options": {}},
                    },
                });
            }
            cluster
        })
        .collect();
    json!({
        "admin": {"address": loopback()},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    })
}

fn loopback() -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}})
}

fn listener(candidate: &Candidate, goes: Goes) -> Value {
    let mut filters = candidate.filters.clone();
    filters.push(json!({
        "name": "router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }));
    // What a filter has done to the request is seen in the response. The last two are there with and without the
    // first header that they name, so that the response is as long for the chain without a filter.
    let mut route = json!({
        "match": {"prefix": "/"},
        "response_headers_to_add": [
            {"header": {"key": "x-powered-by", "value": "bench"}},
            {"header": {"key": "x-seen", "value": "%REQ(x-bench)%"}},
            {"header": {"key": "x-path", "value": "%REQ(:path)%"}},
            {"header": {"key": "x-credential", "value": "%REQ(authorization?traceparent):1%"}},
            {"header": {"key": "x-owner", "value": "%REQ(x-tenant?traceparent):1%"}},
        ],
    });
    match goes {
        Goes::Nowhere { answer } => {
            let body = json!({"inline_string": "x".repeat(answer)});
            route["direct_response"] = match answer {
                0 => json!({"status": 200}),
                _ => json!({"status": 200, "body": body}),
            };
        }
        Goes::Upstream => route["route"] = json!({"cluster": "upstream"}),
    }
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": candidate.name,
        "route_config": {
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
        },
        "http_filters": filters,
    });
    json!({
        "name": candidate.name,
        "address": loopback(),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    })
}
