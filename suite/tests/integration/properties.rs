//! Properties and filter state: the harness against a real Envoy.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use attache_envoy::upstream::{Reply, Upstream};
use attache_envoy::{
    Bootstrap, Endpoint, Envoy, FilterSource, Listener, Plugin, StartOptions, http1,
};
use attache_harness::{
    Arrival, Attributes, Host, HostBuilder, Locality, Request, Response, TcpReply, TrafficDirection,
};
use serde_json::json;

use crate::both::{chain, envoy, folder, lines_of_filters, until};
use crate::reader::{Step, get, module, set};

const PATHS: &[&str] = &[
    "",
    "/",
    "request",
    "request/",
    "request//path",
    "request/path",
    "request/path/x",
    "request/url_path",
    "request/query",
    "request/host",
    "request/scheme",
    "request/method",
    "request/id",
    "request/protocol",
    "request/referer",
    "request/useragent",
    "request/headers",
    "request/headers/x-a",
    "request/headers/X-A",
    "request/headers/bad name",
    "request/headers/:path",
    "request/headers_bytes",
    "request/time",
    "request/duration",
    "request/size",
    "request/total_size",
    "response",
    "response/code",
    "response/code_details",
    "response/flags",
    "response/grpc_status",
    "response/headers",
    "response/headers/x-up",
    "response/headers_bytes",
    "response/trailers",
    "response/size",
    "response/total_size",
    "response/backend_latency",
    "source",
    "source/address",
    "source/port",
    "destination/address",
    "destination/port",
    "connection",
    "connection/id",
    "connection/mtls",
    "connection/requested_server_name",
    "connection/tls_version",
    "connection/subject_local_certificate",
    "connection/subject_peer_certificate",
    "connection/uri_san_local_certificate",
    "connection/uri_san_peer_certificate",
    "connection/dns_san_local_certificate",
    "connection/dns_san_peer_certificate",
    "connection/sha256_peer_certificate_digest",
    "connection/termination_details",
    "connection/transport_failure_reason",
    "connection_id",
    "upstream",
    "upstream/address",
    "upstream/port",
    "upstream/local_address",
    "upstream/locality",
    "upstream/locality/region",
    "upstream/transport_failure_reason",
    "upstream/cx_pool_ready_duration",
    "upstream/request_attempt_count",
    "upstream/num_endpoints",
    "upstream/tls_version",
    "metadata",
    "metadata/filter_metadata",
    "metadata/filter_metadata/dyn",
    "metadata/filter_metadata/dyn/text",
    "metadata/filter_metadata/dyn/nothing",
    "metadata/typed_filter_metadata",
    "metadata/nothing",
    "filter_state",
    "filter_state/test.state",
    "filter_state/test.state/x",
    "filter_state/nothing",
    "filter_state/wasm.mine",
    "filter_state/wasm.",
    "filter_state/envoy.tcp_proxy.cluster",
    "upstream_filter_state",
    "upstream_filter_state/x",
    "xds",
    "xds/cluster_name",
    "xds/cluster_metadata",
    "xds/cluster_metadata/filter_metadata",
    "xds/cluster_metadata/filter_metadata/m",
    "xds/cluster_metadata/filter_metadata/m/k",
    "xds/route_name",
    "xds/route_metadata",
    "xds/route_metadata/filter_metadata",
    "xds/route_metadata/filter_metadata/one",
    "xds/route_metadata/filter_metadata/text/k",
    "xds/route_metadata/filter_metadata/text/k/x",
    "xds/route_metadata/filter_metadata/number/k",
    "xds/route_metadata/filter_metadata/number",
    "xds/route_metadata/filter_metadata/bool/k",
    "xds/route_metadata/filter_metadata/bool",
    "xds/route_metadata/filter_metadata/null/k",
    "xds/route_metadata/filter_metadata/null",
    "xds/route_metadata/filter_metadata/list/k",
    "xds/route_metadata/filter_metadata/list/k/0",
    "xds/route_metadata/filter_metadata/list/k/1",
    "xds/route_metadata/filter_metadata/list/k/2",
    "xds/route_metadata/filter_metadata/list/k/9",
    "xds/route_metadata/filter_metadata/list/k/x",
    "xds/route_metadata/filter_metadata/deep/k",
    "xds/route_metadata/filter_metadata/deep/k/inner",
    "xds/route_metadata/filter_metadata/empty",
    "xds/route_metadata/filter_metadata/nothing",
    "xds/virtual_host_name",
    "xds/virtual_host_metadata",
    "xds/virtual_host_metadata/filter_metadata/v/k",
    "xds/upstream_host_metadata",
    "xds/upstream_host_metadata/filter_metadata/h/k",
    "xds/upstream_host_locality_metadata",
    "xds/filter_chain_name",
    "xds/listener_metadata",
    "xds/listener_metadata/filter_metadata/l/k",
    "xds/listener_direction",
    "xds/node/id",
    "xds/node/cluster",
    "xds/node/metadata",
    "xds/node/metadata/k",
    "xds/node/locality",
    "xds/node/locality/zone",
    "xds/node/user_agent_name",
    "xds/node/user_agent_version",
    "xds/node/nothing",
    "xds/nothing",
    "plugin_name",
    "plugin_name/x",
    "plugin_root_id",
    "plugin_vm_id",
    "node",
    "cluster_name",
    "route_name",
    "listener_direction",
    "listener_metadata",
    "mine",
    "mine/x",
    "wasm.mine",
    "two/parts",
    "nothing",
];

