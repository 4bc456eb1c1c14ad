//! Modules that mean harm, held to a suite by the command.

use std::fs;

use super::program::{folder, program};

/// Requests that any filter may answer as it likes.
const SUITE: &str = r#"version: "1"
plugins:
  - module: hostile.wasm
cases:
  - name: it is asked
    request: {path: /, headers: {x-a: b}}
    expect: {response: {status: 200}}
  - name: it is asked with a body
    request: {path: /, body: body}
    expect: {response: {status: 200}}
"#;

fn module(imports: &str, rest: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {imports} (memory (export "memory") 1)
            (data (i32.const 0) "a line of the log that has some length to it")
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param i32) (result i32) i32.const 1024)
            (func (export "proxy_on_context_create") (param i32 i32)) {rest})"#
    );
    wat::parse_str(text).unwrap()
}

/// A filter that does this when a request comes.
fn on_request(imports: &str, body: &str) -> Vec<u8> {
    module(
        imports,
        &format!(
            r#"(func $do (local $n i32) {body})
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) call $do i32.const 0)"#
        ),
    )
}

fn repeated(times: usize, body: &str) -> String {
    format!(
        "(loop $again {body} (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const {times}))))"
    )
}

/// What the command says of it, on both channels, and how it ends.
fn said(name: &str, module: &[u8]) -> (Option<i32>, String) {
    let folder = folder(&format!("hostile-{name}"));
    fs::write(folder.join("hostile.wasm"), module).unwrap();
    fs::write(folder.join("x.suite.yaml"), SUITE).unwrap();
    let (status, out, err) = program(&folder, &["x.suite.yaml"]);
    (status, out + &err)
}

/// It ends as a suite with a case that fails, and names the case, the file and these reasons.
fn is_told(name: &str, module: &[u8], reasons: &[&str]) {
    let (status, text) = said(name, module);
    assert_eq!(status, Some(1), "{name}: {text}");
    for words in ["FAILED it is asked\n", "x.suite.yaml\n"]
        .iter()
        .chain(reasons)
    {
        assert!(text.contains(words), "{name} lacks `{words}`: {text}");
    }
    assert!(!text.contains("panicked"), "{name}: {text}");
    assert!(text.len() < 100_000, "{name}: {} bytes", text.len());
}

fn is_survived(name: &str, module: &[u8]) {
    let (status, text) = said(name, module);
    assert_eq!(status, Some(0), "{name}: {text}");
    assert!(text.contains("2 passed"), "{name}: {text}");
    assert!(text.len() < 100_000, "{name}: {} bytes", text.len());
}

#[test]
fn a_module_that_never_ends_is_told_of() {
    let endless = on_request("", "(loop $for_ever (br $for_ever))");
    is_told(
        "endless",
        &endless,
        &["`proxy_on_request_headers`", "did not end within"],
    );
}

#[test]
fn recursion_without_end_is_told_of() {
    let deep = on_request("", "call $do");
    is_told(
        "deep",
        &deep,
        &["found     503", "Maximum call stack size exceeded"],
    );
}

#[test]
fn memory_without_end_is_survived() {
    let body = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1024)) (i32.const -1))))";
    is_survived("memory", &on_request("", body));
}

#[test]
fn lies_about_pointers_and_lengths_are_survived() {
    let imports = r#"(import "env" "proxy_add_header_map_value"
        (func $add (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "proxy_get_header_map_pairs" (func $pairs (param i32 i32 i32) (result i32)))"#;
    // Each is answered by 6, `InvalidMemoryAccess`; a trap would be a 503.
    let body = "(if (i32.ne (i32.const 6)
            (call $add (i32.const 0) (i32.const -8) (i32.const 16) (i32.const 0) (i32.const -1)))
            (then unreachable))
        (if (i32.ne (i32.const 6) (call $pairs (i32.const 0) (i32.const -1) (i32.const 65534)))
            (then unreachable))";
    is_survived("lies", &on_request(imports, body));
}

#[test]
fn ten_thousand_timers_and_a_flood_of_the_log_are_survived() {
    let timers = r#"(import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))"#;
    let body = repeated(10_000, "(drop (call $tick (i32.const 1)))");
    is_survived("timers", &on_request(timers, &body));
    let log = r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))"#;
    let body = repeated(
        100_000,
        "(drop (call $log (i32.const 2) (i32.const 0) (i32.const 44)))",
    );
    is_survived("flood", &on_request(log, &body));
}

#[test]
fn a_host_call_where_envoy_would_crash_is_told_of() {
    let imports =
        r#"(import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))"#;
    let body = "(drop (call $continue (i32.const 1)))";
    is_told("crash", &on_request(imports, body), &["Envoy would crash"]);
}
