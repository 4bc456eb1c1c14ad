use attache_harness::{FailurePolicy, Host, HostError, Outcome, Plugin, Request, Response};

use crate::chains::chain;
use crate::guest::{guest, said, trace, transparent};

type Tested = Result<(), HostError>;

#[test]
fn an_endless_loop_ends_in_an_error_that_names_the_callback() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(loop $for_ever (br $for_ever)) unreachable",
    );
    let mut host = Host::builder()
        .plugin(guest.plugin("spins"))
        .fuel_limit(1_000_000)
        .start()?;
    let error = host
        .send(Request::get("/"))
        .expect_err("Envoy's worker would be blocked")
        .to_string();
    assert!(
        error
            .starts_with("`proxy_on_request_headers` of plugin `spins` did not end within 1000000"),
        "{error}"
    );
    Ok(())
}

#[test]
fn host_calls_without_end_are_stopped_before_they_fill_memory() {
    let guest = guest().on(
        "request_headers",
        "(loop $for_ever (call $text s(flood)) (br $for_ever)) unreachable",
    );
    let error = guest
        .host()
        .send(Request::get("/"))
        .expect_err("Envoy's worker would be blocked")
        .to_string();
    assert!(
        error.starts_with("`proxy_log` was reached after 100,000 host calls in one callback"),
        "{error}"
    );
    assert!(error.len() < 20_000, "{}", error.len());
}

#[test]
fn fuel_is_the_same_for_the_same_request() -> Tested {
    let guest = guest().on("request_headers", "(call $text s(hello)) i32.const 0");
    let mut host = guest.host();
    let first = host.send(Request::get("/"))?;
    let second = guest.host().send(Request::get("/other").header("a", "b"))?;
    assert!(first.cost().fuel > 0);
    assert_eq!(first.cost().fuel, second.cost().fuel);
    assert_eq!(
        guest.host().send(Request::get("/"))?.cost().fuel,
        first.cost().fuel
    );
    Ok(())
}

#[test]
fn a_module_that_was_compiled_quickly_does_the_same() -> Tested {
    let body = "(call $text s(quick)) (if (i32.eq (local.get $ctx) (i32.const 3)) (then unreachable)) i32.const 0";
    let quick = || guest().on("request_headers", body).plugin("guest");
    let play = |plugin: Plugin| {
        let mut host = Host::builder().plugin(plugin).start()?;
        let served = host.send(Request::get("/"))?;
        let trapped = host.send(Request::get("/"))?;
        let seen = [&served, &trapped].map(|exchange| {
            let code = exchange.response_code();
            (said(exchange.log()).join("\n"), code, exchange.cost().fuel)
        });
        Ok::<_, HostError>(seen)
    };
    // What was compiled quickly is not what another host gets, and the other way around it may be.
    let first = play(quick().compiled_quickly())?;
    assert_eq!(first[0].1, 200);
    assert_eq!(first[1].1, 503);
    assert!(first[0].2 > 0);
    assert_eq!(play(quick())?, first);
    assert_eq!(play(quick().compiled_quickly())?, first);

    let endless = guest().on("request_headers", "(loop $ever (br $ever)) unreachable");
    let plugin = endless.plugin("endless").compiled_quickly();
    let mut host = Host::builder()
        .plugin(plugin)
        .fuel_limit(1_000_000)
        .start()?;
    assert!(matches!(
        host.send(Request::get("/")),
        Err(HostError::OutOfFuel { .. })
    ));
    Ok(())
}

#[test]
fn modules_that_mean_harm_are_stopped_too_when_they_were_compiled_quickly() -> Tested {
    let deep = guest()
        .with("(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (i32.const 1)))")
        .on("request_headers", "(drop (call $deep (i32.const 0))) i32.const 0");
    let reads = |place: &str| guest().on("request_headers", &format!("(i32.load {place})"));
    let overflow = "Uncaught RangeError: Maximum call stack size exceeded";
    let outside = "Uncaught RuntimeError: memory access out of bounds";
    for (guest, reason) in [
        (deep, overflow),
        (reads("(i32.const -1)"), outside),
        (reads("offset=4294967295 (i32.const -1)"), outside),
        (
            guest().on("request_headers", "(i32.div_u (i32.const 1) (i32.const 0))"),
            "Uncaught RuntimeError: divide by zero",
        ),
    ] {
        let plugin = guest.plugin("harm").compiled_quickly();
        let mut host = Host::with(plugin.failure_policy(FailurePolicy::FailOpen))?;
        let exchange = host.send(Request::get("/"))?;
        assert_eq!(exchange.response().status(), 503);
        let failed = format!("Function: proxy_on_request_headers failed: {reason}");
        assert_eq!(said(exchange.log()), [failed]);
        assert_eq!(host.send(Request::get("/"))?.response().status(), 200);
    }
    let grows = guest().on(
        "request_headers",
        "(loop $on (br_if $on (i32.ge_s (memory.grow (i32.const 1000)) (i32.const 0))))
         (call $say (memory.size)) i32.const 0",
    );
    let plugin = grows.plugin("grows").compiled_quickly();
    let exchange = Host::with(plugin)?.send(Request::get("/"))?;
    let pages: u32 = said(exchange.log())[0].parse().expect("a number");
    assert!((15_000..=16_384).contains(&pages), "{pages}");
    Ok(())
}

