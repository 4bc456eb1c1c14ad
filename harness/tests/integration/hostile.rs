//! Modules that mean harm, or were built wrongly: each ends with a clear word, and the host, or at
//! least the process, goes on.

use std::time::{Duration, Instant};

use attache_harness::{FailurePolicy, Host, HostError, LintKind, Plugin, Request, Status};

use crate::guest::{Guest, guest, said};

type Tested = Result<(), HostError>;

const LOG: &str = r#"(import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))"#;
const PROPERTY: &str =
    r#"(import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))"#;
const MARKER: &str = r#"(func (export "proxy_abi_version_0_2_1"))"#;
const MEMORY: &str = r#"(memory (export "memory") 2)"#;
const ROOM: &str = r#"(func (export "malloc") (param i32) (result i32) i32.const 1024)"#;

/// A plugin of the text format's fields, with a marker.
fn raw(fields: &str) -> Plugin {
    let bytes = wat::parse_str(format!("(module {fields} {MARKER})"));
    Plugin::from_bytes("raw", bytes.unwrap_or_else(|error| panic!("{error}")))
}

/// The error of a host that has to fail at the start, with its causes.
fn fails(plugin: Plugin) -> String {
    let builder = Host::builder().plugin(plugin).fuel_limit(5_000_000);
    format!("{:?}", builder.start().expect_err("it does not start"))
}

/// A guest whose allocator is `body` and that asks for a property twice on each request, and says
/// what it was answered.
fn with_allocator(body: &str) -> Plugin {
    raw(&format!(
        r#"{LOG} {PROPERTY} {MEMORY} (data (i32.const 0) "plugin_name0123456789")
        (func $twice (result i32) (call $ask) (call $ask) (i32.const 0))
        (func $ask (drop (call $log (i32.const 2)
          (i32.add (i32.const 11) (call $get (i32.const 0) (i32.const 11) (i32.const 64) (i32.const 68)))
          (i32.const 1))))
        (func $deep (result i32) (i32.add (call $deep) (i32.const 1)))
        (func (export "malloc") (param i32) (result i32) {body})
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $twice))"#
    ))
}

#[test]
fn an_endless_loop_is_found_wherever_it_is() {
    let endless = "(loop $for_ever (br $for_ever))";
    let start = fails(raw(&format!(
        "{MEMORY} {ROOM} (func $s {endless}) (start $s)"
    )));
    assert!(
        start.starts_with("`(start)` of plugin `raw` did not end within"),
        "{start}"
    );
    let initialize = fails(guest().on("_initialize", endless).plugin("raw"));
    assert!(
        initialize.starts_with("`_initialize` of plugin `raw` did not end"),
        "{initialize}"
    );
    let allocator = Host::builder()
        .plugin(with_allocator(&format!("{endless} unreachable")))
        .fuel_limit(5_000_000)
        .start()
        .and_then(|mut host| host.send(Request::get("/")))
        .expect_err("a loop");
    assert!(
        matches!(allocator, HostError::OutOfFuel { .. }),
        "{allocator}"
    );
}

#[test]
fn a_callback_ends_by_the_clock_where_there_is_fuel_for_ever() -> Tested {
    // Each turn writes 64 MiB.
    let slow = raw(&format!(
        r#"(memory (export "memory") 1024) {ROOM}
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (loop $again
            (memory.fill (i32.const 0) (i32.const 1) (i32.const 67108864))
            (br $again))
          i32.const 0)"#
    ));
    let mut host = Host::builder()
        .plugin(slow)
        .fuel_limit(u64::MAX)
        .deadline(Duration::from_millis(100))
        .start()?;
    let began = Instant::now();
    let error = host
        .send(Request::get("/"))
        .expect_err("it is too slow")
        .to_string();
    assert!(
        error.starts_with("`proxy_on_request_headers` of plugin `raw` did not end within 100ms"),
        "{error}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    Ok(())
}

#[test]
fn a_deadline_is_a_callbacks_and_not_a_hosts() -> Tested {
    let mut host = Host::builder()
        .plugin(guest().on("request_headers", "i32.const 0").plugin("quick"))
        .deadline(Duration::from_secs(1))
        .start()?;
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(host.send(Request::get("/"))?.response().status(), 200);
    }
    Ok(())
}

