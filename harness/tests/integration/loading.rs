use attache_harness::{AbiVersion, Host, HostError, LoadError, Module, Plugin, Request};

use crate::guest::guest;

const MARKER: &str = r#"(func (export "proxy_abi_version_0_2_1"))"#;
const MALLOC: &str = r#"(func (export "malloc") (param i32) (result i32) i32.const 0)"#;

fn refused(fields: &str) -> LoadError {
    let bytes = wat::parse_str(format!("(module {fields})")).expect("a module");
    Module::load(&bytes).expect_err("Envoy refuses it")
}

#[test]
fn what_is_no_module_is_shown_by_its_start() {
    let error = Module::load(b"#!/bin/sh\n").expect_err("a script");
    assert!(
        error
            .to_string()
            .starts_with("this is no wasm module: it starts with `#!/bin/s`"),
        "{error}"
    );
    assert!(matches!(Module::load(b""), Err(LoadError::NotWasm { .. })));
    let error = Module::load(b"\0asm\x01\0\0\0\x63garbage").expect_err("cut");
    assert!(matches!(error, LoadError::Invalid { .. }), "{error}");
}

#[test]
fn a_module_without_a_marker_is_refused_in_envoys_words() {
    let error = refused(MALLOC).to_string();
    assert!(
        error.contains("Missing or unknown Proxy-Wasm ABI version"),
        "{error}"
    );
    let global =
        format!(r#"{MALLOC} (global (export "proxy_abi_version_0_2_1") i32 (i32.const 0))"#);
    assert!(
        matches!(refused(&global), LoadError::NoAbiMarker),
        "only a function marks"
    );
}

#[test]
fn the_first_marker_decides_and_an_abi_that_is_not_played_is_named() {
    let old = r#"(func (export "proxy_abi_version_0_1_0"))"#;
    let error = refused(&format!("{old} {MARKER} {MALLOC}"));
    assert!(
        matches!(
            error,
            LoadError::AbiNotPlayed {
                found: AbiVersion::V0_1_0
            }
        ),
        "{error}"
    );
    let bytes = wat::parse_str(format!("(module {MARKER} {old} {MALLOC})")).expect("a module");
    assert_eq!(
        Module::load(&bytes)
            .expect("the other one comes first")
            .abi(),
        AbiVersion::V0_2_1
    );
}

#[test]
fn an_unknown_import_is_refused_by_name() {
    for (module, name) in [
        ("env", "proxy_frobnicate"),
        ("env", "proxy_get_configuration"),
        ("js", "alert"),
    ] {
        let error = refused(&format!(
            r#"(import "{module}" "{name}" (func)) {MARKER} {MALLOC}"#
        ))
        .to_string();
        assert!(
            error.contains(&format!("missing import: {module}.{name}")),
            "{error}"
        );
    }
}

#[test]
fn an_import_that_this_harness_lacks_is_refused_by_name() {
    for (module, name) in [
        ("env", "pthread_equal"),
        ("wasi_snapshot_preview1", "fd_write"),
        ("wasi_unstable", "fd_write"),
    ] {
        let error = refused(&format!(
            r#"(import "{module}" "{name}" (func)) {MARKER} {MALLOC}"#
        ));
        assert!(
            matches!(&error, LoadError::NotAnsweredYet { name: found, .. } if found == name),
            "{error}"
        );
    }
}

#[test]
fn a_call_out_may_be_imported_and_ends_the_test_when_it_is_made() -> Result<(), HostError> {
    let wat = |call: &str| {
        let text = format!(
            r#"(module
            (import "env" "proxy_grpc_cancel" (func $cancel (param i32) (result i32)))
            (memory (export "memory") 1) {MARKER} {MALLOC}
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {call}))"#
        );
        Plugin::from_bytes("cancel", wat::parse_str(text).expect("a module"))
    };
    assert_eq!(
        Host::with(wat("i32.const 0"))?
            .send(Request::get("/"))?
            .response()
            .status(),
        200
    );
    let error = Host::with(wat("(call $cancel (i32.const 1))"))?
        .send(Request::get("/"))
        .expect_err("an answer would be an invention")
        .to_string();
    assert!(
        error.starts_with("`proxy_grpc_cancel` is not answered by this harness yet"),
        "{error}"
    );
    Ok(())
}