/// What is another number each time; only its status is compared.
const VARIES: &[&str] = &[
    "request/id",
    "request/time",
    "request/duration",
    // The header with the upstream's milliseconds has one digit or two.
    "response/headers_bytes",
    "response/total_size",
    "response/backend_latency",
    "source/address",
    "source/port",
    "destination/address",
    "destination/port",
    "connection/id",
    "connection_id",
    "upstream/address",
    "upstream/port",
    "upstream/local_address",
    "upstream/cx_pool_ready_duration",
];

const REQUEST: &[u8] = b"POST /a/b?c=d HTTP/1.1\r\nhost: example.com\r\nx-a: 1\r\nx-a: 2\r\n\
    user-agent: test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

/// A guest that reads everything in every phase, and keeps some values in between.
fn guest() -> Vec<u8> {
    let all = || -> Vec<Step> { PATHS.iter().map(|path| get(path)).collect() };
    let mut phases: Vec<(&str, Vec<Step>)> = [
        "start",
        "configure",
        "rqh",
        "rqb",
        "rsh",
        "rsb",
        "log",
        "done",
        "delete",
    ]
    .into_iter()
    .map(|phase| (phase, all()))
    .collect();
    phases[1].1.push(set("mine", "kept"));
    phases[2].1.extend([
        set("mine", "kept"),
        set("", "empty"),
        set("two\0parts", "two"),
        set("request", "shadowed"),
    ]);
    let nothing = |name| Step::Foreign(name, Vec::new());
    phases[1]
        .1
        .extend([nothing("declare_property"), nothing("declare_property")]);
    phases[2].1.extend([
        nothing("clear_route_cache"),
        nothing("set_envoy_filter_state"),
        nothing("unknown"),
    ]);
    phases[6].1.extend([set("mine", "changed"), get("mine")]);
    module(&phases)
}

#[test]
#[ignore = "needs Envoy"]
fn every_property_answers_in_every_phase_as_in_envoy() {
    let predicted = on_harness(Host::builder().attributes(all()), &guest(), known());
    let folder = folder("properties");
    let count = predicted.len();
    let seen = on_envoy(&folder, &guest(), count, |upstream| {
        bootstrap(&folder, upstream)
    });
    compare(&predicted, &seen);
    let access_log = || std::fs::read_to_string(folder.join("access.log")).unwrap();
    until(|| !access_log().is_empty());
    let access_log = access_log();
    assert_eq!(
        access_log.trim_end(),
        r#"{"@type":"type.googleapis.com/google.protobuf.BytesValue","value":"Y2hhbmdlZA=="} changed a state"#
    );
}

