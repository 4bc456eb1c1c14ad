//! Filters that go wrong, as text.

/// The counter of configurations, without its slot.
const COUNTER: &str = "attache_configured_total;plugin=marker;slot=";

/// The frame of a module; `$said` is where it puts `x-word: NAME` into responses.
fn guest(name: &str, globals: &str, configure: &str, response: &str) -> Vec<u8> {
    let word = name.len();
    // Who does not count does not have the counter's name either.
    let counter = if configure.contains("i32.const 64") {
        COUNTER
    } else {
        ""
    };
    let text = format!(
        r#"(module
          (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
          (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
          (import "env" "proxy_increment_metric" (func $raise (param i32 i64) (result i32)))
          (import "env" "proxy_get_metric" (func $read (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "x-word")
          (data (i32.const 16) "{name}")
          (data (i32.const 64) "{counter}")
          (data (i32.const 128) "{name}_starts")
          {globals}
          (func (export "proxy_abi_version_0_2_1"))
          (func (export "malloc") (param i32) (result i32) i32.const 4096)
          (func (export "proxy_on_configure") (param i32 i32) (result i32) {configure})
          (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
            {response}
            (drop (call $add (i32.const 2) (i32.const 0) (i32.const 6) (i32.const 16) (i32.const {word})))
            i32.const 0))"#
    );
    wat::parse_str(text).unwrap()
}

/// Serves nine requests in each VM, and traps at the tenth.
pub(crate) fn traps_at_the_tenth() -> Vec<u8> {
    let count = "(global $seen (mut i32) (i32.const 0))";
    let response = "(global.set $seen (i32.add (global.get $seen) (i32.const 1)))
        (if (i32.ge_u (global.get $seen) (i32.const 10)) (then unreachable))";
    guest("tenth", count, &configure("tenth", u32::MAX), response)
}

/// Can be configured so many times, in whatever thread: the canary is the first, the main thread the second.
pub(crate) fn starts_only(times: u32) -> Vec<u8> {
    let name = format!("only{times}");
    guest(&name, "", &configure(&name, times), "")
}

/// Whether it is said that a worker of two is missing of a module which can be configured three times. Two threads that
/// count at the same moment both find the other counted, and both refuse.
pub(crate) fn says_too_few(reason: &str) -> bool {
    ["0 of 2 workers", "1 of 2 workers"]
        .iter()
        .any(|said| reason.starts_with(said))
}

/// Is configured so many times, which it counts as modules of our SDK do, and then refuses to be.
fn configure(name: &str, times: u32) -> String {
    let starts = name.len() + "_starts".len();
    let (end, length) = (64 + COUNTER.len(), COUNTER.len() + 1);
    // The environment is one text, `ATTACHE_GENERATION=N`, and a zero.
    format!(
        "(drop (call $define (i32.const 0) (i32.const 128) (i32.const {starts}) (i32.const 256)))
         (drop (call $raise (i32.load (i32.const 256)) (i64.const 1)))
         (drop (call $read (i32.load (i32.const 256)) (i32.const 264)))
         (if (i64.gt_u (i64.load (i32.const 264)) (i64.const {times})) (then (return (i32.const 0))))
         (drop (call $sizes (i32.const 272) (i32.const 276)))
         (drop (call $environ (i32.const 280) (i32.const 512)))
         (i32.store8 (i32.const {end})
           (i32.load8_u (i32.add (i32.const 510) (i32.load (i32.const 276)))))
         (drop (call $define (i32.const 0) (i32.const 64) (i32.const {length}) (i32.const 256)))
         (drop (call $raise (i32.load (i32.const 256)) (i64.const 1)))
         i32.const 1"
    )
}

/// Of somebody else: it counts nothing that we know.
pub(crate) fn bare(name: &str) -> Vec<u8> {
    guest(name, "", "i32.const 1", "")
}

/// The same, and can be configured so many times, in whatever thread.
pub(crate) fn bare_starts_only(times: u32) -> Vec<u8> {
    let name = format!("bare{times}");
    let starts = name.len() + "_starts".len();
    let configure = format!(
        "(drop (call $define (i32.const 0) (i32.const 128) (i32.const {starts}) (i32.const 256)))
         (drop (call $raise (i32.load (i32.const 256)) (i64.const 1)))
         (drop (call $read (i32.load (i32.const 256)) (i32.const 264)))
         (i64.le_u (i64.load (i32.const 264)) (i64.const {times}))"
    );
    guest(&name, "", &configure, "")
}

/// Puts its environment, which is `ATTACHE_GENERATION=N`, into `x-generation`.
pub(crate) fn says_its_generation() -> Vec<u8> {
    let name = "(data (i32.const 1024) \"x-generation\")";
    let response = "(drop (call $sizes (i32.const 272) (i32.const 276)))
        (drop (call $environ (i32.const 280) (i32.const 512)))
        (drop (call $add (i32.const 2) (i32.const 1024) (i32.const 12) (i32.const 512)
          (i32.sub (i32.load (i32.const 276)) (i32.const 1))))";
    guest("generation", name, "i32.const 1", response)
}

/// Traps at each request.
pub(crate) fn always_traps() -> Vec<u8> {
    guest("never", "", &configure("never", u32::MAX), "unreachable")
}
