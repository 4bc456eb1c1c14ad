//! Only Envoys with a certificate get in.

use std::path::{Path, PathBuf};

use attache_control_plane::status::Phase;
use attache_control_plane::xds::{self, Tls};
use attache_envoy::{Bootstrap, Cluster, Codec, Envoy, FilterSource, Listener, StartOptions};

use crate::stage::{PLUGIN, Stage, installation, module, says};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/integration/tls")
        .join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// How a server knows Envoys.
pub(crate) fn tls() -> Tls {
    Tls::new(
        text("server.pem"),
        text("server.key.pem"),
        text("authority.pem"),
    )
}

/// A stage whose discovery is on another port with TLS as well.
fn with_tls() -> (Stage, std::net::SocketAddr) {
    let stage = Stage::new();
    let tls = tls();
    let address = stage.spawn(|listener, plane| xds::serve(listener, plane, Some(tls)));
    (stage, address)
}

/// Starts an Envoy that shows this certificate.
fn start(stage: &Stage, discovery: std::net::SocketAddr, certificate: &str) -> Envoy {
    let mut listener = Listener::new("filtered");
    listener.filters.push(FilterSource::Served {
        name: PLUGIN.into(),
        cluster: "control-plane".into(),
    });
    let mut bootstrap = Bootstrap::new(stage.upstream.address().into(), vec![listener]);
    let cluster = Cluster::new(discovery, Codec::Http2);
    bootstrap.clusters.insert("control-plane".into(), cluster);
    let path = |name: String| file(&name).display().to_string();
    let socket = format!(
        "    transport_socket:\n      name: envoy.transport_sockets.tls\n      typed_config:\n        \
         \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n        \
         common_tls_context:\n          \
         tls_certificates: [{{ certificate_chain: {{ filename: {} }}, private_key: {{ filename: {} }} }}]\n          \
         validation_context: {{ trusted_ca: {{ filename: {} }} }}\n",
        path(format!("{certificate}.pem")),
        path(format!("{certificate}.key.pem")),
        path("authority.pem".to_owned()),
    );
    let yaml = bootstrap.to_yaml().unwrap();
    let name = "- name: \"control-plane\"\n";
    let end = yaml.rfind(name).unwrap() + name.len();
    let indent = yaml[..end - name.len()].rsplit('\n').next().unwrap().len();
    let socket: String = socket
        .lines()
        .map(|line| format!("{}{}\n", &"        "[..indent], &line[2..]))
        .collect();
    let folder = stage.folder.join(certificate);
    std::fs::create_dir_all(&folder).unwrap();
    let config = folder.join("envoy.yaml");
    std::fs::write(&config, format!("{}{socket}{}", &yaml[..end], &yaml[end..])).unwrap();
    Envoy::start(&installation(), &config, &folder, StartOptions::default()).unwrap()
}

#[test]
#[ignore = "needs Envoy"]
fn an_envoy_with_a_certificate_is_served() {
    let (stage, discovery) = with_tls();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    let envoy = start(&stage, discovery, "envoy");
    says(envoy.listener_address("filtered").unwrap(), "a");
    let status = stage.reaches("r", Phase::AcknowledgedUnconfirmed);
    assert!(
        status.envoys[0].address.starts_with("127.0.0.1:"),
        "{status:?}"
    );
}

#[test]
#[ignore = "needs Envoy"]
fn an_envoy_that_nobody_vouches_for_is_not_served() {
    let (stage, discovery) = with_tls();
    stage.write("r.wasm", module());
    stage.declare("r", "a", "");
    stage.reaches("r", Phase::Pushed);
    // Envoy gives up waiting after 15 s, and answers for itself.
    let envoy = start(&stage, discovery, "unknown");
    let failed = envoy
        .stat("cluster.control-plane.ssl.connection_error")
        .unwrap();
    let closed = envoy
        .stat("cluster.control-plane.upstream_cx_destroy")
        .unwrap();
    assert!(failed.unwrap_or(0) + closed.unwrap_or(0) > 0);
    assert!(stage.plane.rollout("r").unwrap().envoys.is_empty());
}