/// What the SDK reads as types, in the guest `keeper`.
const TYPED: &[&str] = &[
    "xds.upstream_host_metadata.filter_metadata.h.k is not there",
    r#"xds.upstream_host_metadata.filter_metadata.h.k = "host""#,
    r#"xds.cluster_metadata.filter_metadata.m.k = "cluster""#,
    r#"xds.virtual_host_metadata.filter_metadata.v.k = "vhost""#,
    r#"xds.listener_metadata.filter_metadata.l.k = "listener""#,
    r#"metadata.filter_metadata.dyn.text = "dynamic""#,
    "metadata.filter_metadata.dyn.nothing is not there",
    r#"xds.route_metadata.filter_metadata.text.k = "v""#,
    "xds.route_metadata.filter_metadata.number.k = 2.0",
    "xds.route_metadata.filter_metadata.bool.k = true",
    "xds.route_metadata.filter_metadata.null.k: cannot read a property",
    "xds.route_metadata.filter_metadata.list.k = List([[97], [0, 0, 0, 0, 0, 0, 0, 64], [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 98, 0, 0]])",
    "xds.route_metadata.filter_metadata.deep.k = Map([([105, 110, 110, 101, 114], [1, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 108, 101, 97, 102, 0, 120, 0])])",
    "xds.route_metadata.filter_metadata.deep.k.inner = Map([([108, 101, 97, 102], [120])])",
    "xds.route_metadata.filter_metadata.text.k: property `xds.route_metadata.filter_metadata.text.k` is of another kind than a number",
    "xds.route_metadata.filter_metadata.number.k: property `xds.route_metadata.filter_metadata.number.k` is of another kind than a truth value",
    "xds.route_metadata.filter_metadata.text.k: property `xds.route_metadata.filter_metadata.text.k` is not a map",
];

#[test]
#[ignore = "needs Envoy"]
fn the_sdk_reads_metadata_as_types() {
    let guest = std::fs::read(crate::both::module("keeper")).unwrap();
    let builder = Host::builder().attributes(all());
    let predicted = on_harness_as("operator", builder, &guest, known());
    assert_eq!(predicted, TYPED);
    let folder = folder("properties-typed");
    let seen = on_envoy(&folder, &guest, TYPED.len(), |upstream| {
        bootstrap(&folder, upstream).replace("the-root", "operator")
    });
    assert_eq!(seen, TYPED);
}

/// The attributes of [`bootstrap`].
fn all() -> Attributes {
    let metadata = |key: &str, value: &str| [(key.to_owned(), json!(value))];
    Attributes::default()
        .node_id("the-node")
        .node_cluster("the-node-cluster")
        .node_metadata(metadata("k", "v"))
        .node_locality(locality("r", "z", "s"))
        .listener_direction(TrafficDirection::Inbound)
        .listener_metadata("l", metadata("k", "listener"))
        .filter_chain_name("the-chain")
        .virtual_host_name("the-host")
        .virtual_host_metadata("v", metadata("k", "vhost"))
        .route_name("the-route")
        .route_metadata("text", metadata("k", "v"))
        .route_metadata("number", [("k", json!(2))])
        .route_metadata("bool", [("k", json!(true))])
        .route_metadata("null", [("k", json!(null))])
        .route_metadata("list", [("k", json!(["a", 2, ["b"]]))])
        .route_metadata("deep", [("k", json!({"inner": {"leaf": "x"}}))])
        .route_metadata("empty", [("", json!(null)); 0])
        .route_metadata("one", metadata("one", "two"))
        .cluster_name("the-cluster")
        .cluster_metadata("m", metadata("k", "cluster"))
        .upstream_host_metadata("h", metadata("k", "host"))
        .upstream_host_locality_metadata("q", metadata("k", "locality"))
        .upstream_locality(locality("ur", "uz", ""))
}

/// The request, with what the filters before in [`bootstrap`] make of it.
fn known() -> Request {
    request()
        .dynamic_metadata("dyn", [("text", json!("dynamic"))])
        .filter_state("test.state", "a state")
}

