//! A guest that asks for everything wherever it is called, and logs the statuses as letters.

use std::fmt::Write;

/// Host calls without `proxy_`, with their arguments. What would end a connection or start a call is
/// not among them.
pub(super) const CALLS: &[&str] = &[
    "get_header_map_value 0 @:path $ret",
    "get_header_map_value 0 @nothing $ret",
    "get_header_map_value 1 @x $ret",
    "get_header_map_value 2 @:status $ret",
    "get_header_map_value 3 @x $ret",
    "get_header_map_value 6 @x $ret",
    "get_header_map_value 8 @x $ret",
    "get_header_map_pairs 0 $ret",
    "get_header_map_pairs 3 $ret",
    "get_header_map_size 0 24",
    "get_header_map_size 2 24",
    "get_header_map_size 3 24",
    "add_header_map_value 0 @x @y",
    "replace_header_map_value 2 @x @y",
    "remove_header_map_value 3 @x",
    "get_property @request\\00path $ret",
    "get_property @request\\00duration $ret",
    "get_property @response\\00code $ret",
    "get_property @response\\00code_details $ret",
    "get_property @xds\\00route_name $ret",
    "get_property @xds\\00filter_chain_name $ret",
    "get_property @xds\\00node\\00id $ret",
    "get_property @connection_id $ret",
    "get_property @connection\\00id $ret",
    "get_property @connection\\00mtls $ret",
    "get_property @source\\00address $ret",
    "get_property @upstream\\00address $ret",
    "get_property @plugin_name $ret",
    "get_property @filter_state $ret",
    "set_property @key @value",
    "get_property @key $ret",
    "get_buffer_bytes 0 0 9 $ret",
    "get_buffer_bytes 1 0 9 $ret",
    "get_buffer_bytes 2 0 9 $ret",
    "get_buffer_bytes 3 0 9 $ret",
    "get_buffer_bytes 4 0 9 $ret",
    "get_buffer_bytes 5 0 9 $ret",
    "get_buffer_bytes 6 0 9 $ret",
    "get_buffer_bytes 7 0 9 $ret",
    "get_buffer_bytes 8 0 9 $ret",
    "get_buffer_bytes 9 0 9 $ret",
    "set_buffer_bytes 0 0 0 @x",
    "set_buffer_bytes 2 0 0 @x",
    "set_buffer_bytes 3 0 0 @x",
    "set_buffer_bytes 6 0 0 @x",
    "set_buffer_bytes 8 0 0 @x",
    "continue_stream 0",
    "continue_stream 1",
    "continue_stream 3",
    "continue_stream 4",
    "close_stream 4",
    "send_local_response 500 @why @body @ -1",
    "set_effective_context 999",
    "set_effective_context 0",
    "done",
    "get_status 24 $ret",
];

/// Two lines that should be one, with the calls that were answered otherwise.
pub(super) fn difference(harness: &str, envoy: &str) -> String {
    let answers = |line: &str| line.rsplit(' ').next().unwrap_or_default().to_owned();
    let (ours, theirs) = (answers(harness), answers(envoy));
    let both = CALLS.iter().zip(ours.chars().zip(theirs.chars()));
    let calls: Vec<&str> = both
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(call, _)| *call)
        .collect();
    format!("{harness}\n{envoy}\n  {}", calls.join(", "))
}

const IMPORTS: &[(&str, usize)] = &[
    ("log", 3),
    ("set_tick_period_milliseconds", 1),
    ("get_header_map_value", 5),
    ("get_header_map_pairs", 3),
    ("get_header_map_size", 2),
    ("add_header_map_value", 5),
    ("replace_header_map_value", 5),
    ("remove_header_map_value", 3),
    ("get_property", 4),
    ("set_property", 4),
    ("get_buffer_bytes", 5),
    ("set_buffer_bytes", 5),
    ("continue_stream", 1),
    ("close_stream", 1),
    ("send_local_response", 8),
    ("set_effective_context", 1),
    ("done", 0),
    ("get_status", 3),
];

/// The module as text. A stream that had request headers is an HTTP filter's, which is left alone.
pub(super) fn guest() -> String {
    let mut wat = String::from("(module\n");
    for (name, parameters) in IMPORTS {
        let parameters = " i32".repeat(*parameters);
        let _ = writeln!(
            wat,
            r#"(import "env" "proxy_{name}" (func ${name} (param{parameters}) (result i32)))"#
        );
    }
    wat.push_str(
        r#"(memory (export "memory") 2)
        (global $http (mut i32) (i32.const 0))
        (global $ticked (mut i32) (i32.const 0))
        (func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) i32.const 65536)
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
          (drop (call $set_tick_period_milliseconds (i32.const 100))) i32.const 1)
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (global.set $http (local.get 0)) i32.const 0)
        (func (export "proxy_on_tick") (param i32)
          (if (i32.eqz (global.get $ticked)) (then
            (global.set $ticked (i32.const 1)) (call $ask (i32.const 64) (i32.const 4)))))
        (func (export "envoy_on_stats_update") (param i32 i32) (call $ask (i32.const 69) (i32.const 5)))
        (func (export "proxy_on_new_connection") (param i32) (result i32)
          (call $ask (i32.const 75) (i32.const 3)) i32.const 0)
        (func (export "proxy_on_log") (param i32) (call $unless_http (local.get 0) (i32.const 79) (i32.const 3)))
        (func (export "proxy_on_done") (param i32) (result i32)
          (call $unless_http (local.get 0) (i32.const 83) (i32.const 4)) i32.const 1)
        (func (export "proxy_on_delete") (param i32)
          (call $unless_http (local.get 0) (i32.const 88) (i32.const 6)))
        (func $unless_http (param i32 i32 i32)
          (if (i32.ne (local.get 0) (global.get $http)) (then (call $ask (local.get 1) (local.get 2)))))
        (data (i32.const 64) "tick/stats/new/log/done/delete")
        "#,
    );
    let mut strings = String::new();
    let mut next = 2048;
    wat.push_str(
        "(func $ask (param $from i32) (param $size i32)
          (memory.copy (i32.const 512) (local.get $from) (local.get $size))
          (i32.store8 (i32.add (i32.const 512) (local.get $size)) (i32.const 32))
          (local.set $size (i32.add (i32.const 513) (local.get $size)))\n",
    );
    for call in CALLS {
        let (name, arguments) = call.split_once(' ').unwrap_or((call, ""));
        let mut words = String::new();
        for word in arguments.split(' ').filter(|word| !word.is_empty()) {
            if word == "$ret" {
                words.push_str(" (i32.const 16) (i32.const 20)");
            } else if let Some(text) = word.strip_prefix('@') {
                let size = text.len() - 2 * text.matches('\\').count();
                let _ = writeln!(strings, "(data (i32.const {next}) \"{text}\")");
                let _ = write!(words, " (i32.const {next}) (i32.const {size})");
                next += size + 1;
            } else {
                let _ = write!(words, " (i32.const {word})");
            }
        }
        let _ = writeln!(
            wat,
            "(i32.store8 (local.get $size) (i32.add (i32.const 97) (call ${name}{words})))
             (local.set $size (i32.add (local.get $size) (i32.const 1)))"
        );
    }
    let _ = writeln!(
        wat,
        "(drop (call $log (i32.const 2) (i32.const 512) (i32.sub (local.get $size) (i32.const 512)))))
        {strings})"
    );
    wat
}
