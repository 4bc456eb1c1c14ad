//! What listeners do to who changes a filter by them, and not by discovery of extensions.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use attache_envoy::http1::{exchange, exchange_and_keep};
use attache_envoy::upstream::{Reply, Upstream};
use attache_envoy::{Envoy, StartOptions};
use attache_module::sha256;

use crate::guests;
use crate::scratch::Scratch;
use crate::stage::{LIMIT, Stage, free_port, installation, says, word};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// An Envoy that reads its listener from a file, and modules for it that it fetches.
struct Listened {
    folder: Scratch,
    modules: Upstream,
    port: u16,
}

/// A version of the listener.
struct Version<'v> {
    vm_id: &'v str,
    /// Where the module is fetched, and which one it has to be.
    path: &'v str,
    sha256: String,
    /// What routes say in `x-listener`.
    says: &'v str,
}

impl Listened {
    fn new() -> Self {
        let serve = |request: &attache_envoy::upstream::Request| {
            let name = String::from_utf8_lossy(&request.target[1..]).into_owned();
            Reply::new(200).body(guests::bare(&name))
        };
        Self {
            folder: Scratch::new(),
            modules: Upstream::start(serve).unwrap(),
            port: free_port(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("listeners.yaml")
    }

    fn write(&self, version: &Version<'_>) {
        let Version {
            vm_id,
            path,
            sha256,
            says,
        } = version;
        let (port, modules) = (self.port, self.modules.address());
        let text = format!(
            r#"version_info: "{says}"
resources:
- "@type": type.googleapis.com/envoy.config.listener.v3.Listener
  name: filtered
  address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
  enable_reuse_port: false
  filter_chains:
  - filters:
    - name: envoy.filters.network.http_connection_manager
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        stat_prefix: filtered
        route_config:
          response_headers_to_add: [{{ header: {{ key: x-listener, value: "{says}" }} }}]
          virtual_hosts:
          - name: all
            domains: ["*"]
            routes: [{{ match: {{ prefix: / }}, direct_response: {{ status: 200 }} }}]
        http_filters:
        - name: envoy.filters.http.wasm
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
            config:
              name: marker
              failure_policy: FAIL_CLOSED
              vm_config:
                vm_id: "{vm_id}"
                runtime: envoy.wasm.runtime.v8
                code:
                  remote:
                    sha256: {sha256}
                    http_uri: {{ uri: "http://{modules}/{path}", cluster: modules, timeout: 5s }}
                    retry_policy: {{ num_retries: 0 }}
        - name: envoy.filters.http.router
          typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
"#
        );
        let beside = self.folder.join("beside");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.file()).unwrap();
    }

    fn start(&self) -> Envoy {
        let modules = self.modules.address();
        let text = format!(
            r#"node: {{ id: listened, cluster: listened }}
admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }} }}
dynamic_resources:
  lds_config: {{ path_config_source: {{ path: "{}" }}, resource_api_version: V3 }}
static_resources:
  clusters:
  - name: modules
    type: STATIC
    load_assignment:
      cluster_name: modules
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: {}, port_value: {} }} }} }} }}] }}]
"#,
            self.file().display(),
            modules.ip(),
            modules.port()
        );
        let config = self.folder.join("envoy.yaml");
        fs::write(&config, text).unwrap();
        let options = StartOptions::default();
        Envoy::start(&installation(), &config, &self.folder.join("run"), options).unwrap()
    }
}

impl Listened {
    /// An Envoy that serves its first version, and where.
    fn serve(&self) -> (Envoy, SocketAddr) {
        let envoy = self.start();
        let deadline = Instant::now() + LIMIT;
        let address = loop {
            if let Ok(address) = envoy.listener_address("filtered") {
                break address;
            }
            let log = || fs::read_to_string(self.folder.join("run/envoy.log")).unwrap();
            assert!(Instant::now() < deadline, "there is no listener: {}", log());
            thread::sleep(Duration::from_millis(5));
        };
        listener_says(address, "1");
        (envoy, address)
    }
}