#[test]
#[ignore = "needs Envoy"]
fn what_is_not_configured_answers_as_in_envoy() {
    let predicted = on_harness(Host::builder(), &guest(), request());
    let folder = folder("properties-by-default");
    let seen = on_envoy(&folder, &guest(), predicted.len(), |upstream| {
        let mut plugin = Plugin::new("reader", folder.join("guest.wasm"));
        plugin.root_id = "the-root".to_owned();
        let mut listener = Listener::new("ingress");
        listener.filters = vec![FilterSource::Static(plugin)];
        let bootstrap = Bootstrap::new(Endpoint::from(upstream), vec![listener]);
        bootstrap
            .to_yaml()
            .unwrap()
            .replace("vm_id: \"reader\"", "vm_id: \"the-vm\"")
    });
    compare(&predicted, &seen);
}

#[test]
#[ignore = "needs Envoy"]
fn every_property_of_a_tcp_connection_answers_as_in_envoy() {
    let all = || -> Vec<Step> { PATHS.iter().map(|path| get(path)).collect() };
    let names = [
        "conn",
        "down",
        "up",
        "down-close",
        "up-close",
        "done",
        "log",
        "delete",
    ];
    let mut phases: Vec<(&str, Vec<Step>)> = names.map(|phase| (phase, all())).into();
    phases[0].1.push(set("mine", "kept"));
    let guest = module(&phases);

    let attributes = Attributes::default()
        .node_id("the-node")
        .node_cluster("the-node-cluster")
        .node_metadata([("k", json!("v"))])
        .node_locality(locality("r", "z", "s"))
        .listener_direction(TrafficDirection::Inbound)
        .listener_metadata("l", [("k", json!("listener"))])
        .filter_chain_name("the-chain")
        .cluster_name("the-cluster")
        .cluster_metadata("m", [("k", json!("cluster"))])
        .upstream_host_metadata("h", [("k", json!("host"))]);
    let plugin = attache_harness::Plugin::from_bytes("reader", &*guest)
        .root_id("the-root")
        .vm_id("the-vm");
    let mut host = Host::builder()
        .attributes(attributes)
        .tcp_chain("tcp", [plugin])
        .start()
        .unwrap();
    host.tcp_upstream(|arrival| match arrival {
        Arrival::Data(_) => TcpReply::none().send_last("pong"),
        _ => TcpReply::none(),
    });
    let id = host.connect().unwrap();
    host.send_data(id, "ping").unwrap();
    host.half_close(id).unwrap();
    let lines = host.log().iter();
    let predicted: Vec<String> = lines.map(|line| line.message.clone()).collect();

    let folder = folder("properties-tcp");
    std::fs::write(folder.join("guest.wasm"), guest).unwrap();
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let yaml = include_str!("properties-tcp.yaml")
        .replace("MODULE", &folder.join("guest.wasm").display().to_string())
        .replace("PORT", &upstream.local_addr().unwrap().port().to_string());
    std::thread::spawn(move || {
        let (mut connection, _) = upstream.accept()?;
        connection.read_exact(&mut [0; 4])?;
        attache_envoy::tcp::send_last(&connection, b"pong")
    });
    let seen = with_envoy(&folder, yaml, predicted.len(), |address| {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(b"ping").unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"pong");
    });
    assert_eq!(predicted.len(), seen.len());
    compare(&predicted, &seen);
}

/// Envoy with everything that properties tell of.
pub(crate) fn bootstrap(folder: &Path, upstream: SocketAddr) -> String {
    BOOTSTRAP
        .replace("MODULE", &folder.join("guest.wasm").display().to_string())
        .replace("FOLDER", &folder.display().to_string())
        .replace("PORT", &upstream.port().to_string())
}

fn locality(region: &str, zone: &str, sub_zone: &str) -> Locality {
    Locality {
        region: region.to_owned(),
        zone: zone.to_owned(),
        sub_zone: sub_zone.to_owned(),
    }
}

pub(crate) fn request() -> Request {
    Request::post("/a/b?c=d")
        .header("x-a", "1")
        .header("x-a", "2")
        .header("user-agent", "test")
        .chunk("abc")
}

pub(crate) fn on_harness(builder: HostBuilder, guest: &[u8], request: Request) -> Vec<String> {
    on_harness_as("the-root", builder, guest, request)
}

fn on_harness_as(
    root_id: &str,
    builder: HostBuilder,
    guest: &[u8],
    request: Request,
) -> Vec<String> {
    let plugin = attache_harness::Plugin::from_bytes("reader", guest)
        .root_id(root_id)
        .vm_id("the-vm");
    let mut host = builder.plugin(plugin).start().unwrap();
    host.upstream(|_| Response::new(201).header("x-up", "1").body("hello"));
    host.send(request).unwrap();
    let lines = host.log().iter();
    lines.map(|line| line.message.clone()).collect()
}

