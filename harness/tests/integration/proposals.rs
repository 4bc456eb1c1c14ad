//! The wasm proposals that V8 takes in Envoy 1.40, and those that it refuses. Each module here was
//! loaded by the real one, as `suite/tests/integration/loading.rs` does again.

use attache_harness::{LoadError, Module};

fn load(fields: &str, memory: &str) -> Result<Module, LoadError> {
    let text = format!(
        r#"(module (func (export "proxy_abi_version_0_2_1")) {memory}
        (func (export "malloc") (param i32) (result i32) i32.const 0) {fields})"#
    );
    Module::load(&wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}")))
}

const MEMORY: &str = r#"(memory (export "memory") 1)"#;

#[test]
fn what_v8_takes_is_taken() {
    for (name, fields) in [
        (
            "sign extension",
            "(func (param i32) (result i32) (i32.extend8_s (local.get 0)))",
        ),
        (
            "saturating conversions",
            "(func (param f32) (result i32) (i32.trunc_sat_f32_s (local.get 0)))",
        ),
        (
            "multiple values",
            "(func (result i32 i32) i32.const 1 i32.const 2)",
        ),
        (
            "bulk memory",
            "(func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)))",
        ),
        (
            "reference types",
            "(table 1 externref) (func (param externref) (result i32) (ref.is_null (local.get 0)))",
        ),
        ("simd", "(func (result v128) (v128.const i32x4 0 0 0 0))"),
        (
            "relaxed simd",
            "(func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))",
        ),
        ("tail calls", "(func $f (result i32) (return_call $f))"),
        (
            "extended constants",
            "(global i32 (i32.add (i32.const 1) (i32.const 2)))",
        ),
        ("several memories", "(memory 1)"),
        ("tables of 64 bits", "(table i64 1 funcref)"),
        (
            "atomics",
            "(func (drop (i32.atomic.load (i32.const 0))) (atomic.fence))",
        ),
        (
            "exceptions",
            "(tag $t) (func (block $b (try_table (catch $t $b) (throw $t))))",
        ),
        (
            "structs",
            "(type $s (struct (field i32))) (func (drop (struct.new $s (i32.const 1))))",
        ),
        ("small references", "(func (drop (ref.i31 (i32.const 1))))"),
        (
            "typed function references",
            "(type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0)))",
        ),
    ] {
        if let Err(error) = load(fields, MEMORY) {
            panic!("{name}: {error}");
        }
    }
    if let Err(error) = load("", r#"(memory (export "memory") i64 2)"#) {
        panic!("{error}");
    }
}

#[test]
fn a_memory_that_threads_share_is_not_played_since_a_wait_on_it_never_ends() {
    for (inner, memory) in [
        ("(memory 2 2 shared)", MEMORY),
        ("", r#"(memory (export "memory") 1 1 shared)"#),
    ] {
        let error = load(inner, memory).expect_err("not played");
        assert!(matches!(error, LoadError::NotPlayed { .. }), "{error}");
    }
}

#[test]
fn exceptions_of_old_are_refused_by_name() {
    let text = r#"(module (func (export "proxy_abi_version_0_2_1")) (func (block)))"#;
    let mut bytes = wat::parse_str(text).expect("a module");
    // The text format knows them no longer: `block` becomes `try`.
    let block = bytes
        .windows(3)
        .position(|window| window == b"\x02\x40\x0b");
    bytes[block.expect("a block")] = 6;
    let error = Module::load(&bytes).expect_err("wasmtime has none");
    assert!(matches!(error, LoadError::NotPlayed { .. }), "{error}");
}

#[test]
fn what_v8_refuses_is_refused() {
    for (name, fields) in [
        (
            "wide arithmetic",
            "(func (result i64 i64) (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)))",
        ),
        (
            "stack switching",
            "(type $f (func)) (type $c (cont $f)) (func (param (ref $c)) unreachable)",
        ),
        ("shared globals", "(global (shared i32) (i32.const 0))"),
    ] {
        let error = load(fields, MEMORY).expect_err(name);
        assert!(
            matches!(error, LoadError::Invalid { .. }),
            "{name}: {error}"
        );
    }
    let error = load("", r#"(memory (export "memory") 4096 (pagesize 1))"#).expect_err("page size");
    assert!(matches!(error, LoadError::Invalid { .. }), "{error}");
}
