//! Connections that become something else, through filters of the SDK: on Envoy alone, since the
//! harness plays listeners without `upgrade_configs`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use attache_envoy::{Bootstrap, Envoy, FilterSource, Listener, Plugin, RunFolder, StartOptions};

use crate::both::{envoy, folder, module, until};

const LIMIT: Duration = Duration::from_secs(30);
const WEBSOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\n";

/// What stands between two ends of a tunnel, with what each end sends.
struct Tunnel {
    _envoy: Envoy,
    upstream: TcpListener,
    address: SocketAddr,
}

impl Tunnel {
    fn through(folder: &RunFolder, package: &'static str, root_id: &str, configured: &str) -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut plugin = Plugin::new(root_id, module(package)).configured(configured);
        root_id.clone_into(&mut plugin.root_id);
        plugin.allow_on_headers_stop_iteration = root_id == "sealed";
        let mut listener = Listener::new("inner");
        listener.filters = vec![FilterSource::Static(plugin)];
        upstream.set_nonblocking(true).unwrap();
        let address = upstream.local_addr().unwrap();
        let bootstrap = Bootstrap::new(address.into(), vec![listener]);
        let path = bootstrap.write(&folder.join("envoy.yaml")).unwrap();
        let yaml: String = std::fs::read_to_string(&path)
            .unwrap()
            .lines()
            .map(with_upgrades)
            .collect();
        std::fs::write(&path, yaml).unwrap();
        let options = StartOptions {
            concurrency: 1,
            discovered: bootstrap.discovered(),
            ..StartOptions::default()
        };
        let envoy = Envoy::start(envoy(), &path, folder, options).unwrap();
        let address = envoy.listener_address("inner").unwrap();
        Self {
            _envoy: envoy,
            upstream,
            address,
        }
    }

    /// Asks for a tunnel, which a filter that waits lets through after a moment.
    fn ask(&self, path: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let start = format!("GET {path} HTTP/1.1\r\nhost: x\r\nx-wait: 50\r\n");
        write!(client, "{start}{WEBSOCKET}\r\n").unwrap();
        client
    }

    /// Takes it at the other end.
    fn take(&self) -> TcpStream {
        let mut taken = None;
        until(|| {
            taken = self.upstream.accept().ok();
            taken.is_some()
        });
        let (mut server, _) = taken.unwrap();
        server.set_nonblocking(false).unwrap();
        server.set_read_timeout(Some(LIMIT)).unwrap();
        let head = head(&mut server).to_ascii_lowercase();
        assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
        write!(
            server,
            "HTTP/1.1 101 Switching Protocols\r\n{WEBSOCKET}\r\n"
        )
        .unwrap();
        server
    }
}

/// A line of a bootstrap, with upgrades where it is one of a connection manager's.
fn with_upgrades(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    if line.trim_start().starts_with("stat_prefix:") {
        let blanks = " ".repeat(indent);
        return format!("{line}\n{blanks}upgrade_configs: [{{upgrade_type: websocket}}]\n");
    }
    format!("{line}\n")
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

/// Sends `sent` into one end, and demands `seen` at the other.
fn pass(from: &mut TcpStream, sent: &str, to: &mut TcpStream, seen: &str) {
    from.write_all(sent.as_bytes()).unwrap();
    let mut bytes = vec![0; seen.len()];
    to.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), seen);
}

/// Both ends talk in turn, for longer than any filter here may hold.
fn talk(tunnel: &Tunnel, path: &str, sent: &str, seen: &str) {
    let mut client = tunnel.ask(path);
    let mut server = tunnel.take();
    let answer = head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    for _ in 0..3 {
        pass(&mut client, sent, &mut server, seen);
        pass(&mut server, sent, &mut client, seen);
    }
}

#[test]
#[ignore = "needs Envoy"]
fn a_tunnel_passes_filters_that_collect_behind_headers() {
    let folder = folder("sdk-upgrades-collect");
    let tunnel = Tunnel::through(&folder, "bodies", "judge", r#"{"limit": 100}"#);
    talk(&tunnel, "/", "bytes", "bytes");
}

#[test]
#[ignore = "needs Envoy"]
fn a_tunnel_that_would_be_collected_behind_held_headers_is_too_large_at_once() {
    let folder = folder("sdk-upgrades-held");
    let tunnel = Tunnel::through(&folder, "bodies", "sealed", r#"{"limit": 100}"#);
    let answer = head(&mut tunnel.ask("/"));
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[test]
#[ignore = "needs Envoy"]
fn a_tunnel_passes_a_transform() {
    let folder = folder("sdk-upgrades-transform");
    let tunnel = Tunnel::through(&folder, "bodies", "rewrite", "{}");
    talk(&tunnel, "/", "a secret.", "a xxxxxx.");
}

#[test]
#[ignore = "needs Envoy"]
fn a_tunnel_passes_a_filter_that_waits_for_it_in_either_direction() {
    let folder = folder("sdk-upgrades-wait");
    let tunnel = Tunnel::through(&folder, "caller", "waiter", "{}");
    for path in ["/sleep", "/answer"] {
        talk(&tunnel, path, "bytes", "bytes");
    }
}