/// Plays the request on Envoy and gives what the guest logged, without Envoy's prefix, once that are so
/// many lines.
pub(crate) fn on_envoy(
    folder: &Path,
    guest: &[u8],
    count: usize,
    yaml: impl FnOnce(SocketAddr) -> String,
) -> Vec<String> {
    std::fs::write(folder.join("guest.wasm"), guest).unwrap();
    let upstream = Upstream::start(|_| {
        let length = http1::Header::new("content-length", "5");
        let mut reply = Reply::new(201).header("x-up", "1").body("hello");
        reply.headers.push(length);
        reply
    })
    .unwrap();
    with_envoy(folder, yaml(upstream.address()), count, |address| {
        http1::exchange(address, REQUEST, Duration::from_secs(10))
            .unwrap_or_else(|error| panic!("{}", chain(&error)));
    })
}

/// Lets a client talk to an Envoy of this configuration, and gives what the guest logged.
fn with_envoy(
    folder: &Path,
    yaml: String,
    count: usize,
    client: impl FnOnce(SocketAddr),
) -> Vec<String> {
    let config = folder.join("envoy.yaml");
    std::fs::write(&config, yaml).unwrap();
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    let envoy = Envoy::start(envoy(), &config, folder, options)
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    client(envoy.listener_address("ingress").unwrap());
    let lines = lines_of_filters(&envoy, count);
    envoy.stop().unwrap();
    let text = |line: &String| {
        let (_, text) = line.split_once(": ").unwrap_or(("", line));
        text.to_owned()
    };
    lines.iter().map(text).collect()
}

/// Demands the same lines, and lists those that differ.
fn compare(predicted: &[String], seen: &[String]) {
    let [predicted, seen] = [predicted, seen].map(|lines| lines.iter().map(|line| plain(line)));
    let (predicted, seen): (Vec<_>, Vec<_>) = (predicted.collect(), seen.collect());
    let differ: Vec<String> = predicted
        .iter()
        .zip(&seen)
        .filter(|(ours, envoys)| ours != envoys)
        .map(|(ours, envoys)| format!("harness: {ours}\nEnvoy:   {envoys}"))
        .collect();
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(seen.len() > 7 * PATHS.len(), "{} lines", seen.len());
    assert_eq!(predicted.len(), seen.len());
}

/// A line without what varies: numbers of this run, and the order of maps.
fn plain(line: &str) -> String {
    let mut parts = line.rsplitn(3, ' ');
    let (bytes, status) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let name = parts.next().unwrap_or_default();
    let path = name.split_once(' ').map_or("", |(_, path)| path);
    let shown = match path {
        _ if VARIES.contains(&path) => "…".to_owned(),
        "request/headers" | "response/headers" => match pairs(&unhex(bytes)) {
            Some(mut pairs) => {
                for name in ["x-request-id", "date", "x-envoy-upstream-service-time"] {
                    pairs
                        .entry(name.to_owned())
                        .and_modify(|value| *value = "…".to_owned());
                }
                format!("{pairs:?}")
            }
            None => bytes.to_owned(),
        },
        // Many fields, in the order of a hash table.
        "xds/route_metadata" => format!("{} bytes", bytes.len() / 2),
        _ => bytes.to_owned(),
    };
    format!("{name} {status} {shown}")
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map_while(digit).collect()
}

fn pairs(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let number =
        |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
    let count = number(0)?;
    let mut at = 4 + 8 * count;
    let mut pairs = BTreeMap::new();
    for index in 0..count {
        let (key, value) = (number(4 + 8 * index)?, number(8 + 8 * index)?);
        let text = |from: usize, size: usize| {
            Some(String::from_utf8_lossy(bytes.get(from..from + size)?).into_owned())
        };
        pairs.insert(text(at, key)?, text(at + key + 1, value)?);
        at += key + value + 2;
    }
    Some(pairs)
}

const BOOTSTRAP: &str = include_str!("properties.yaml");
