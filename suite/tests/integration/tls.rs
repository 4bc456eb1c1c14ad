//! Attributes of TLS, which the harness does not have: Envoy talks to itself, and a filter looks on either
//! side.

use std::path::Path;
use std::time::Duration;

use attache_envoy::upstream::Upstream;
use attache_envoy::{
    Bootstrap, Endpoint, Envoy, FilterSource, Listener, Plugin, RunFolder, StartOptions, http1,
};
use serde_json::{Value, json};

use crate::both::{self, envoy, lines_of_filters, module};

/// For these tests only: nobody trusts it.
const CERTIFICATE: &str = include_str!("tls/certificate.pem");
const KEY: &str = include_str!("tls/key.pem");
const DIGEST: &str = "cfcc353fef478258e39e686d24193c2c1a11b7cb8db56abd916f6c0ce4278889";

/// Steps that ask for properties of `object`. In what they log, the NUL is shown as a full stop.
fn asked(object: &str, names: &[&str]) -> Vec<Value> {
    let ask = |name: &&str| json!({"call": "get_property", "args": [{"join": [object, {"hex": "00"}, name]}]});
    names.iter().map(ask).collect()
}

fn plugin(name: &str, callback: &str, steps: &[Value]) -> Plugin {
    let mut plugin = Plugin::new(name, module("probe"));
    plugin.configuration = Some(json!({ callback: steps }).to_string());
    plugin
}

/// The text with other words in the only place of these.
fn replaced(text: &str, words: &str, others: &str) -> String {
    assert_eq!(text.matches(words).count(), 1, "{words}");
    text.replace(words, others)
}

/// What a listener looks at before its filters.
#[derive(Eq, PartialEq)]
enum Looks {
    AtNothing,
    /// By a TLS inspector.
    AtNames,
}

/// Whether the client shows a certificate, which the server then asks for.
#[derive(Eq, PartialEq)]
enum Client {
    Shows,
    HidesIt,
}

fn started(config: &Path, folder: &Path) -> Envoy {
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    Envoy::start(envoy(), config, folder, options).unwrap()
}

/// Two that have served a request: `inner` behind TLS, and `outer`, which sent it there.
struct Pair {
    inner: Envoy,
    outer: Envoy,
    _folders: [RunFolder; 2],
}

fn pair(name: &str, client: Client, looks: Looks, plugins: [Plugin; 2]) -> Pair {
    let [inner_plugin, outer_plugin] = plugins;
    let folder = both::folder(&format!("tls-{name}"));
    for (file, text) in [("certificate.pem", CERTIFICATE), ("key.pem", KEY)] {
        std::fs::write(folder.join(file), text).unwrap();
    }
    let certificate = json!(folder.join("certificate.pem"));
    let key = json!(folder.join("key.pem"));
    let pair = format!(
        "tls_certificates: [{{ certificate_chain: {{ filename: {certificate} }}, private_key: {{ filename: {key} }} }}]"
    );
    let trusted = format!("validation_context: {{ trusted_ca: {{ filename: {certificate} }} }}");

    let upstream = Upstream::echo().unwrap();
    let mut inner = Listener::new("inner");
    inner.filters = vec![FilterSource::Static(inner_plugin)];
    let yaml = Bootstrap::new(Endpoint::from(upstream.address()), vec![inner])
        .to_yaml()
        .unwrap();
    let context =
        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
    let checks = if client == Client::Shows {
        trusted.as_str()
    } else {
        ""
    };
    let socket = format!(
        r#"- transport_socket:
            name: tls
            typed_config:
              "@type": {context}
              common_tls_context:
                {pair}
                {checks}
          filters:"#
    );
    let inspector =
        "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
    let mut yaml = replaced(&yaml, "- filters:", &socket);
    if looks == Looks::AtNames {
        let filters = format!(
            r#"listener_filters: [{{ name: inspector, typed_config: {{ "@type": {inspector} }} }}]
      filter_chains:"#
        );
        yaml = replaced(&yaml, "filter_chains:", &filters);
    }
    let config = folder.join("inner.yaml");
    std::fs::write(&config, yaml).unwrap();
    let inner = started(&config, &folder);
    let endpoint = Endpoint::from(inner.listener_address("inner").unwrap());

    let outer_folder = both::folder(&format!("tls-{name}-outer"));
    let mut listener = Listener::new("outer");
    listener.filters = vec![FilterSource::Static(outer_plugin)];
    let yaml = Bootstrap::new(endpoint, vec![listener]).to_yaml().unwrap();
    let context =
        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    let shown = if client == Client::Shows {
        pair.as_str()
    } else {
        ""
    };
    let socket = format!(
        r#"connect_timeout: 5s
      transport_socket:
        name: tls
        typed_config:
          "@type": {context}
          sni: example.com
          common_tls_context:
            {shown}"#
    );
    let config = outer_folder.join("outer.yaml");
    std::fs::write(&config, replaced(&yaml, "connect_timeout: 5s", &socket)).unwrap();
    let outer = started(&config, &outer_folder);
    let address = outer.listener_address("outer").unwrap();
    let request = b"GET /x HTTP/1.1\r\nhost: example.com\r\n\r\n";
    let response = http1::exchange(address, request, Duration::from_secs(30)).unwrap();
    assert_eq!(response.status, 200);
    Pair {
        inner,
        outer,
        _folders: [folder, outer_folder],
    }
}

