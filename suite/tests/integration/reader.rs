//! A guest that reads properties and calls foreign functions in each phase, and logs the bytes.

use std::fmt::Write;

/// What the guest does in a phase.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// `proxy_get_property`, of a path whose parts are separated by NUL.
    Get(Vec<u8>),
    /// `proxy_set_property`.
    Set(Vec<u8>, Vec<u8>),
    /// `proxy_call_foreign_function`.
    Foreign(&'static str, Vec<u8>),
    /// `envoy_resolve_dns`.
    Resolve(&'static str),
}

/// A path written with `/` between its parts.
pub(crate) fn get(path: &str) -> Step {
    Step::Get(path.replace('/', "\0").into_bytes())
}

pub(crate) fn set(key: &str, value: impl AsRef<[u8]>) -> Step {
    Step::Set(key.as_bytes().to_vec(), value.as_ref().to_vec())
}

/// Callbacks with the parameters behind the context, and whether they return something.
const CALLBACKS: [(&str, &str, usize, Option<u32>); 16] = [
    ("start", "vm_start", 1, Some(1)),
    ("configure", "configure", 1, Some(1)),
    ("rqh", "request_headers", 2, Some(0)),
    ("rqb", "request_body", 2, Some(0)),
    ("rqt", "request_trailers", 1, Some(0)),
    ("rsh", "response_headers", 2, Some(0)),
    ("rsb", "response_body", 2, Some(0)),
    ("rst", "response_trailers", 1, Some(0)),
    ("conn", "new_connection", 0, Some(0)),
    ("down", "downstream_data", 2, Some(0)),
    ("up", "upstream_data", 2, Some(0)),
    ("down-close", "downstream_connection_close", 1, None),
    ("up-close", "upstream_connection_close", 1, None),
    ("log", "log", 0, None),
    ("done", "done", 0, Some(1)),
    ("delete", "delete", 0, None),
];

const PRELUDE: &str = r#"(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $get_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_call_foreign_function" (func $foreign (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "envoy_resolve_dns" (func $resolve (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 24)
  (data (i32.const 900) "resolved")
  (global $at (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  ;; Nothing is kept from one call to the next.
  (func (export "malloc") (param i32) (result i32) (i32.const 524288))
  (func $byte (param i32)
    (i32.store8 (i32.add (i32.const 262144) (global.get $at)) (local.get 0))
    (global.set $at (i32.add (global.get $at) (i32.const 1))))
  (func $number (param i32)
    (if (i32.ge_u (local.get 0) (i32.const 10)) (then (call $number (i32.div_u (local.get 0) (i32.const 10)))))
    (call $byte (i32.add (i32.const 48) (i32.rem_u (local.get 0) (i32.const 10)))))
  (func $digit (param i32)
    (call $byte (i32.add (local.get 0) (select (i32.const 87) (i32.const 48) (i32.gt_u (local.get 0) (i32.const 9))))))
  (func $hex (param $from i32) (param $size i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $from) (local.get $size)))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
      (call $digit (i32.shr_u (i32.load8_u (local.get $from)) (i32.const 4)))
      (call $digit (i32.and (i32.load8_u (local.get $from)) (i32.const 15)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))
      (br $next))))
  (func $text (param $from i32) (param $size i32)
    (memory.copy (i32.add (i32.const 262144) (global.get $at)) (local.get $from) (local.get $size))
    (global.set $at (i32.add (global.get $at) (local.get $size))))
  (func $arm (i64.store (i32.const 16) (i64.const -1)))
  ;; Logs a step's name, its status and what was handed out.
  (func $tell (param $name i32) (param $size i32) (param $status i32)
    (global.set $at (i32.const 0))
    (call $text (local.get $name) (local.get $size))
    (call $byte (i32.const 32))
    (call $number (local.get $status))
    (call $byte (i32.const 32))
    (if (i32.eq (i32.load (i32.const 16)) (i32.const -1))
      (then (call $byte (i32.const 45)))
      (else (if (i32.eqz (i32.load (i32.const 16)))
        (then (call $byte (i32.const 48)))
        (else (call $hex (i32.load (i32.const 16)) (i32.load (i32.const 20)))))))
    (drop (call $log (i32.const 2) (i32.const 262144) (global.get $at))))
"#;