#[test]
fn an_import_of_another_type_is_refused_with_both_types() {
    let import = r#"(import "env" "proxy_increment_metric" (func (param i32 i32) (result i32)))"#;
    let error = refused(&format!("{import} {MARKER} {MALLOC}")).to_string();
    assert!(
        error.contains("has the type `(i32, i32) -> i32`, the host offers `(i32, i64) -> i32`"),
        "{error}"
    );
    assert!(error.contains("import type mismatch"), "{error}");
}

#[test]
fn imports_that_are_no_functions_are_refused() {
    for (import, kind) in [
        ("(global i32)", "global"),
        ("(memory 1)", "memory"),
        ("(table 1 funcref)", "table"),
    ] {
        let error =
            refused(&format!(r#"(import "env" "x" {import}) {MARKER} {MALLOC}"#)).to_string();
        assert!(
            error.starts_with(&format!("import `env.x` is a {kind}")),
            "{error}"
        );
    }
}

#[test]
fn a_module_without_an_allocator_is_refused() {
    let error = refused(MARKER).to_string();
    assert!(error.contains("missing malloc function"), "{error}");
}

#[test]
fn a_callback_of_another_type_is_refused() {
    let callback =
        r#"(func (export "proxy_on_request_headers") (param i32 i32) (result i32) i32.const 0)"#;
    let error = refused(&format!("{MARKER} {MALLOC} {callback}")).to_string();
    assert!(
        error.contains("Bad function signature for: proxy_on_request_headers"),
        "{error}"
    );
    assert!(
        error.contains("`(i32, i32) -> i32`, the host calls `(i32, i32, i32) -> i32`"),
        "{error}"
    );
}

#[test]
fn malloc_wins_over_the_other_allocator() -> Result<(), HostError> {
    let guest = guest()
        .with(r#"(func (export "proxy_on_memory_allocate") (param i32) (result i32) unreachable)"#)
        .on(
            "request_headers",
            "(call $say (call $get_header_map_pairs (i32.const 0) ret)) i32.const 0",
        );
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(exchange.log()[0].message, "0");
    Ok(())
}

#[test]
fn a_start_that_fails_says_how_and_what_the_guest_logged() {
    let causes = |guest: crate::guest::Guest| {
        let error = Host::with(guest.plugin("guest")).expect_err("it does not start");
        let cause = std::error::Error::source(&error)
            .expect("a cause")
            .to_string();
        (error.to_string(), cause)
    };
    let (error, cause) = causes(guest().on(
        "configure",
        "(drop (call $log (i32.const 4) s(no field x))) i32.const 0",
    ));
    assert_eq!(
        error,
        "cannot start plugin `guest`: Envoy would say `Unable to create Wasm plugin guest`"
    );
    assert_eq!(
        cause,
        "`proxy_on_configure` returned false: the configuration was refused; the guest logged:\n  [error] no field x"
    );
    let (_, cause) = causes(guest().on("vm_start", "i32.const 0"));
    assert_eq!(
        cause,
        "`proxy_on_vm_start` returned false; the guest logged nothing, let it log why"
    );
    let (_, cause) = causes(guest().on("configure", "unreachable"));
    assert!(
        cause.starts_with("`proxy_on_configure` failed: Uncaught RuntimeError: unreachable"),
        "{cause}"
    );
    let (_, cause) = causes(guest().with("(func $start unreachable) (start $start)"));
    assert!(
        cause.starts_with("`(start)` failed: Uncaught RuntimeError: unreachable"),
        "{cause}"
    );
}