/// The answers that the two filters log, one behind TLS and one that sends by it.
fn play(name: &str, client: Client, looks: Looks) -> Vec<String> {
    let inner = [
        "tls_version",
        "mtls",
        "requested_server_name",
        "subject_local_certificate",
        "subject_peer_certificate",
        "uri_san_local_certificate",
        "uri_san_peer_certificate",
        "dns_san_local_certificate",
        "dns_san_peer_certificate",
        "sha256_peer_certificate_digest",
    ];
    let outer = [
        "tls_version",
        "subject_peer_certificate",
        "uri_san_peer_certificate",
    ];
    let plugins = [
        plugin("inner", "request_headers", &asked("connection", &inner)),
        plugin("outer", "response_headers", &asked("upstream", &outer)),
    ];
    let pair = pair(name, client, looks, plugins);
    let mut told = Vec::new();
    for (envoy, count) in [(pair.inner, 10), (pair.outer, 3)] {
        let lines = lines_of_filters(&envoy, count);
        let answers = lines
            .iter()
            .filter_map(|line| line.split_once("get_property(\""));
        told.extend(answers.map(|(_, answer)| answer.replace("\")", "").replace("\\x00", ".")));
        envoy.stop().unwrap();
    }
    told
}

#[test]
#[ignore = "needs Envoy"]
fn a_client_with_a_certificate_is_known_by_it() {
    let told = play("mutual", Client::Shows, Looks::AtNames);
    let digest = format!("connection.sha256_peer_certificate_digest = 0 \"{DIGEST}\"");
    assert_eq!(
        told,
        [
            r#"connection.tls_version = 0 "TLSv1.2""#,
            r#"connection.mtls = 0 "\x01""#,
            r#"connection.requested_server_name = 0 "example.com""#,
            r#"connection.subject_local_certificate = 0 "CN=example.com,O=Attache""#,
            r#"connection.subject_peer_certificate = 0 "CN=example.com,O=Attache""#,
            r#"connection.uri_san_local_certificate = 0 "spiffe://a/b""#,
            r#"connection.uri_san_peer_certificate = 0 "spiffe://a/b""#,
            r#"connection.dns_san_local_certificate = 0 "example.com""#,
            r#"connection.dns_san_peer_certificate = 0 "example.com""#,
            &digest,
            r#"upstream.tls_version = 0 "TLSv1.2""#,
            r#"upstream.subject_peer_certificate = 0 "CN=example.com,O=Attache""#,
            r#"upstream.uri_san_peer_certificate = 0 "spiffe://a/b""#,
        ]
    );
}

/// The subject is an empty text then, and the rest is not there. Without a TLS inspector the name that the
/// client asked for is not known.
#[test]
#[ignore = "needs Envoy"]
fn a_client_without_a_certificate_has_an_empty_subject() {
    let told = play("plain", Client::HidesIt, Looks::AtNothing);
    for line in [
        r#"connection.mtls = 0 ".""#,
        "connection.requested_server_name = 0 null",
        "connection.subject_peer_certificate = 0 null",
        "connection.uri_san_peer_certificate = 1",
        "connection.dns_san_peer_certificate = 1",
        "connection.sha256_peer_certificate_digest = 1",
    ] {
        assert!(told.iter().any(|told| told == line), "{line}: {told:#?}");
    }
}

/// The names of the series that count a request, without their labels for what is constant.
fn series(envoy: &Envoy) -> String {
    let mut found = Vec::new();
    both::until(|| {
        found = envoy.counters("wasmcustom.istio_requests_total").unwrap();
        !found.is_empty()
    });
    let names: Vec<String> = found.into_iter().map(|(name, _)| name).collect();
    names.join(" ")
}

/// On the side of who asks, the one certificate is that of the proxy, and the other one the upstream's.
#[test]
#[ignore = "needs Envoy"]
fn principals_of_either_side_are_labels_of_metrics() {
    let metrics = |reporter: &str| {
        let mut plugin = Plugin::new("metrics", module("metrics"));
        plugin.configuration = Some(json!({"reporter": reporter}).to_string());
        plugin
    };
    for (name, client, asker, policy) in [
        ("known", Client::Shows, "spiffe://a/b", "mutual_tls"),
        ("unknown", Client::HidesIt, "unknown", "none"),
    ] {
        let name = format!("principals-{name}");
        let plugins = [metrics("destination"), metrics("source")];
        let pair = pair(&name, client, Looks::AtNothing, plugins);
        let (asked, asks) = (series(&pair.inner), series(&pair.outer));
        for (series, label, value) in [
            (&asked, "source_principal", asker),
            (&asked, "destination_principal", "spiffe://a/b"),
            (&asked, "connection_security_policy", policy),
            (&asks, "source_principal", asker),
            (&asks, "destination_principal", "spiffe://a/b"),
            // As Istio says it of the side of who asks.
            (&asks, "connection_security_policy", "unknown"),
        ] {
            let label = format!(";{label}={value}");
            assert!(series.contains(&label), "{label}: {series}");
        }
        pair.inner.stop().unwrap();
        pair.outer.stop().unwrap();
    }
}
