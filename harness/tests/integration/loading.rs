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
        error.to_string().contains("it starts with `#!/bin/s`"),
        "{error}"
    );
    assert!(matches!(Module::load(b""), Err(LoadError::Empty)));
    let error = Module::load(b"\0asm\x01\0\0\0\x63garbage").expect_err("cut");
    assert!(matches!(error, LoadError::Corrupted), "{error}");
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
fn the_first_marker_decides() {
    let old = r#"(func (export "proxy_abi_version_0_1_0"))"#;
    for (markers, abi) in [
        (format!("{old} {MARKER}"), AbiVersion::V0_1_0),
        (format!("{MARKER} {old}"), AbiVersion::V0_2_1),
    ] {
        let bytes = wat::parse_str(format!("(module {markers} {MALLOC})")).expect("a module");
        assert_eq!(Module::load(&bytes).expect("it loads").abi(), abi);
    }
}

#[test]
fn each_version_offers_its_own_host_calls() {
    let loads = |version: &str, name: &str, ty: &str| {
        let marker = format!(r#"(func (export "proxy_abi_version_{version}"))"#);
        let import = format!(r#"(import "env" "{name}" (func {ty}))"#);
        let bytes = wat::parse_str(format!("(module {import} {marker} {MALLOC})"));
        match Module::load(&bytes.expect("a module")) {
            Ok(_) => true,
            Err(LoadError::UnknownImport { .. }) => false,
            Err(other) => panic!("{other}"),
        }
    };
    for (name, ty, versions) in [
        (
            "proxy_get_configuration",
            "(param i32 i32) (result i32)",
            [true, false, false],
        ),
        (
            "proxy_continue_request",
            "(result i32)",
            [true, false, false],
        ),
        (
            "proxy_continue_response",
            "(result i32)",
            [true, false, false],
        ),
        (
            "proxy_clear_route_cache",
            "(result i32)",
            [true, false, false],
        ),
        (
            "proxy_continue_stream",
            "(param i32) (result i32)",
            [false, true, true],
        ),
        (
            "proxy_close_stream",
            "(param i32) (result i32)",
            [false, true, true],
        ),
        (
            "proxy_get_log_level",
            "(param i32) (result i32)",
            [false, false, true],
        ),
        (
            "envoy_resolve_dns",
            "(param i32 i32 i32) (result i32)",
            [true, true, true],
        ),
    ] {
        let found = ["0_1_0", "0_2_0", "0_2_1"].map(|version| loads(version, name, ty));
        assert_eq!(found, versions, "{name}");
    }
}

#[test]
fn an_unknown_import_is_refused_by_name() {
    for (module, name) in [
        ("env", "proxy_frobnicate"),
        ("wasi_snapshot_preview1", "proc_raise"),
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
fn an_import_of_another_type_is_refused_with_both_types() {
    let import = r#"(import "env" "proxy_increment_metric" (func (param i32 i32) (result i32)))"#;
    let error = refused(&format!("{import} {MARKER} {MALLOC}")).to_string();
    assert!(
        error.contains(
            "Failed to load Wasm module due to an import type mismatch: env.proxy_increment_metric, \
             want: i32 i32 -> i32, but host exports: i32 i64 -> i32"
        ),
        "{error}"
    );
}

#[test]
fn a_global_import_is_refused() {
    let error = refused(&format!(
        r#"(import "env" "x" (global i32)) {MARKER} {MALLOC}"#
    ));
    let error = error.to_string();
    assert!(
        error.starts_with("import `env.x` is a global, which Envoy does not supply"),
        "{error}"
    );
}

#[test]
fn a_memory_and_a_table_are_supplied_as_they_are_asked_for() -> Result<(), HostError> {
    let text = format!(
        r#"(module
        (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
        (import "anything" "at all" (memory 3 5))
        (import "env" "__indirect_function_table" (table 2 funcref))
        (data (i32.const 131072) "imported")
        (elem (i32.const 1) $hello)
        (func $hello (drop (call $log (i32.const 2) (i32.const 131072) (i32.const 8))))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (call_indirect (i32.const 1)) (memory.grow (i32.const 3)) drop i32.const 0)
        {MARKER} {MALLOC})"#
    );
    let plugin = Plugin::from_bytes("imports", wat::parse_str(text).expect("a module"));
    let exchange = Host::with(plugin)?.send(Request::get("/"))?;
    assert_eq!(exchange.log()[0].message, "imported");
    Ok(())
}

#[test]
fn what_v8_cannot_describe_to_envoy_would_crash_it() {
    for fields in [
        r#"(import "env" "t" (tag))"#,
        r#"(tag (export "t"))"#,
        r#"(func (export "other") (param v128))"#,
        r#"(func (export "proxy_on_tick") (param exnref))"#,
        r#"(func (export "other") (param i31ref))"#,
        r#"(global (export "g") v128 (v128.const i32x4 0 0 0 0))"#,
        r#"(import "env" "nope" (func (param v128)))"#,
        r#"(import "x" "y" (memory 1)) (import "x" "z" (memory 1))"#,
        r#"(import "x" "y" (table 1 funcref)) (import "x" "z" (table 1 funcref))"#,
    ] {
        let error = refused(&format!("{fields} {MARKER} {MALLOC}"));
        assert!(
            matches!(error, LoadError::CrashesEnvoy { .. }),
            "{fields}: {error}"
        );
        assert!(
            error
                .to_string()
                .starts_with("Envoy would crash: the module "),
            "{error}"
        );
    }
    let inside = format!(
        "(func (param v128 externref exnref)) (func (export \"a\") (param funcref externref)) {MARKER} {MALLOC}"
    );
    let bytes = wat::parse_str(format!("(module {inside})")).expect("a module");
    assert!(Module::load(&bytes).is_ok());
}

#[test]
fn a_memory_that_threads_share_is_refused_by_name() {
    for (memory, says) in [
        (
            r#"(memory (export "memory") 1 1 shared)"#,
            "the module shares its memory between threads",
        ),
        (
            r#"(import "env" "memory" (memory 1 1 shared))"#,
            "the module imports a memory that threads share",
        ),
    ] {
        let error = refused(&format!("{memory} {MARKER} {MALLOC}"));
        assert!(error.to_string().starts_with(says), "{error}");
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
        error.contains("want: i32 i32 i32 -> i32, but the module exports: i32 i32 -> i32"),
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
        "`proxy_on_configure` returned false: the configuration was refused (Envoy: `Failed to configure base Wasm plugin`); the guest logged:\n  [error] no field x"
    );
    let (_, cause) = causes(guest().on("vm_start", "i32.const 0"));
    assert_eq!(
        cause,
        "`proxy_on_vm_start` returned false (Envoy: `Failed to start base Wasm`); the guest logged nothing, let it log why"
    );
    let (_, cause) = causes(guest().on("configure", "unreachable"));
    assert!(
        cause.contains("`proxy_on_configure` trapped: Uncaught RuntimeError: unreachable"),
        "{cause}"
    );
    let (_, cause) = causes(guest().with("(func $start unreachable) (start $start)"));
    assert!(
        cause.contains("Failed to create new Wasm instance`): Uncaught RuntimeError: unreachable"),
        "{cause}"
    );
}
