//! The filter among a cluster's filters, behind the router: what Envoy calls there.

use std::time::Duration;

use attache_envoy::upstream::Upstream;
use attache_envoy::{
    Bootstrap, Endpoint, Envoy, FilterSource, Listener, Plugin, StartOptions, http1,
};
use serde_json::{Value, json};

use crate::both::{envoy, folder, module, until};

/// The plugin `behind` as one of the filters of the cluster `upstream`.
fn filters(script: &Value) -> String {
    let script = json!(script.to_string());
    let file = json!(module("probe"));
    format!(
        r#"
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {{ http_protocol_options: {{}} }}
          http_filters:
            - name: behind
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                config:
                  name: behind
                  root_id: behind
                  configuration:
                    "@type": type.googleapis.com/google.protobuf.StringValue
                    value: {script}
                  vm_config:
                    vm_id: behind
                    runtime: envoy.wasm.runtime.v8
                    code: {{ local: {{ filename: {file} }} }}
            - name: envoy.filters.http.upstream_codec
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec
"#
    )
}

/// The status that a client gets through a filter before the router and one behind it, and what the two
/// log of the request.
fn play(name: &str, behind: Value) -> (u16, Vec<String>) {
    let folder = folder(&format!("upstream_filters-{name}"));
    let upstream = Upstream::echo().unwrap();
    let mut before = Plugin::new("before", module("probe"));
    before.configuration = Some(json!({"trace": true}).to_string());
    let mut listener = Listener::new("main");
    listener.filters = vec![FilterSource::Static(before)];
    let endpoint = Endpoint::from(upstream.address());
    let yaml = Bootstrap::new(endpoint, vec![listener]).to_yaml().unwrap();
    let line = "connect_timeout: 5s";
    assert_eq!(yaml.matches(line).count(), 1);
    let config = folder.join("envoy.yaml");
    std::fs::write(
        &config,
        yaml.replace(line, &format!("{line}{}", filters(&behind))),
    )
    .unwrap();
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    let envoy = Envoy::start(envoy(), &config, &folder, options).unwrap();
    let lines = |envoy: &Envoy| -> Vec<String> {
        let lines = envoy.log_lines().unwrap();
        let own = lines
            .iter()
            .filter_map(|line| line.message.strip_prefix("wasm log "));
        own.map(str::to_owned).collect()
    };
    let started = lines(&envoy).len();
    let address = envoy.listener_address("main").unwrap();
    let request = b"GET /x HTTP/1.1\r\nhost: example.com\r\n\r\n";
    let response = http1::exchange(address, request, Duration::from_secs(30)).unwrap();
    // The last of a stream.
    until(|| {
        lines(&envoy)
            .iter()
            .any(|line| line.starts_with("before") && line.contains(": delete("))
    });
    let log = lines(&envoy).split_off(started);
    envoy.stop().unwrap();
    let short = |line: String| {
        let (prefix, message) = line.split_once(": ").unwrap();
        let plugin = prefix.split(' ').next().unwrap().to_owned();
        format!("{plugin} {message}")
    };
    (response.status, log.into_iter().map(short).collect())
}

/// The callbacks in order, without their arguments.
fn callbacks(log: &[String]) -> Vec<&str> {
    let calls = log.iter().filter(|line| !line.contains(" = "));
    calls.map(|line| line.split('(').next().unwrap()).collect()
}

#[test]
#[ignore = "needs Envoy"]
fn a_filter_behind_the_router_knows_the_upstream_and_is_never_asked_to_log() {
    let address =
        json!({"call": "get_property", "args": [{"join": ["upstream", {"hex": "00"}, "address"]}]});
    let script = json!({"trace": true, "request_headers": [address]});
    let (status, log) = play("passes", script);
    assert_eq!(status, 200);
    assert!(
        log.iter().any(|line| line.contains("= 0 \"127.0.0.1:")),
        "{log:#?}"
    );
    let order = [
        "before context_create",
        "before request_headers",
        "behind context_create",
        "behind request_headers",
        "behind response_headers",
        "before response_headers",
    ];
    let seen = callbacks(&log);
    assert_eq!(seen[..order.len()], order, "{log:#?}");
    let own: Vec<&str> = seen
        .iter()
        .copied()
        .filter(|line| line.starts_with("behind"))
        .collect();
    assert_eq!(
        own[own.len() - 2..],
        ["behind done", "behind delete"],
        "{log:#?}"
    );
    assert!(!own.contains(&"behind log"), "{log:#?}");
    let position = |name| seen.iter().position(|line| *line == name);
    assert!(
        position("behind delete") < position("before log"),
        "{log:#?}"
    );
}

#[test]
#[ignore = "needs Envoy"]
fn its_reply_passes_the_filters_before_the_router_only() {
    let reply =
        json!({"call": "send_local_response", "args": [418, "told", "tea", {"pairs": []}, -1]});
    let (status, log) = play(
        "replies",
        json!({"trace": true, "request_headers": [reply]}),
    );
    assert_eq!(status, 418);
    assert_eq!(
        callbacks(&log),
        [
            "before context_create",
            "before request_headers",
            "behind context_create",
            "behind request_headers",
            "behind done",
            "behind delete",
            "before response_headers",
            "before response_body",
            "before log",
            "before done",
            "before delete",
        ],
        "{log:#?}"
    );
}

#[test]
#[ignore = "needs Envoy"]
fn its_trap_is_a_503_that_passes_the_filters_before_the_router() {
    let (status, log) = play(
        "traps",
        json!({"trace": true, "request_headers": [{"trap": true}]}),
    );
    assert_eq!(status, 503);
    assert_eq!(
        callbacks(&log),
        [
            "before context_create",
            "before request_headers",
            "behind context_create",
            "behind request_headers",
            "before response_headers",
            "before log",
            "before done",
            "before delete",
        ],
        "{log:#?}"
    );
}