/// What routes say on new connections, once it is this.
fn listener_says(address: SocketAddr, wanted: &str) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let response = exchange(address, REQUEST, LIMIT).unwrap();
        if response.header("x-listener").next() == Some(wanted.as_bytes()) {
            return;
        }
        assert!(Instant::now() < deadline, "`{wanted}` never came");
        thread::sleep(Duration::from_millis(5));
    }
}

fn version<'v>(vm_id: &'v str, path: &'v str, says: &'v str) -> Version<'v> {
    Version {
        vm_id,
        path,
        sha256: sha256(&guests::bare(path)),
        says,
    }
}

#[test]
#[ignore = "needs Envoy"]
fn fetched_code_under_the_vm_id_of_other_code_is_not_run() {
    let listened = Listened::new();
    listened.write(&version("same", "old", "1"));
    let (_envoy, address) = listened.serve();
    assert_eq!(word(address).as_deref(), Some("old"));
    listened.write(&version("same", "new", "2"));
    listener_says(address, "2");
    // It was fetched, the listener is the new one, and the code is not.
    let fetched = listened.modules.take();
    let fetched: Vec<&[u8]> = fetched.iter().map(|request| &*request.target).collect();
    assert_eq!(fetched, [b"/old", b"/new"]);
    assert_eq!(word(address).as_deref(), Some("old"));
    // By a vm_id of its own it is run.
    listened.write(&version("other", "new", "3"));
    listener_says(address, "3");
    says(address, "new");
}

#[test]
#[ignore = "needs Envoy"]
fn pushed_code_under_the_vm_id_of_other_code_is_run() {
    let stage = Stage::new();
    stage.write("r.wasm", guests::bare("old"));
    stage.declare_text("r", "");
    let envoy = stage.start_envoy("edge");
    let address = envoy.listener_address("filtered").unwrap();
    says(address, "old");
    stage.write("r.wasm", guests::bare("new"));
    says(address, "new");
    let dump = envoy.admin("/config_dump?resource=ecds_filters").unwrap();
    let dump = String::from_utf8(dump.body.to_vec()).unwrap();
    assert!(dump.contains("\"vm_id\": \"marker@0\""), "{dump}");
}

#[test]
#[ignore = "needs Envoy"]
fn a_changed_listener_leaves_the_old_filter_to_connections_that_are_open() {
    let listened = Listened::new();
    listened.write(&version("a", "old", "1"));
    let (envoy, address) = listened.serve();
    let connection = TcpStream::connect(address).unwrap();
    let said = || -> io::Result<Option<Vec<u8>>> {
        let kept = connection.try_clone().unwrap();
        let response = exchange_and_keep(kept, &[REQUEST], LIMIT).map_err(io::Error::other)?;
        Ok(response.header("x-word").next().map(<[u8]>::to_vec))
    };
    assert_eq!(said().unwrap().as_deref(), Some(&b"old"[..]));
    listened.write(&version("b", "new", "2"));
    listener_says(address, "2");
    says(address, "new");
    assert_eq!(said().unwrap().as_deref(), Some(&b"old"[..]));
    let draining = envoy
        .stat("listener_manager.total_filter_chains_draining")
        .unwrap();
    assert_eq!(draining, Some(1));
}

#[test]
#[ignore = "needs Envoy"]
fn a_listener_whose_code_is_not_what_it_says_goes_live_and_answers_503() {
    let listened = Listened::new();
    listened.write(&version("a", "old", "1"));
    let (envoy, address) = listened.serve();
    let mut wrong = version("b", "new", "2");
    wrong.sha256 = sha256(b"other code");
    listened.write(&wrong);
    let deadline = Instant::now() + LIMIT;
    while exchange(address, REQUEST, LIMIT).unwrap().status != 503 {
        assert!(Instant::now() < deadline, "it still answers");
        thread::sleep(Duration::from_millis(5));
    }
    let ready = envoy.admin("/ready").unwrap();
    assert_eq!(ready.status, 200);
}
