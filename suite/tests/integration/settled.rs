//! What Envoy does where no suite can say it: code that is fetched, metadata of HTTP/2, and access logs that
//! are written before the end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use attache_envoy::upstream::{Reply, Upstream};
use attache_envoy::{
    Bootstrap, Cluster, Codec, Endpoint, Envoy, FilterSource, Listener, Plugin, RunFolder,
    StartOptions, http1,
};
use serde_json::{Value, json};

use crate::both::{envoy, folder, lines_of_filters, module};

const LIMIT: Duration = Duration::from_secs(90);

/// An Envoy with a filter that tells its callbacks, in front of an upstream; `change` is made to its
/// configuration.
struct Played {
    envoy: Envoy,
    upstream: Upstream,
    _folder: RunFolder,
}

impl Played {
    fn with(
        name: &str,
        code: Option<&Upstream>,
        script: Value,
        change: impl Fn(&str) -> String,
    ) -> Self {
        let folder = folder(&format!("settled-{name}"));
        let upstream = Upstream::start(|_| Reply::new(200)).unwrap();
        let mut plugin = Plugin::new("probe", module("probe"));
        plugin.configuration = Some(script.to_string());
        let mut listener = Listener::new("main");
        listener.filters = vec![FilterSource::Static(plugin)];
        listener.access_log = Some(folder.join("access.log"));
        let endpoint = Endpoint::from(upstream.address());
        let mut bootstrap = Bootstrap::new(endpoint, vec![listener]);
        if let Some(code) = code {
            let cluster = Cluster::new(code.address(), Codec::Http1);
            bootstrap.clusters.insert("code".to_owned(), cluster);
        }
        let config = folder.join("envoy.yaml");
        let yaml = bootstrap.to_yaml().unwrap();
        let changed = change(&yaml);
        assert!(yaml != changed, "nothing is changed");
        std::fs::write(&config, changed).unwrap();
        let options = StartOptions {
            concurrency: 1,
            ..StartOptions::default()
        };
        let envoy = Envoy::start(envoy(), &config, &folder, options).unwrap();
        Self {
            envoy,
            upstream,
            _folder: folder,
        }
    }

    fn address(&self) -> SocketAddr {
        self.envoy.listener_address("main").unwrap()
    }

    fn get(&self) -> u16 {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        http1::exchange(self.address(), request, LIMIT)
            .unwrap()
            .status
    }
}

/// A configuration with a line before another, as deep as that.
fn before(yaml: &str, place: &str, added: &str) -> String {
    let line = |line: &str| {
        let indent = " ".repeat(line.len() - line.trim_start().len());
        if line.trim_start() == place {
            format!("{indent}{added}\n{line}\n")
        } else {
            format!("{line}\n")
        }
    };
    yaml.lines().map(line).collect()
}

/// The module as code that is fetched, with this digest.
fn fetched(yaml: &str, digest: &str) -> String {
    let uri = "{ uri: \"http://h/probe.wasm\", cluster: code, timeout: 5s }";
    let remote = format!("remote: {{ http_uri: {uri}, sha256: \"{digest}\" }}");
    let lines = before(yaml, "local:", &remote);
    let of_file = |line: &&str| {
        ["local:", "filename:"]
            .iter()
            .any(|key| line.trim_start().starts_with(key))
    };
    let kept = lines.lines().filter(|line| !of_file(line));
    kept.map(|line| format!("{line}\n")).collect()
}

/// A server that has the module.
fn store() -> (Upstream, String) {
    let bytes = std::fs::read(module("probe")).unwrap();
    let digest = attache_module::sha256(&bytes);
    let server = Upstream::start(move |_| Reply::new(200).body(bytes.clone())).unwrap();
    (server, digest)
}

#[test]
#[ignore = "needs Envoy"]
fn fetched_code_is_there_before_the_first_request() {
    let (store, digest) = store();
    let change = |yaml: &str| fetched(yaml, &digest);
    let played = Played::with("fetched", Some(&store), json!({"trace": true}), change);
    let request = store.wait_for(1, LIMIT).unwrap().remove(0);
    assert_eq!(request.target, b"/probe.wasm");
    assert_eq!(played.get(), 200);
    let log = lines_of_filters(&played.envoy, 9);
    assert!(
        log.iter().any(|line| line.contains("request_headers(2, ")),
        "{log:#?}"
    );
}

#[test]
#[ignore = "needs Envoy"]
fn fetched_code_of_another_digest_leaves_a_filter_that_fails_each_request() {
    let (store, _) = store();
    let change = |yaml: &str| fetched(yaml, &"0".repeat(64));
    let played = Played::with("digest", Some(&store), json!({"trace": true}), change);
    assert_eq!(played.get(), 503);
    assert!(played.upstream.take().is_empty());
}

#[test]
#[ignore = "needs Envoy"]
fn an_access_log_that_is_written_early_is_told_to_a_filter_at_the_end_only() {
    const OPTIONS: &str = "access_log_options: { flush_access_log_on_new_request: true }";
    let change = |yaml: &str| before(yaml, "access_log:", OPTIONS);
    let played = Played::with("early-log", None, json!({"trace": true}), change);
    assert_eq!(played.get(), 200);
    let log = lines_of_filters(&played.envoy, 15);
    let logged = log.iter().filter(|line| line.contains(": log("));
    assert_eq!(logged.count(), 1, "{log:#?}");
}

/// A frame of HTTP/2 on the first stream.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Headers, none of which is kept in a table.
fn fields(lines: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in lines {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.bytes());
        }
    }
    block
}

#[test]
#[ignore = "needs Envoy"]
fn metadata_is_counted_for_filters_which_cannot_see_nor_stop_it() {
    const METADATA: u8 = 0x4d;
    const OPTIONS: &str = "http2_protocol_options: { allow_metadata: true }";
    let pairs = json!({"call": "get_header_map_pairs", "args": [0]});
    let script = json!({"trace": true, "request_metadata": [pairs, {"return": 1}]});
    let change = |yaml: &str| before(yaml, "codec_type: AUTO", OPTIONS);
    let played = Played::with("metadata", None, script, change);
    let head = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", "/"),
    ]);
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // Whoever sends settings allows metadata by one of its own.
    sent.extend(frame(4, 0, 0, &[0x4d, 0x44, 0, 0, 0, 1]));
    sent.extend(frame(1, 4, 1, &head));
    sent.extend(frame(METADATA, 4, 1, &fields(&[("k", "v"), ("k2", "v2")])));
    sent.extend(frame(0, 1, 1, b"abc"));
    let mut client = TcpStream::connect(played.address()).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.write_all(&sent).unwrap();
    let mut answer = [0; 9];
    client.read_exact(&mut answer).unwrap();
    let log = lines_of_filters(&played.envoy, 17);
    let own: Vec<&str> = log
        .iter()
        .filter_map(|line| line.split_once("request_metadata"))
        .map(|(_, rest)| rest)
        .collect();
    assert_eq!(
        own,
        ["(2, 2)", ": get_header_map_pairs(0) = 0 null"],
        "{log:#?}"
    );
    assert!(
        log.iter()
            .any(|line| line.contains("request_body(2, 3, 1)")),
        "{log:#?}"
    );
}
