//! What is done for other streams in the middle of a host call. Every order of it is in the corpus, as Envoy has it:
//! `acts-inside.suite.yaml`. Here are its costs and its ends.

use std::panic::{AssertUnwindSafe, catch_unwind};

use attache_harness::{Arrival, Host, HostError, Outcome, Request, StreamId, TcpReply};

use crate::guest::{Guest, guest};

type Tested = Result<(), HostError>;

const LOOKUP: &str = "(drop (call $resolve_dns s(127.0.0.1) (i32.const 24)))";

/// Holds each request but the one of context `last`, which asks for a lookup; its answer closes the youngest
/// that is held, whose log closes the next like that.
fn closes(last: u32) -> Guest {
    guest()
        .with(&format!("(global $next (mut i32) (i32.const {last}))"))
        .on(
            "request_headers",
            &format!(
                "(if (i32.ne (local.get $ctx) (i32.const {last})) (then (return (i32.const 1))))
                 {LOOKUP} (call $text s(over)) i32.const 0"
            ),
        )
        .on(
            "envoy_on_resolve_dns",
            "(global.set $next (i32.sub (global.get $next) (i32.const 1)))
             (if (i32.gt_u (global.get $next) (i32.const 1))
               (then (drop (call $set_effective_context (global.get $next))) (drop (call $close_stream (i32.const 0)))))",
        )
        .on(
            "log",
            &format!("(if (i32.ne (local.get $ctx) (i32.const {last})) (then {LOOKUP}))"),
        )
}

/// So many requests that are held.
fn held(host: &mut Host, count: u32) -> Result<Vec<StreamId>, HostError> {
    (0..count).map(|_| host.open(Request::get("/"))).collect()
}

#[test]
fn each_end_of_a_stream_ends_another_in_the_middle_of_its_log() -> Tested {
    let mut host = closes(17).host();
    let ids = held(&mut host, 15)?;
    let last = host.send(Request::get("/"))?;
    assert_eq!(last.response().status(), 200);
    for id in ids {
        assert_eq!(host.exchange(id)?.outcome(), &Outcome::Reset);
    }
    Ok(())
}

/// Stream 3 makes the call in which stream 2 is closed.
#[test]
fn what_is_asked_there_of_the_stream_that_makes_the_call_is_not_played() -> Tested {
    let mut host = guest()
        .on(
            "request_headers",
            &format!("(if (i32.eq (local.get $ctx) (i32.const 3)) (then {LOOKUP})) i32.const 1"),
        )
        .on(
            "envoy_on_resolve_dns",
            "(drop (call $set_effective_context (i32.const 2))) (drop (call $close_stream (i32.const 0)))",
        )
        .on(
            "log",
            "(drop (call $set_effective_context (i32.const 3))) (drop (call $continue_stream (i32.const 0)))",
        )
        .host();
    held(&mut host, 1)?;
    let error = host
        .send(Request::get("/"))
        .expect_err("it is not known what Envoy does");
    let HostError::NotAnswered { what, .. } = &error else {
        panic!("{error}");
    };
    assert!(what.contains("of the stream in whose callback"), "{what}");
    Ok(())
}

#[test]
fn host_calls_inside_of_each_other_have_an_end() -> Tested {
    let mut host = closes(22).host();
    held(&mut host, 20)?;
    let error = host.send(Request::get("/")).expect_err("it is too deep");
    let HostError::NotAnswered { what, .. } = &error else {
        panic!("{error}");
    };
    assert!(what.contains("inside of 16 others"), "{error}");
    Ok(())
}

/// The log of the stream that is closed in the middle of a host call runs for long.
fn burns(turns: u32) -> Guest {
    closes(3).on(
        "log",
        &format!(
            "(local $n i32)
             (loop $on
               (local.set $n (i32.add (local.get $n) (i32.const 1)))
               (br_if $on (i32.lt_u (local.get $n) (i32.const {turns}))))"
        ),
    )
}

#[test]
fn each_stream_pays_for_its_own() -> Tested {
    let mut host = burns(10_000).host();
    let first = held(&mut host, 1)?[0];
    let outer = host.open(Request::get("/"))?;
    let [first, outer] = [host.exchange(first)?.cost(), host.exchange(outer)?.cost()];
    assert!(first.fuel > 10_000, "{first:?}");
    // Both have a log that burns as much.
    assert!(outer.fuel < 2 * first.fuel, "{outer:?}, {first:?}");
    assert!(outer.crossings > first.crossings, "{outer:?}, {first:?}");
    Ok(())
}

#[test]
fn a_loop_inside_of_a_host_call_has_an_end() -> Tested {
    let mut host = Host::builder()
        .plugin(burns(u32::MAX).plugin("guest"))
        .fuel_limit(1_000_000)
        .start()?;
    held(&mut host, 1)?;
    let error = host.send(Request::get("/")).expect_err("it has no end");
    let HostError::OutOfFuel { callback, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(callback, "proxy_on_log");
    Ok(())
}

/// Holds the bytes of one connection, and lets them go in the lookup of another.
fn lets_go(held: u32, asks: u32) -> Guest {
    let is = |context| format!("(i32.eq (local.get $ctx) (i32.const {context}))");
    guest()
        .on(
            "downstream_data",
            &format!(
                "(if {} (then (return (i32.const 1)))) (if {} (then {LOOKUP})) i32.const 0",
                is(held),
                is(asks),
            ),
        )
        .on(
            "envoy_on_resolve_dns",
            &format!(
                "(drop (call $set_effective_context (i32.const {held})))
                 (drop (call $continue_stream (i32.const 2)))"
            ),
        )
}

#[test]
fn a_panic_inside_of_a_host_call_is_the_tests() -> Tested {
    let (inner, outer) = (lets_go(2, 3), lets_go(3, 4));
    for plugins in [
        vec![inner.plugin("inner")],
        vec![outer.plugin("outer"), inner.plugin("inner")],
    ] {
        let connections = plugins.len();
        let mut host = Host::builder().tcp_chain("tcp", plugins).start()?;
        host.tcp_upstream(|arrival| match arrival {
            Arrival::Data(bytes) => panic!("the upstream got {} bytes", bytes.len()),
            _ => TcpReply::none(),
        });
        for _ in 0..connections {
            let held = host.connect()?;
            host.send_data(held, "hello")?;
        }
        let last = host.connect()?;
        let panic = catch_unwind(AssertUnwindSafe(|| host.send_data(last, "hi")));
        let panic = panic.expect_err("the upstream panics");
        let said = panic.downcast_ref::<String>().map(String::as_str);
        assert_eq!(said, Some("the upstream got 5 bytes"));
    }
    Ok(())
}

#[test]
fn growth_is_counted_where_it_was() -> Tested {
    let grows = closes(3).on("log", "(drop (memory.grow (i32.const 3)))");
    let mut host = Host::builder()
        .plugin(grows.plugin("guest"))
        .count_phases()
        .start()?;
    held(&mut host, 1)?;
    host.open(Request::get("/"))?;
    let phases = host.take_phases();
    let grown = |callback| {
        let phase = phases.iter().find(|phase| phase.callback == callback);
        phase.map(|phase| phase.memory)
    };
    assert_eq!(grown("proxy_on_request_headers"), Some(0));
    assert_eq!(grown("proxy_on_log"), Some(6 << 16));
    Ok(())
}