/// Logs token, size and the status and bytes of buffer 8.
const ON_RESOLVE_DNS: &str = r#"
  (func (export "envoy_on_resolve_dns") (param $root i32) (param $token i32) (param $size i32)
    (local $status i32)
    (call $arm)
    (local.set $status (call $get_buffer (i32.const 8) (i32.const 0) (i32.const 1000) (i32.const 16) (i32.const 20)))
    (global.set $at (i32.const 0))
    (call $text (i32.const 900) (i32.const 8))
    (call $byte (i32.const 32)) (call $number (local.get $root))
    (call $byte (i32.const 32)) (call $number (local.get $token))
    (call $byte (i32.const 32)) (call $number (local.get $size))
    (call $byte (i32.const 32)) (call $number (local.get $status))
    (call $byte (i32.const 32)) (call $hex (i32.load (i32.const 16)) (i32.load (i32.const 20)))
    (drop (call $log (i32.const 2) (i32.const 262144) (global.get $at))))
"#;

/// The module: the steps of each phase, by its short name (`rqh`).
pub(crate) fn module(phases: &[(&str, Vec<Step>)]) -> Vec<u8> {
    let mut data = Data::default();
    let mut wat = PRELUDE.to_owned();
    for (phase, callback, parameters, result) in CALLBACKS {
        let steps = phases.iter().filter(|(name, _)| *name == phase);
        let body: String = steps
            .flat_map(|(_, steps)| steps)
            .map(|step| code(phase, step, &mut data))
            .collect();
        let first = matches!(phase, "rqb" | "rsb" | "down" | "up").then_some(
            "(if (global.get $seen) (then (return (i32.const 0)))) (global.set $seen (i32.const 1))",
        );
        let first = first
            .map(|text| text.replace("$seen", &format!("$seen_{phase}")))
            .unwrap_or_default();
        let _ = write!(
            wat,
            "(global $seen_{phase} (mut i32) (i32.const 0))
             (func (export \"proxy_on_{callback}\") (param {}) {} {first} {body} {})\n",
            "i32 ".repeat(parameters + 1),
            result.map_or("", |_| "(result i32)"),
            result.map_or(String::new(), |value| format!("(i32.const {value})")),
        );
    }
    wat.push_str(ON_RESOLVE_DNS);
    wat.push_str(&data.segments);
    wat.push(')');
    wat::parse_str(&wat).unwrap_or_else(|error| panic!("{error}"))
}

fn code(phase: &str, step: &Step, data: &mut Data) -> String {
    match step {
        Step::Get(path) => {
            let name = data.place(format!("{phase} {}", readable(path)).as_bytes());
            let path = data.place(path);
            format!(
                "(call $arm) (call $tell {name} (call $get_property {path} (i32.const 16) (i32.const 20)))\n"
            )
        }
        Step::Set(key, value) => {
            let name = data.place(format!("{phase} set {}", readable(key)).as_bytes());
            let (key, value) = (data.place(key), data.place(value));
            format!("(call $arm) (call $tell {name} (call $set_property {key} {value}))\n")
        }
        Step::Resolve(host) => {
            let name = data.place(format!("{phase} resolve {host}").as_bytes());
            let host = data.place(host.as_bytes());
            // The token as if it were handed out.
            format!(
                "(i64.store (i32.const 16) (i64.const -1)) (i32.store (i32.const 24) (i32.const -1))
                 (call $tell {name} (call $resolve {host} (i32.const 24)))
                 (i32.store (i32.const 16) (i32.const 24)) (i32.store (i32.const 20) (i32.const 4))
                 (call $tell {name} (i32.const 99))\n"
            )
        }
        Step::Foreign(function, argument) => {
            let name = data.place(format!("{phase} {function}").as_bytes());
            let function = data.place(function.as_bytes());
            let argument = data.place(argument);
            format!(
                "(call $arm) (call $tell {name} (call $foreign {function} {argument} (i32.const 16) (i32.const 20)))\n"
            )
        }
    }
}

fn readable(path: &[u8]) -> String {
    String::from_utf8_lossy(path).replace('\0', "/")
}

/// Bytes in the guest's memory.
#[derive(Default)]
struct Data {
    segments: String,
    used: usize,
}

impl Data {
    /// The place and size, as two arguments.
    fn place(&mut self, bytes: &[u8]) -> String {
        let at = 1024 + self.used;
        self.used += bytes.len() + 1;
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let _ = writeln!(self.segments, "(data (i32.const {at}) \"{escaped}\")");
        format!("(i32.const {at}) (i32.const {})", bytes.len())
    }
}
