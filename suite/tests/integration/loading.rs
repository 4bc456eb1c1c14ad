//! Modules that Envoy refuses, takes, or does not survive: the harness says the same, in its words.

use std::process::{Command, ExitStatus};

use attache_envoy::{Bootstrap, Endpoint, FilterSource, Listener};
use attache_harness::{Host, LoadError, Module, Plugin};

use crate::both::{envoy, folder};

const MARKER: &str = r#"(func (export "proxy_abi_version_0_2_1"))"#;
const MEMORY: &str = r#"(memory (export "memory") 2)"#;
const ROOM: &str = r#"(func (export "malloc") (param i32) (result i32) i32.const 1024)"#;
const LOG: &str = r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))"#;

fn bytes(fields: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {fields})")).unwrap_or_else(|error| panic!("{error}\n{fields}"))
}

/// A module with what every module needs, and these fields.
fn whole(fields: &str) -> Vec<u8> {
    bytes(&format!("{fields} {MARKER} {MEMORY} {ROOM}"))
}

/// Lets Envoy read a configuration with the module and start its plugins, as it does in validation.
pub(crate) fn validate(name: &str, module: &[u8]) -> (ExitStatus, String) {
    let folder = folder(&format!("loading/{}", name.replace(' ', "-")));
    let path = folder.join("module.wasm");
    std::fs::write(&path, module).unwrap();
    let mut listener = Listener::new("loading");
    let plugin = attache_envoy::Plugin::new("guest", path);
    listener.filters = vec![FilterSource::Static(plugin)];
    let nowhere = Endpoint::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let config = Bootstrap::new(nowhere, vec![listener])
        .write(&folder.join("envoy.yaml"))
        .unwrap();
    let output = Command::new(&envoy().path)
        .args(["--mode", "validate", "--concurrency", "1", "-c"])
        .arg(config)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&said).into_owned())
}

/// The words of Envoy's that a message quotes, and those of V8 in it.
fn quoted(message: &str) -> Vec<String> {
    let behind = |start: &str, end: &[char]| -> Vec<String> {
        let rest = message.split(start).skip(1);
        rest.map(|rest| rest.split(end).next().unwrap_or_default().trim().to_owned())
            .collect()
    };
    let mut words = behind("(Envoy: `", &['`']);
    words.extend(behind("Envoy would say `", &['`']));
    // Of a segment that does not fit V8 says nothing.
    words.extend(behind("` trapped: ", &[',', '(', ';', '\n']));
    words
}

