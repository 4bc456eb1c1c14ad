//! Small guests, written as callbacks in the text format.

use std::fmt::Write;

use attache_harness::{Exchange, Host, LogLine, Plugin};

/// A guest whose callbacks are given as bodies in the text format.
///
/// A body may use `$ctx`, `$n` and `$eos` (what the callback has of them), `"text"` in a call as
/// pointer and length through `s(text)`, and these functions:
/// * every host call by its name without `proxy_`, such as `$get_header_map_value`,
/// * `$say` logs a number, `$text` logs a pointer and length,
/// * `$tell` logs the status it is given and then what the call handed out at `ret`: the bytes,
///   `null`, or `-` where it wrote nothing.
#[derive(Clone, Default)]
pub(crate) struct Guest {
    callbacks: Vec<(String, String)>,
    extra: String,
}

pub(crate) fn guest() -> Guest {
    Guest::default()
}

/// Where a call hands out pointer and size.
const RET: &str = "(i32.const 16) (i32.const 20)";

const IMPORTS: &[(&str, &str)] = &[
    ("log", "i32 i32 i32"),
    ("get_log_level", "i32"),
    ("get_current_time_nanoseconds", "i32"),
    ("set_tick_period_milliseconds", "i32"),
    ("get_property", "i32 i32 i32 i32"),
    ("set_property", "i32 i32 i32 i32"),
    ("get_status", "i32 i32 i32"),
    ("set_effective_context", "i32"),
    ("done", ""),
    ("get_header_map_value", "i32 i32 i32 i32 i32"),
    ("add_header_map_value", "i32 i32 i32 i32 i32"),
    ("replace_header_map_value", "i32 i32 i32 i32 i32"),
    ("remove_header_map_value", "i32 i32 i32"),
    ("get_header_map_pairs", "i32 i32 i32"),
    ("set_header_map_pairs", "i32 i32 i32"),
    ("get_header_map_size", "i32 i32"),
    ("get_buffer_bytes", "i32 i32 i32 i32 i32"),
    ("get_buffer_status", "i32 i32 i32"),
    ("set_buffer_bytes", "i32 i32 i32 i32 i32"),
    ("send_local_response", "i32 i32 i32 i32 i32 i32 i32 i32"),
    ("continue_stream", "i32"),
    ("close_stream", "i32"),
    ("get_shared_data", "i32 i32 i32 i32 i32"),
    ("set_shared_data", "i32 i32 i32 i32 i32"),
    ("register_shared_queue", "i32 i32 i32"),
    ("resolve_shared_queue", "i32 i32 i32 i32 i32"),
    ("enqueue_shared_queue", "i32 i32 i32"),
    ("dequeue_shared_queue", "i32 i32 i32"),
    ("call_foreign_function", "i32 i32 i32 i32 i32 i32"),
    ("define_metric", "i32 i32 i32 i32"),
    ("increment_metric", "i32 i64"),
    ("record_metric", "i32 i64"),
    ("get_metric", "i32 i32"),
    ("http_call", "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32"),
    (
        "grpc_call",
        "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32",
    ),
    ("grpc_stream", "i32 i32 i32 i32 i32 i32 i32 i32 i32"),
    ("grpc_send", "i32 i32 i32 i32"),
    ("grpc_close", "i32"),
    ("grpc_cancel", "i32"),
];

const PRELUDE: &str = r#"
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 32768))
  (data (i32.const 16) "\ff\ff\ff\ff\ff\ff\ff\ff")
  (data (i32.const 64) "null-")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param $size i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get $size)) (i32.const 7)) (i32.const 0x1fff8))))
  (func $text (param i32 i32) (drop (call $log (i32.const 2) (local.get 0) (local.get 1))))
  (func $say (param $n i32)
    (local $at i32)
    (local.set $at (i32.const 60))
    (loop $digits
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $digits (local.get $n)))
    (call $text (local.get $at) (i32.sub (i32.const 60) (local.get $at))))
  (func $tell (param $status i32)
    (call $say (local.get $status))
    (if (i32.eq (i32.load (i32.const 16)) (i32.const -1))
      (then (call $text (i32.const 68) (i32.const 1)))
      (else (if (i32.eqz (i32.load (i32.const 16)))
        (then (call $text (i32.const 64) (i32.const 4)))
        (else (call $text (i32.load (i32.const 16)) (i32.load (i32.const 20)))))))
    (i64.store (i32.const 16) (i64.const -1)))
"#;

impl Guest {
    /// Adds a callback, named without `proxy_on_`, or an export named in full; another of this name
    /// goes.
    pub(crate) fn on(mut self, callback: &str, body: &str) -> Self {
        self.callbacks.retain(|(known, _)| known != callback);
        self.callbacks.push((callback.to_owned(), body.to_owned()));
        self
    }

    /// Adds fields of a module.
    pub(crate) fn with(mut self, fields: &str) -> Self {
        self.extra.push_str(fields);
        self
    }

    pub(crate) fn plugin(&self, name: &str) -> Plugin {
        Plugin::from_bytes(name, self.bytes())
    }