#[test]
fn memory_grows_to_a_gibibyte_and_no_further() -> Tested {
    let grows = guest().on(
        "request_headers",
        "(call $say (i32.ne (memory.grow (i32.const 16382)) (i32.const -1)))
         (call $say (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
         (call $say (memory.size)) i32.const 0",
    );
    let exchange = grows.host().send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["1", "0", "16384"]);
    Ok(())
}

#[test]
fn a_module_that_starts_with_more_memory_than_v8_gives_does_not_start() {
    let error = fails(raw(&format!(r#"(memory (export "memory") 16385) {ROOM}"#)));
    assert!(
        error.contains("Failed to create new Wasm instance"),
        "{error}"
    );
}

#[test]
fn what_does_not_fit_the_pool_runs_all_the_same() -> Tested {
    let memories = r#"(memory (export "other") 1)"#.to_owned()
        + &"(memory 1)".repeat(4)
        + &"(table 1 funcref)".repeat(5);
    let odd = raw(&format!(
        r#"{LOG} {memories} (memory $last (export "memory") 1) (data (memory $last) (i32.const 0) "the last exported")
        {ROOM} (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (call $log (i32.const 2) (i32.const 0) (i32.const 17)))"#
    ));
    let exchange = Host::with(odd)?.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["the last exported"]);
    Ok(())
}

#[test]
fn recursion_without_end_is_a_trap_and_the_host_goes_on() -> Tested {
    let deep = guest()
        .with("(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))")
        .on("request_headers", "(drop (call $deep (i32.const 0))) i32.const 0");
    let plugin = deep.plugin("deep").failure_policy(FailurePolicy::FailOpen);
    let mut host = Host::with(plugin)?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(exchange.response().status(), 503);
    assert_eq!(
        exchange.log()[0].message,
        "Function: proxy_on_request_headers failed: Uncaught RangeError: Maximum call stack size exceeded"
    );
    assert_eq!(host.send(Request::get("/"))?.response().status(), 200);
    Ok(())
}

/// Envoy 1.40 was seen to reach 45,300 frames of a function without locals and 10,700 with ten, the
/// harness 20,900 and 6,900: the stack is the same, and wasmtime's frames are larger.
#[test]
fn the_stack_is_half_as_deep_as_v8s_or_deeper() -> Tested {
    let reached = |locals: usize| -> Result<u32, HostError> {
        let declared = "(local i64)".repeat(locals);
        let of_each = |text: &dyn Fn(usize) -> String| (1..=locals).map(text).collect::<String>();
        let fill = of_each(&|local| {
            format!(
                "(local.set {local} (i64.add (i64.extend_i32_u (local.get 0)) (i64.load (i32.const {}))))",
                4000 + 8 * local
            )
        });
        let keep = of_each(&|local| {
            format!(
                "(i64.store (i32.const {}) (local.get {local}))",
                5000 + 8 * local
            )
        });
        let deep = guest()
            .with(&format!(
                "(func $deep (param i32) {declared} {fill}
                  (if (i32.eqz (i32.rem_u (local.get 0) (i32.const 100))) (then (call $say (local.get 0))))
                  (call $deep (i32.add (local.get 0) (i32.const 1))) {keep})"
            ))
            .on("request_headers", "(call $deep (i32.const 0)) i32.const 0");
        let exchange = deep.host().send(Request::get("/"))?;
        let deepest = exchange
            .log()
            .iter()
            .filter_map(|line| line.message.parse().ok())
            .max();
        Ok(deepest.expect("it says how deep it is"))
    };
    let (small, large) = (reached(0)?, reached(10)?);
    assert!((15_000..90_000).contains(&small), "{small}");
    assert!((5_000..21_000).contains(&large), "{large}");
    Ok(())
}

#[test]
fn an_allocator_without_room_makes_the_call_answer_6() -> Tested {
    for place in ["0", "131071", "131072", "-1"] {
        let mut host = Host::with(with_allocator(&format!("i32.const {place}")))?;
        let exchange = host.send(Request::get("/"))?;
        assert_eq!(said(exchange.log()), ["6", "6"], "{place}");
        assert_eq!(exchange.response().status(), 200);
    }
    Ok(())
}

#[test]
fn a_trap_in_the_allocator_fails_the_vm_while_the_guest_goes_on() -> Tested {
    for (body, reason) in [
        ("unreachable", "Uncaught RuntimeError: unreachable"),
        (
            "(call $deep)",
            "Uncaught RangeError: Maximum call stack size exceeded",
        ),
        ("(call $twice)", "Uncaught Error: restricted_callback"),
    ] {
        let mut host = Host::with(with_allocator(body))?;
        let exchange = host.send(Request::get("/"))?;
        let failed = format!("Function: malloc failed: {reason}");
        assert_eq!(said(exchange.log()), [&failed, "6", &failed, "6"]);
        assert_eq!(exchange.response().status(), 503);
        assert_eq!(host.send(Request::get("/"))?.response().status(), 503);
    }
    Ok(())
}

#[test]
fn a_trap_when_the_root_is_created_goes_unnoticed_until_streams_come() -> Tested {
    let traps = guest()
        .on("context_create", "unreachable")
        .on("vm_start", "(call $text s(vm_start)) i32.const 1")
        .on("configure", "(call $text s(configure)) i32.const 1");
    for (policy, status) in [
        (FailurePolicy::FailClosed, 503),
        (FailurePolicy::FailOpen, 200),
    ] {
        let mut host = Host::with(traps.plugin("guest").failure_policy(policy))?;
        let log = said(host.log()).join("\n");
        assert!(
            log.contains("vm_start") && !log.contains("configure"),
            "{log}"
        );
        assert!(
            host.lints()
                .iter()
                .any(|lint| lint.kind == LintKind::FailedAtStart)
        );
        assert_eq!(host.send(Request::get("/"))?.response().status(), status);
    }
    Ok(())
}

#[test]
fn pointers_that_lead_nowhere_make_the_call_answer_6() -> Tested {
    // 131072 is the end of the guest's memory.
    let lies = guest().on(
        "request_headers",
        "(call $say (call $log (i32.const 2) (i32.const 131072) (i32.const 1)))
         (call $say (call $log (i32.const 2) (i32.const 131068) (i32.const 5)))
         (call $say (call $log (i32.const 2) (i32.const -1) (i32.const -1)))
         (call $say (call $log (i32.const 2) (i32.const 0) (i32.const -1)))
         (call $say (call $log (i32.const 2) (i32.const 131072) (i32.const 0)))
         (call $say (call $get_log_level (i32.const 131069)))
         (call $say (call $get_log_level (i32.const 131068)))
         (call $say (call $get_current_time_nanoseconds (i32.const 131065)))
         (call $say (call $get_header_map_pairs (i32.const 0) (i32.const 131072) (i32.const 16)))
         (call $say (call $get_header_map_pairs (i32.const 0) (i32.const 16) (i32.const 131070)))
         (call $say (call $get_header_map_pairs (i32.const 0) (i32.const 16) (i32.const 16)))
         i32.const 0",
    );
    let exchange = lies.host().send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()),
        ["6", "6", "6", "6", "", "0", "6", "0", "6", "6", "6", "0"]
    );
    assert_eq!(exchange.response().status(), 200);
    Ok(())
}