#[test]
#[ignore = "needs Envoy"]
fn what_the_harness_quotes_is_what_envoy_logs() {
    let callback = |name: &str, body: &str| {
        whole(&format!(
            r#"(func (export "{name}") (param i32 i32) (result i32) {body})"#
        ))
    };
    let complete = whole("");
    for (name, module) in [
        ("script", b"#!/bin/sh\n".to_vec()),
        ("cut off", complete[..complete.len() - 3].to_vec()),
        ("garbage", b"\0asm\x01\0\0\0\x63garbage".to_vec()),
        (
            "names",
            [&complete[..], b"\0\x08\x04name\x01\x7f\0"].concat(),
        ),
        ("version", [b"\0asm\x02\0\0\0", &complete[8..]].concat()),
        ("no marker", bytes(&format!("{MEMORY} {ROOM}"))),
        (
            "import",
            whole(r#"(import "env" "proxy_frobnicate" (func))"#),
        ),
        (
            "other world",
            whole(r#"(import "js" "alert" (func (param i64)))"#),
        ),
        (
            "old call",
            whole(r#"(import "env" "proxy_clear_route_cache" (func (result i32)))"#),
        ),
        (
            "import type",
            whole(r#"(import "env" "proxy_increment_metric" (func (param i32 f64)))"#),
        ),
        (
            "wasi type",
            whole(r#"(import "wasi_unstable" "path_symlink" (func (result i32)))"#),
        ),
        ("global", whole(r#"(import "env" "g" (global i32))"#)),
        ("no allocator", bytes(&format!("{MARKER} {MEMORY}"))),
        (
            "allocator type",
            bytes(&format!(
                r#"{MARKER} {MEMORY} (func (export "malloc") (param i64) (result i32) i32.const 0)"#
            )),
        ),
        (
            "callback type",
            callback("proxy_on_request_headers", "i32.const 0"),
        ),
        ("start", whole(r#"(func (export "_start") (param i32))"#)),
        (
            "main",
            whole(r#"(func (export "_initialize")) (func (export "main"))"#),
        ),
        ("start function", whole("(func $s unreachable) (start $s)")),
        ("segment", whole(r#"(data (i32.const 0xffffff) "x")"#)),
        (
            "too much memory",
            bytes(&format!(
                r#"{MARKER} {ROOM} (memory (export "memory") 16385)"#
            )),
        ),
        (
            "shared import",
            bytes(&format!(
                r#"(import "env" "memory" (memory 1 2 shared)) {MARKER} {ROOM}"#
            )),
        ),
        (
            "initialize",
            whole(r#"(func (export "_initialize") unreachable)"#),
        ),
        (
            "restricted",
            whole(
                r#"(import "env" "pthread_equal" (func $e (param i32 i32) (result i32)))
                (func (export "_initialize") (drop (call $e (i32.const 1) (i32.const 1))))"#,
            ),
        ),
        (
            "vm_start false",
            callback("proxy_on_vm_start", "i32.const 0"),
        ),
        (
            "vm_start traps",
            callback("proxy_on_vm_start", "i32.const 1 i32.const 0 i32.div_u"),
        ),
        (
            "configure false",
            callback("proxy_on_configure", "i32.const 0"),
        ),
        (
            "configure traps",
            callback("proxy_on_configure", "(i32.load (i32.const -8))"),
        ),
    ] {
        let error = Host::with(Plugin::from_bytes("guest", module.clone())).expect_err(name);
        let message = format!("{error:?}");
        let words = quoted(&message);
        assert!(!words.is_empty(), "{name}: {message}");
        let (status, log) = validate(name, &module);
        assert_eq!(status.code(), Some(1), "{name}: {log}");
        for words in words {
            assert!(log.contains(&words), "{name}: not `{words}` but\n{log}");
        }
    }
}

#[test]
#[ignore = "needs Envoy"]
fn what_the_harness_calls_a_crash_is_one() {
    for (name, module) in [
        ("imported tag", whole(r#"(import "env" "t" (tag))"#)),
        ("exported tag", whole(r#"(tag (export "t"))"#)),
        ("vector", whole(r#"(func (export "other") (param v128))"#)),
        (
            "vector in a callback",
            whole(r#"(func (export "proxy_on_tick") (param v128))"#),
        ),
        (
            "exception",
            whole(r#"(func (export "other") (param exnref))"#),
        ),
        (
            "small reference",
            whole(r#"(func (export "other") (param i31ref))"#),
        ),
        (
            "vector global",
            whole(r#"(global (export "g") v128 (v128.const i32x4 0 0 0 0))"#),
        ),
        (
            "no memory",
            bytes(&format!(
                r#"{LOG} {MARKER} {ROOM} (func (export "_initialize") (drop (call $log (i32.const 2) (i32.const 0) (i32.const 0))))"#
            )),
        ),
        (
            "logging start function",
            whole(&format!(
                "{LOG} (func $s (drop (call $log (i32.const 2) (i32.const 0) (i32.const 0)))) (start $s)"
            )),
        ),
    ] {
        let error = Host::with(Plugin::from_bytes("guest", module.clone())).expect_err(name);
        let message = format!("{error:?}");
        assert!(message.contains("Envoy would crash"), "{name}: {message}");
        let (status, log) = validate(name, &module);
        assert_eq!(status.code(), None, "{name}: a signal ends it\n{log}");
    }
}

/// Envoy frees the first of them while V8 still looks at it: whatever comes of that.
#[test]
#[ignore = "needs Envoy"]
fn a_second_memory_or_table_to_supply_never_starts() {
    for (name, fields) in [
        (
            "memories",
            r#"(import "x" "y" (memory 1)) (import "x" "z" (memory 1))"#,
        ),
        (
            "tables",
            r#"(import "x" "y" (table 1 funcref)) (import "x" "z" (table 1 funcref))"#,
        ),
    ] {
        assert!(Module::load(&whole(fields)).is_err(), "{name}");
        let (status, log) = validate(name, &whole(fields));
        assert!(!status.success(), "{name}: {log}");
    }
}

#[test]
#[ignore = "needs Envoy"]
fn the_harness_takes_the_proposals_that_v8_takes() {
    let memory = |memory: &str| bytes(&format!("{MARKER} {ROOM} {memory}"));
    for (name, module) in [
        ("nothing", whole("")),
        (
            "sign extension",
            whole("(func (param i32) (result i32) (i32.extend8_s (local.get 0)))"),
        ),
        (
            "saturation",
            whole("(func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0)))"),
        ),
        (
            "multiple values",
            whole("(func (result i32 i32) i32.const 1 i32.const 2)"),
        ),
        (
            "bulk memory",
            whole("(func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))"),
        ),
        (
            "references",
            whole(
                "(table 1 externref) (func (param externref) (result i32) (ref.is_null (local.get 0)))",
            ),
        ),
        (
            "vectors",
            whole("(func (result v128) (v128.const i32x4 0 0 0 0))"),
        ),
        (
            "relaxed vectors",
            whole(
                "(func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))",
            ),
        ),
        (
            "tail calls",
            whole("(func $f (result i32) (return_call $f))"),
        ),
        (
            "constants",
            whole("(global i32 (i32.add (i32.const 1) (i32.const 2)))"),
        ),
        ("memories", whole("(memory 1)")),
        ("memory64", memory(r#"(memory (export "memory") i64 1)"#)),
        ("table64", whole("(table i64 1 funcref)")),
        (
            "atomics",
            whole("(func (drop (i32.atomic.load (i32.const 0))) (atomic.fence))"),
        ),
        (
            "exceptions",
            whole("(tag $t) (func (block $b (try_table (catch $t $b) (throw $t))))"),
        ),
        (
            "structs",
            whole("(type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1))))"),
        ),
        (
            "arrays",
            whole(
                "(type $s (array (mut i8))) (func (drop (array.new $s (i32.const 1) (i32.const 1))))",
            ),
        ),
        (
            "function references",
            whole("(type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0)))"),
        ),
        (
            "wide arithmetic",
            whole(
                "(func (result i64 i64) (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)))",
            ),
        ),
        (
            "page sizes",
            memory(r#"(memory (export "memory") 4096 (pagesize 1))"#),
        ),
        (
            "stack switching",
            whole("(type $f (func)) (type $c (cont $f)) (func (param (ref $c)) unreachable)"),
        ),
        (
            "shared globals",
            whole("(global (shared i32) (i32.const 0))"),
        ),
    ] {
        let (status, log) = validate(name, &module);
        let taken = Module::load(&module);
        assert_eq!(taken.is_ok(), status.success(), "{name}: {taken:?}\n{log}");
    }
}

/// The host could read an exported one in unsafe code only, and a wait on any never ends.
#[test]
#[ignore = "needs Envoy"]
fn a_memory_that_threads_share_starts_in_envoy_only() {
    let exported = r#"(memory (export "memory") 1 2 shared)"#;
    for (name, module) in [
        ("exported", bytes(&format!("{MARKER} {ROOM} {exported}"))),
        ("inner", whole("(memory 1 2 shared)")),
    ] {
        let error = Module::load(&module).expect_err(name);
        assert!(matches!(error, LoadError::NotPlayed { .. }), "{error}");
        let (status, log) = validate(name, &module);
        assert!(status.success(), "{name}: {log}");
    }
}