    pub(crate) fn host(&self) -> Host {
        Host::with(self.plugin("guest")).expect("the guest starts")
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut strings = Strings::default();
        let mut wat = String::from("(module\n");
        wat.push_str(
            r#"(import "env" "envoy_resolve_dns" (func $resolve_dns (param i32 i32 i32) (result i32)))"#,
        );
        for (name, parameters) in IMPORTS {
            let _ = writeln!(
                wat,
                r#"(import "env" "proxy_{name}" (func ${name} (param {parameters}) (result i32)))"#
            );
        }
        wat.push_str(PRELUDE);
        wat.push_str(&strings.place(&self.extra));
        for (name, body) in &self.callbacks {
            let (parameters, result) = signature(name);
            let export = if name.starts_with('_') || name.starts_with("envoy_") {
                name.clone()
            } else {
                format!("proxy_on_{name}")
            };
            let body = strings.place(&body.replace(" ret)", &format!(" {RET})")));
            let _ = writeln!(
                wat,
                r#"(func (export "{export}") {parameters} {result} {body})"#
            );
        }
        let _ = writeln!(wat, "{})", strings.data);
        wat::parse_str(&wat).unwrap_or_else(|error| panic!("{error}\n{wat}"))
    }
}

fn signature(callback: &str) -> (&'static str, &'static str) {
    let two = "(param $ctx i32) (param $n i32)";
    match callback {
        "_initialize" => ("", ""),
        "context_create" | "queue_ready" | "envoy_on_stats_update" => (two, ""),
        "vm_start" | "configure" | "request_trailers" | "response_trailers" => {
            (two, "(result i32)")
        }
        "envoy_on_resolve_dns" => ("(param $ctx i32) (param $n i32) (param $size i32)", ""),
        "tick" | "log" | "delete" => ("(param $ctx i32)", ""),
        "done" | "new_connection" => ("(param $ctx i32)", "(result i32)"),
        "downstream_connection_close" | "upstream_connection_close" => (two, ""),
        "grpc_receive_initial_metadata"
        | "grpc_receive"
        | "grpc_receive_trailing_metadata"
        | "grpc_close" => ("(param $ctx i32) (param $token i32) (param $n i32)", ""),
        "http_call_response" => (
            "(param $ctx i32) (param $token i32) (param $n i32) (param $size i32) (param $trailers i32)",
            "",
        ),
        _ => (
            "(param $ctx i32) (param $n i32) (param $eos i32)",
            "(result i32)",
        ),
    }
}

/// Strings in memory, named by `s(...)` in a body.
#[derive(Default)]
struct Strings {
    data: String,
    next: usize,
}

impl Strings {
    fn place(&mut self, body: &str) -> String {
        let mut placed = String::new();
        let mut rest = body;
        while let Some((before, after)) = rest.split_once("s(") {
            let (text, after) = after.split_once(')').expect("`s(` is closed");
            let at = 1024 + self.next;
            let size = wast_size(text);
            let _ = writeln!(self.data, "(data (i32.const {at}) \"{text}\")");
            let _ = write!(placed, "{before}(i32.const {at}) (i32.const {size})");
            self.next += size + 1;
            rest = after;
        }
        placed + rest
    }
}

/// The bytes of a string literal: an escape is a backslash and two digits.
fn wast_size(text: &str) -> usize {
    text.len() - 2 * text.matches('\\').count()
}

/// A list of names and values as a string of a body.
pub(crate) fn list(pairs: &[(&str, &str)]) -> String {
    let mut bytes = size(pairs.len()).to_vec();
    for (name, value) in pairs {
        bytes.extend([size(name.len()), size(value.len())].concat());
    }
    for (name, value) in pairs {
        bytes.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
    }
    let escaped = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    });
    format!("s({escaped})")
}

fn size(count: usize) -> [u8; 4] {
    u32::try_from(count).expect("a small list").to_le_bytes()
}

/// The messages of log lines.
pub(crate) fn said(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| line.message.as_str()).collect()
}

/// The callbacks of an exchange, without the plugin where there is only one, shortened: `A:rqh`.
pub(crate) fn trace(exchange: &Exchange) -> String {
    let callbacks = exchange.timeline().callbacks();
    let short: Vec<String> = callbacks.iter().map(|callback| short(callback)).collect();
    short.join(" ")
}

/// The name of a callback, shortened: `rqh`.
pub(crate) fn short(callback: &str) -> String {
    [
        ("proxy_on_context_create", "create"),
        ("proxy_on_request_headers", "rqh"),
        ("proxy_on_request_body", "rqb"),
        ("proxy_on_request_trailers", "rqt"),
        ("proxy_on_response_headers", "rsh"),
        ("proxy_on_response_body", "rsb"),
        ("proxy_on_response_trailers", "rst"),
        ("proxy_on_new_connection", "new"),
        ("proxy_on_downstream_data", "down"),
        ("proxy_on_upstream_data", "up"),
        ("proxy_on_downstream_connection_close", "dclose"),
        ("proxy_on_upstream_connection_close", "uclose"),
        ("proxy_on_", ""),
    ]
    .iter()
    .fold(callback.to_owned(), |text, (long, short)| {
        text.replace(long, short)
    })
}

/// A guest that exports every callback of a stream and lets everything pass.
pub(crate) fn transparent() -> Guest {
    [
        "request_headers",
        "request_body",
        "request_trailers",
        "response_headers",
        "response_body",
        "response_trailers",
    ]
    .iter()
    .fold(guest(), |guest, callback| guest.on(callback, "i32.const 0"))
    .on("context_create", "")
    .on("log", "")
    .on("done", "i32.const 1")
    .on("delete", "")
}
