//! A TCP filter that logs every callback with its numbers, and does something else in some.

use std::fmt::Write;

/// What a callback does besides logging itself. The text is wasm, of which a data callback's last
/// value is its result; host calls are named without `proxy_` and wrapped in `$told`, which logs
/// their status.
pub(super) type Other = (&'static str, &'static str);

const IMPORTS: &[(&str, &str)] = &[
    ("log", "i32 i32 i32"),
    ("set_tick_period_milliseconds", "i32"),
    ("set_effective_context", "i32"),
    ("get_buffer_bytes", "i32 i32 i32 i32 i32"),
    ("set_buffer_bytes", "i32 i32 i32 i32 i32"),
    ("get_header_map_value", "i32 i32 i32 i32 i32"),
    ("get_property", "i32 i32 i32 i32"),
    ("set_property", "i32 i32 i32 i32"),
    ("send_local_response", "i32 i32 i32 i32 i32 i32 i32 i32"),
    ("continue_stream", "i32"),
    ("close_stream", "i32"),
];

/// Callback, its parameters beside the context, whether it returns a number, what it logs.
const CALLBACKS: &[(&str, &[&str], bool, &str)] = &[
    ("context_create", &["parent"], false, "create"),
    ("new_connection", &[], true, "new"),
    ("downstream_data", &["n", "eos"], true, "down"),
    ("upstream_data", &["n", "eos"], true, "up"),
    ("downstream_connection_close", &["n"], false, "dclose"),
    ("upstream_connection_close", &["n"], false, "uclose"),
    ("done", &[], true, "done"),
    ("log", &[], false, "log"),
    ("delete", &[], false, "delete"),
];

const PRELUDE: &str = r#"
  (memory (export "memory") 2)
  (global $connection (mut i32) (i32.const 0))
  (global $at (mut i32) (i32.const 0))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) i32.const 4096)
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $set_tick_period_milliseconds (i32.const 50))) i32.const 1)
  (func $begin (param $from i32) (param $size i32)
    (memory.copy (i32.const 256) (local.get $from) (local.get $size))
    (global.set $at (i32.add (i32.const 256) (local.get $size))))
  (func $number (param $n i32)
    (local $size i32) (local $left i32)
    (i32.store8 (global.get $at) (i32.const 32))
    (local.set $left (local.get $n))
    (loop $count
      (local.set $size (i32.add (local.get $size) (i32.const 1)))
      (local.set $left (i32.div_u (local.get $left) (i32.const 10)))
      (br_if $count (local.get $left)))
    (global.set $at (i32.add (global.get $at) (i32.add (local.get $size) (i32.const 1))))
    (local.set $left (global.get $at))
    (loop $digit
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (i32.store8 (local.get $left) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $digit (local.get $n))))
  (func $end
    (drop (call $log (i32.const 2) (i32.const 256) (i32.sub (global.get $at) (i32.const 256)))))
  (func $told (param $status i32)
    (global.set $at (i32.const 256)) (call $number (local.get $status)) (call $end))
"#;

/// The module of a filter.
pub(super) fn module(others: &[Other]) -> Vec<u8> {
    let mut wat = String::from("(module\n");
    for (name, parameters) in IMPORTS {
        let _ = writeln!(
            wat,
            r#"(import "env" "proxy_{name}" (func ${name} (param {parameters}) (result i32)))"#
        );
    }
    wat.push_str(PRELUDE);
    for (index, (callback, parameters, returns, shown)) in CALLBACKS.iter().enumerate() {
        let at = 1024 + index * 32;
        let _ = writeln!(wat, r#"(data (i32.const {at}) "{shown}")"#);
        let _ = write!(
            wat,
            r#"(func (export "proxy_on_{callback}") (param $context i32)"#
        );
        for parameter in *parameters {
            let _ = write!(wat, " (param ${parameter} i32)");
        }
        let _ = write!(
            wat,
            "{} (call $begin (i32.const {at}) (i32.const {}))",
            if *returns { " (result i32)" } else { "" },
            shown.len()
        );
        for parameter in parameters.iter().filter(|name| **name != "parent") {
            let _ = write!(wat, " (call $number (local.get ${parameter}))");
        }
        wat.push_str(" (call $end)");
        if *callback == "new_connection" {
            wat.push_str(" (global.set $connection (local.get $context))");
        }
        let default = match (*returns, *callback) {
            (false, _) => "",
            (true, "done") => "i32.const 1",
            (true, _) => "i32.const 0",
        };
        let other = others.iter().find(|(name, _)| name == callback);
        let _ = writeln!(wat, " {})", other.map_or(default, |(_, body)| body));
    }
    if let Some((_, body)) = others.iter().find(|(name, _)| *name == "tick") {
        let _ = writeln!(
            wat,
            r#"(func (export "proxy_on_tick") (param i32)
              (if (global.get $connection) (then
                (drop (call $set_effective_context (global.get $connection)))
                (global.set $connection (i32.const 0))
                {body})))"#
        );
    }
    wat.push_str("(data (i32.const 2048) \"<>JJ\"))");
    wat::parse_str(&wat).unwrap_or_else(|error| panic!("{error}\n{wat}"))
}