#[test]
fn what_the_baseline_compiler_lacks_is_compiled_as_usual() -> Tested {
    let tail = guest()
        .with("(func $other (result i32) (call $text s(called)) i32.const 0)")
        .on("request_headers", "return_call $other");
    let exchange = Host::with(tail.plugin("tail").compiled_quickly())?.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["called"]);
    assert_eq!(exchange.response_code(), 200);
    Ok(())
}

#[test]
fn a_guest_that_exports_nothing_costs_nothing() -> Tested {
    let exchange = guest().host().send(Request::post("/").body("x"))?;
    assert_eq!(
        (
            exchange.cost().fuel,
            exchange.cost().crossings,
            exchange.host_calls().len()
        ),
        (0, 0, 0)
    );
    Ok(())
}

#[test]
fn crossings_count_callbacks_and_the_allocator() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(drop (call $get_header_map_pairs (i32.const 0) ret)) i32.const 0",
    );
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(
        (exchange.cost().crossings, exchange.host_calls().len()),
        (2, 1)
    );
    Ok(())
}

#[test]
fn a_request_held_over_the_buffer_limit_is_a_413_through_the_filters() -> Tested {
    let holds = guest()
        .on("request_body", "(call $say (local.get $n)) i32.const 1")
        .on("response_headers", "i32.const 0");
    let mut host = Host::builder()
        .plugin(holds.plugin("guest"))
        .buffer_limit(2000)
        .start()?;
    let exchange = host.send(
        Request::post("/")
            .chunk([b'x'; 1500])
            .chunk([b'y'; 1500])
            .chunk("rest"),
    )?;
    assert_eq!(
        said(exchange.log()),
        ["1500", "3000"],
        "the callback that crosses the limit is made"
    );
    assert_eq!(
        (exchange.response().status(), exchange.details()),
        (413, Some("request_payload_too_large"))
    );
    assert_eq!(
        exchange.response().headers().get("connection"),
        Some(&b"close"[..])
    );
    assert!(
        trace(&exchange).ends_with("guest:rsh"),
        "{}",
        trace(&exchange)
    );
    Ok(())
}

#[test]
fn a_request_over_a_watermark_waits_unread() -> Tested {
    let holds = guest().on("request_body", "(call $say (local.get $n)) i32.const 2");
    let mut host = Host::builder()
        .plugin(holds.plugin("guest"))
        .buffer_limit(2000)
        .start()?;
    let exchange = host.send(Request::post("/").chunk([b'x'; 3000]).chunk("unread"))?;
    assert_eq!(said(exchange.log()), ["3000"]);
    assert!(matches!(exchange.outcome(), Outcome::Paused { .. }));
    Ok(())
}

#[test]
fn a_response_held_over_the_buffer_limit_is_cut() -> Tested {
    let holds = guest().on("response_body", "i32.const 1");
    let mut host = Host::builder()
        .plugin(holds.plugin("guest"))
        .buffer_limit(2000)
        .start()?;
    host.upstream(|_| Response::ok().body([b'x'; 3000]));
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        (exchange.response().status(), exchange.outcome()),
        (200, &Outcome::Reset)
    );
    assert_eq!(exchange.details(), Some("response_payload_too_large"));
    Ok(())
}

#[test]
fn a_response_held_over_the_limit_with_its_headers_is_a_500() -> Tested {
    let holds = guest()
        .on("response_headers", "i32.const 1")
        .on("response_body", "i32.const 1");
    let plugin = holds.plugin("guest").allow_on_headers_stop_iteration();
    let mut host = Host::builder().plugin(plugin).buffer_limit(2000).start()?;
    host.upstream(|_| Response::ok().body([b'x'; 3000]));
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        (exchange.response().status(), exchange.response().body()),
        (500, b"Internal Server Error".to_vec())
    );
    Ok(())
}

#[test]
fn ten_thousand_streams_leave_nothing_behind() -> Tested {
    let each = transparent();
    let mut host = chain(&each, &each, &each);
    for _ in 0..10_000 {
        assert_eq!(host.send(Request::get("/"))?.cost().crossings, 18);
    }
    Ok(())
}

#[test]
fn hosts_run_side_by_side() {
    let guest = guest().on(
        "configure",
        "(drop (call $define_metric (i32.const 0) s(n) (i32.const 24)))
        (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const 1))) i32.const 1",
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut host = guest.host();
                for _ in 0..50 {
                    assert_eq!(
                        host.send(Request::get("/"))
                            .expect("it lives")
                            .response()
                            .status(),
                        200
                    );
                }
                assert_eq!(host.counter("n"), Some(3));
            });
        }
    });
}

#[test]
fn a_host_can_move_to_another_thread() -> Tested {
    let mut host = guest().host();
    let status = std::thread::spawn(move || {
        host.send(Request::get("/"))
            .map(|got| got.response().status())
    });
    assert_eq!(status.join().expect("the thread lives")?, 200);
    Ok(())
}