#[test]
fn a_table_index_out_of_bounds_is_a_trap() -> Tested {
    for (body, reason) in [
        (
            "(call_indirect (i32.const 9))",
            "RuntimeError: table index is out of bounds",
        ),
        (
            "(call_indirect (i32.const 0))",
            "RuntimeError: null function or function signature mismatch",
        ),
    ] {
        let indirect = guest()
            .with("(table 2 funcref)")
            .on("request_headers", &format!("{body} i32.const 0"));
        let exchange = indirect.host().send(Request::get("/"))?;
        assert_eq!(
            exchange.log()[0].message,
            format!("Function: proxy_on_request_headers failed: Uncaught {reason}")
        );
    }
    Ok(())
}

#[test]
fn a_guest_without_memory_would_crash_envoy_at_its_first_host_call() {
    for memory in ["", "(memory 1)"] {
        let error = fails(raw(&format!(
            r#"{LOG} {memory} {ROOM}
            (func (export "_initialize") (drop (call $log (i32.const 2) (i32.const 0) (i32.const 0))))"#
        )));
        assert!(
            error.starts_with("Envoy would crash: `proxy_log`"),
            "{error}"
        );
    }
}

#[test]
fn a_host_call_of_the_start_function_would_crash_envoy() {
    let error = fails(raw(&format!(
        "{LOG} {MEMORY} {ROOM} (func $s (drop (call $log (i32.const 2) (i32.const 0) (i32.const 1)))) (start $s)"
    )));
    assert!(
        error.starts_with("Envoy would crash: `proxy_log` is called by the wasm start function"),
        "{error}"
    );
}

