//! Plugins that are replaced while they serve: the harness against a real Envoy, line by line.
//!
//! Threads log in no certain order, and so each step's lines are compared as a set.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use attache_envoy::http1::exchange;
use attache_envoy::upstream::Upstream;
use attache_envoy::{
    Bootstrap, Discovered, Envoy, FilterSource, Listener, ModuleStore, StartOptions,
};
use attache_harness::{Host, Plugin, Request, StreamId};
use serde_json::json;

use crate::both::{chain, envoy, folder};

/// After so long without a line, no more are expected.
const QUIET: Duration = Duration::from_millis(300);
const LIMIT: Duration = Duration::from_secs(90);

/// What happens to a proxy that serves.
enum Step {
    /// The plugin is replaced: version of the module, configuration, VM configuration.
    Reload(&'static str, &'static str, &'static str),
    /// A request comes and is answered.
    Send,
    /// A request comes that the filter holds.
    Hold,
    /// The client of the held request gives up.
    GiveUp,
}

const STEPS: &[Step] = &[
    Step::Send,
    Step::Hold,
    Step::Reload("v1", "B", ""),
    Step::Send,
    Step::GiveUp,
    // Refused, and not tried again; the old one serves on.
    Step::Reload("v1", "Refuse", ""),
    Step::Reload("v1", "Refuse", ""),
    Step::Reload("v1", "B", "Refuse"),
    Step::Send,
    // What the base has seen goes without a canary.
    Step::Reload("v1", "A", ""),
    Step::Hold,
    // Other code, other VM configuration: other VMs.
    Step::Reload("v2", "A", ""),
    Step::GiveUp,
    Step::Reload("v2", "A", "other"),
    Step::Send,
    // A root that asks for time lives as long as its VM.
    Step::Reload("v2", "Later", "other"),
    Step::Reload("v2", "B", "other"),
    Step::Reload("v2", "Later", "other"),
    Step::Reload("v2", "B", ""),
    // A trap in a canary.
    Step::Reload("v2", "Trap", ""),
    Step::Send,
];

/// A filter that logs the life of its contexts, each with its number. Its configuration's first
/// letter says what else it does.
fn module(version: &str) -> Vec<u8> {
    let tell = |what: &str, at: usize| {
        let text = format!("{version} {what}");
        let size = text.len();
        let data = format!("(data (i32.const {at}) \"{text}\")");
        let call = format!("(call $tell (i32.const {at}) (i32.const {size}) (local.get $ctx))");
        (data, call)
    };
    let callbacks = [
        ("context_create", "(param $ctx i32) (param i32)", ""),
        (
            "vm_start",
            "(param $ctx i32) (param i32) (result i32)",
            "(i32.ne (call $letter (i32.const 6)) (i32.const 82))",
        ),
        (
            "configure",
            "(param $ctx i32) (param i32) (result i32)",
            CONFIGURE,
        ),
        (
            "request_headers",
            "(param $ctx i32) (param i32 i32) (result i32)",
            "(i32.eqz (call $get (i32.const 0) (i32.const 8) (i32.const 6) (i32.const 16) (i32.const 20)))",
        ),
        ("log", "(param $ctx i32)", ""),
        (
            "done",
            "(param $ctx i32) (result i32)",
            "(i32.ne (local.get $ctx) (global.get $later))",
        ),
        (
            "tick",
            "(param $ctx i32)",
            "(if (i32.eqz (call $done)) (then (drop (call $period (i32.const 0)))))",
        ),
        ("delete", "(param $ctx i32)", ""),
    ];
    let mut wat = PRELUDE.to_owned();
    for (number, (name, signature, then)) in callbacks.iter().enumerate() {
        let (data, call) = tell(name, 256 + 64 * number);
        // A tick tells nothing: how many there are is a matter of time.
        let call = if *name == "tick" { String::new() } else { call };
        wat.push_str(&format!(
            "{data} (func (export \"proxy_on_{name}\") {signature} {call} {then})\n"
        ));
    }
    let (data, call) = tell("initialize", 1024);
    let call = call.replace("(local.get $ctx)", "(i32.const 0)");
    wat.push_str(&format!("{data} (func (export \"_initialize\") {call}))"));
    wat::parse_str(&wat).unwrap_or_else(|error| panic!("{error}\n{wat}"))
}

const PRELUDE: &str = r#"(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_done" (func $done (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $period (param i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $later (mut i32) (i32.const 0))
  (global $first (mut i32) (i32.const 0))
  (data (i32.const 8) "x-hold")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) i32.const 4096)
  (func $tell (param $at i32) (param $size i32) (param $n i32)
    (memory.copy (i32.const 64) (local.get $at) (local.get $size))
    (i32.store8 (i32.add (i32.const 64) (local.get $size)) (i32.const 32))
    (i32.store8 (i32.add (i32.const 65) (local.get $size))
      (i32.add (i32.const 48) (i32.div_u (local.get $n) (i32.const 10))))
    (i32.store8 (i32.add (i32.const 66) (local.get $size))
      (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
    (drop (call $log (i32.const 2) (i32.const 64) (i32.add (local.get $size) (i32.const 3)))))
  (func $letter (param $buffer i32) (result i32)
    (i64.store (i32.const 16) (i64.const 0))
    (drop (call $buffer (local.get $buffer) (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 20)))
    (if (i32.eqz (i32.load (i32.const 20))) (then (return (i32.const 0))))
    (i32.load8_u (i32.load (i32.const 16))))
"#;

/// L asks for time at its end, R refuses, T traps.
const CONFIGURE: &str = "
  (global.set $first (call $letter (i32.const 7)))
  (if (i32.eq (global.get $first) (i32.const 84)) (then unreachable))
  (if (i32.eq (global.get $first) (i32.const 76)) (then
    (global.set $later (local.get $ctx))
    (drop (call $period (i32.const 20)))))
  (i32.ne (global.get $first) (i32.const 82))";

/// The lines that both hosts have to log, in the order of the alphabet.
fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let of_wasm = |line: &String| {
        [
            "wasm log",
            "Wasm VM failed",
            "Plugin p failed",
            "Function: ",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    // Envoy's backtrace follows the first line of a trap.
    let first = |line: String| line.lines().next().unwrap_or_default().to_owned();
    let mut lines: Vec<String> = lines.filter(of_wasm).map(first).collect();
    lines.sort_unstable();
    lines
}

fn plugin(version: &str, configuration: &str, vm_configuration: &str) -> Plugin {
    Plugin::from_bytes("p", module(version))
        .config(configuration)
        .vm_config(vm_configuration)
}

fn on_harness() -> Vec<Vec<String>> {
    let mut host = Host::with(plugin("v1", "A", "")).unwrap_or_else(|error| panic!("{error:?}"));
    let mut held: Vec<StreamId> = Vec::new();
    let mut seen = vec![sorted(
        host.log()
            .iter()
            .map(|line| format!("{}{}", line.prefix, line.message)),
    )];
    for step in STEPS {
        let from = host.log().len();
        match step {
            Step::Reload(version, configuration, vm) => {
                // Whether it is refused shows in the lines.
                drop(host.reload("p", plugin(version, configuration, vm)));
            }
            Step::Send => drop(host.send(Request::get("/")).unwrap()),
            Step::Hold => held.push(host.open(Request::get("/").header("x-hold", "1")).unwrap()),
            Step::GiveUp => held.drain(..).for_each(|id| host.disconnect(id).unwrap()),
        }
        // As long as Envoy is given: timers fire.
        host.advance(QUIET).unwrap();
        let lines = host.log()[from..].iter();
        seen.push(sorted(
            lines.map(|line| format!("{}{}", line.prefix, line.message)),
        ));
    }
    seen
}

/// The files that Envoy reads.
struct Files {
    modules: ModuleStore,
    place: Discovered,
    pushes: u32,
}

impl Files {
    /// Replaces the plugin. Not by `Envoy::push`, which gives each module an environment of its own
    /// and so makes new VMs each time.
    fn replace(&mut self, version: &str, configuration: &str, vm_configuration: &str) {
        self.pushes += 1;
        let text = |value: &str| json!({"@type": "type.googleapis.com/google.protobuf.StringValue", "value": value});
        let mut vm = json!({
            "vm_id": "p",
            "runtime": "envoy.wasm.runtime.v8",
            "code": {"local": {"filename": self.modules.keep(&module(version)).unwrap()}},
            // Envoy takes an equal resource for applied. This tells two apart, and no VMs.
            "nack_on_code_cache_miss": self.pushes.is_multiple_of(2),
        });
        if !vm_configuration.is_empty() {
            vm["configuration"] = text(vm_configuration);
        }
        let resource = json!({
            "version_info": self.pushes.to_string(),
            "resources": [{
                "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                "name": "p",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                    "config": {"name": "p", "configuration": text(configuration), "vm_config": vm},
                },
            }],
        });
        let path = self.place.path();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, resource.to_string()).unwrap();
        std::fs::rename(fresh, path).unwrap();
    }
}

/// An Envoy, and what was read of its log.
struct Running {
    envoy: Envoy,
    read: usize,
}

impl Running {
    /// What was logged since the last time, once there are so many lines and nothing more comes.
    fn lines(&mut self, predicted: usize) -> Vec<String> {
        let deadline = Instant::now() + LIMIT;
        let mut count = 0;
        loop {
            std::thread::sleep(QUIET);
            let lines = self.envoy.log_lines().unwrap();
            let total = lines.len();
            let fresh = lines.into_iter().skip(self.read);
            let seen = sorted(fresh.map(|line| line.message));
            let is_all = total == count && seen.len() >= predicted;
            if is_all || Instant::now() > deadline {
                self.read = total;
                return seen;
            }
            count = total;
        }
    }

    fn address(&self) -> SocketAddr {
        self.envoy.listener_address("filtered").unwrap()
    }
}

fn start(folder: &Path, upstream: &Upstream) -> (Files, Envoy) {
    let place = Discovered::new("p", folder.join("plugins"));
    let mut files = Files {
        modules: ModuleStore::new(folder.join("modules")),
        place: place.clone(),
        pushes: 0,
    };
    files.replace("v1", "A", "");
    let mut listener = Listener::new("filtered");
    listener.filters.push(FilterSource::Discovered(place));
    let bootstrap = Bootstrap::new(upstream.address().into(), vec![listener]);
    let config = bootstrap.write(&folder.join("envoy.yaml")).unwrap();
    let options = StartOptions {
        concurrency: 1,
        discovered: bootstrap.discovered(),
        ..StartOptions::default()
    };
    let envoy = Envoy::start(envoy(), &config, &folder.join("run"), options)
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    (files, envoy)
}

fn on_envoy(folder: &Path, predicted: &[Vec<String>]) -> Vec<Vec<String>> {
    let mut predicted = predicted.iter().map(Vec::len);
    let upstream = Upstream::echo().unwrap();
    let (mut files, envoy) = start(folder, &upstream);
    let mut running = Running { envoy, read: 0 };
    let mut held: Vec<TcpStream> = Vec::new();
    let mut seen = vec![running.lines(predicted.next().unwrap())];
    for step in STEPS {
        match step {
            Step::Reload(version, configuration, vm) => files.replace(version, configuration, vm),
            Step::Send => {
                let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
                exchange(running.address(), request, LIMIT).unwrap();
            }
            Step::Hold => {
                let mut client = TcpStream::connect(running.address()).unwrap();
                client
                    .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-hold: 1\r\n\r\n")
                    .unwrap();
                held.push(client);
            }
            Step::GiveUp => held.clear(),
        }
        seen.push(running.lines(predicted.next().unwrap()));
    }
    running.envoy.stop().unwrap();
    seen
}

#[test]
fn the_harness_plays_every_step() {
    let seen = on_harness();
    assert_eq!(seen.len(), STEPS.len() + 1);
    let refusals = seen.iter().flatten();
    let refusals = refusals
        .filter(|line| line.starts_with("Wasm VM failed"))
        .count();
    assert_eq!(refusals, 3);
}

#[test]
#[ignore = "needs Envoy"]
fn envoy_replaces_plugins_as_the_harness_does() {
    let folder = folder("reload");
    let harness = on_harness();
    let envoy = on_envoy(&folder, &harness);
    for (number, (harness, envoy)) in harness.iter().zip(&envoy).enumerate() {
        assert_eq!(harness, envoy, "step {number}: harness left, Envoy right");
    }
}