#[test]
fn ten_thousand_timers_are_one() -> Tested {
    let resets = guest()
        .on(
            "configure",
            "(local $left i32) (local.set $left (i32.const 10000))
             (loop $again
               (drop (call $set_tick_period_milliseconds (i32.const 10)))
               (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
             i32.const 1",
        )
        .on("tick", "(call $text s(tick))");
    let mut host = resets.host();
    host.advance(Duration::from_millis(10))?;
    assert_eq!(
        said(host.log()),
        ["tick", "tick"],
        "one on the main thread, one on the worker"
    );
    Ok(())
}

#[test]
fn ten_thousand_ticks_of_a_hundred_roots_all_fire() -> Tested {
    let ticks: Guest = guest()
        .on(
            "configure",
            "(call $set_tick_period_milliseconds (i32.const 1000)) drop i32.const 1",
        )
        .on("tick", "(call $text s(tick))");
    let mut builder = Host::builder();
    for index in 0..100 {
        builder = builder.plugin(
            ticks
                .plugin("guest")
                .vm_id("one")
                .config(index.to_string().as_str()),
        );
    }
    let mut host = builder.start()?;
    host.advance(Duration::from_secs(50))?;
    assert_eq!(host.log().len(), 100 * 2 * 50);
    Ok(())
}

#[test]
fn a_call_may_lie_about_a_length_only_within_its_memory() -> Tested {
    // Three overlapping buffers of one byte less than the memory: more than the guest has.
    let overlaps = raw(&format!(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        {MEMORY} {ROOM}
        (data (i32.const 0) "\00\00\00\00\ff\ff\01\00\00\00\00\00\ff\ff\01\00\00\00\00\00\ff\ff\01\00")
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (call $write (i32.const 1) (i32.const 0) (i32.const 3) (i32.const 64)))"#
    ));
    let exchange = Host::with(overlaps)?.send(Request::get("/"))?;
    assert_eq!(exchange.log()[0].message.chars().count(), 3 * 131_071);
    Ok(())
}

#[test]
fn buffers_that_add_up_to_more_than_the_host_takes_end_the_test() -> Tested {
    // 65,536 buffers of 128 KiB each, all the same.
    let floods = raw(&format!(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 16) {ROOM}
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (local $at i32)
          (loop $next
            (i32.store (i32.add (local.get $at) (i32.const 4)) (i32.const 131072))
            (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 524288))))
          (call $write (i32.const 1) (i32.const 0) (i32.const 65536) (i32.const 64)))"#
    ));
    let error = Host::with(floods)?
        .send(Request::get("/"))
        .expect_err("too much");
    assert!(
        error
            .to_string()
            .starts_with("`fd_write` was reached after 256 MiB"),
        "{error}"
    );
    Ok(())
}

#[test]
fn host_calls_in_the_wrong_phase_are_answered_and_nothing_more() -> Tested {
    let wrong = guest()
        .on(
            "configure",
            "(call $say (call $add_header_map_value (i32.const 0) s(a) s(b)))
             (call $say (call $set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 0) s(x)))
             (call $say (call $continue_stream (i32.const 0)))
             (call $say (call $send_local_response (i32.const 200) s() s() s() (i32.const -1)))
             (call $say (call $set_property s(a) s(b))) i32.const 1",
        )
        .on(
            "done",
            "(call $say (call $replace_header_map_value (i32.const 0) s(a) s(b))) i32.const 1",
        );
    let mut host = wrong.host();
    assert_eq!(said(host.log())[..5], ["2", "2", "0", "0", "1"]);
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()),
        [Status::BadArgument.code().to_string()]
    );
    assert_eq!(exchange.response().status(), 200);
    Ok(())
}
