use std::time::Duration;

use attache_harness::{FailurePolicy, Host, HostError, Outcome, Plugin, Request, Response};

use crate::guest::{Guest, guest, said, trace, transparent};

type Tested = Result<(), HostError>;

/// A chain of three transparent guests, the middle one trapping in a callback when the request has
/// the header `x-trap`.
fn trapping_chain(callback: &str, policy: FailurePolicy) -> Host {
    let result = if matches!(callback, "log" | "delete") {
        ""
    } else {
        "i32.const 0"
    };
    let trap = guest()
        .with("(global $armed (mut i32) (i32.const 0))")
        .on(
            "request_headers",
            "(global.set $armed (i32.eqz (call $get_header_map_value (i32.const 0) s(x-trap) ret))) i32.const 0",
        )
        .on(callback, &format!("(if (global.get $armed) (then unreachable)) {result}"));
    let each = transparent();
    Host::builder()
        .plugin(each.plugin("A"))
        .plugin(trap.plugin("B").failure_policy(policy))
        .plugin(each.plugin("C"))
        .start()
        .expect("the guests start")
}

fn trap_request() -> Request {
    Request::post("/")
        .header("x-trap", "1")
        .chunk("x")
        .trailer("t", "1")
}

#[test]
fn a_trap_on_the_way_to_the_upstream_is_a_503_past_the_other_filters() -> Tested {
    for callback in ["request_body", "request_trailers"] {
        let exchange = trapping_chain(callback, FailurePolicy::FailClosed).send(trap_request())?;
        assert_eq!(
            (exchange.response().status(), exchange.response().body()),
            (503, Vec::new())
        );
        assert_eq!(exchange.details(), Some("wasm_fail_stream"));
        let trace = trace(&exchange);
        assert!(
            trace.contains("C:rsh A:rsh") && !trace.contains("B:rsh"),
            "{callback}: {trace}"
        );
        assert!(
            trace.ends_with("A:log C:log A:done A:delete C:done C:delete"),
            "{callback}: {trace}"
        );
    }
    Ok(())
}

#[test]
fn a_trap_in_request_headers_is_a_503_for_the_filters_before() -> Tested {
    let each = transparent();
    let mut host =
        crate::chains::chain(&each, &guest().on("request_headers", "unreachable"), &each);
    let exchange = host.send(Request::get("/"))?;
    let trace = trace(&exchange);
    assert!(
        trace.contains("B:rqh A:rsh A:log C:create C:log"),
        "{trace}"
    );
    assert_eq!(exchange.response().status(), 503);
    let log = &exchange.log()[0];
    assert_eq!(
        log.message,
        "Function: proxy_on_request_headers failed: Uncaught RuntimeError: unreachable"
    );
    Ok(())
}

#[test]
fn a_trap_in_response_headers_is_a_503_past_nobody() -> Tested {
    let exchange =
        trapping_chain("response_headers", FailurePolicy::FailClosed).send(trap_request())?;
    assert_eq!(
        (exchange.response().status(), exchange.details()),
        (503, Some("wasm_fail_stream"))
    );
    assert!(!trace(&exchange).contains("A:rsh"), "{}", trace(&exchange));
    Ok(())
}

#[test]
fn a_trap_after_the_response_has_begun_cuts_the_connection() -> Tested {
    let mut host = trapping_chain("response_body", FailurePolicy::FailClosed);
    host.upstream(|_| Response::ok().body("hello"));
    let exchange = host.send(trap_request())?;
    assert_eq!(
        (exchange.response().status(), exchange.outcome()),
        (200, &Outcome::Reset)
    );
    assert_eq!(exchange.details(), Some("wasm_fail_stream"));
    Ok(())
}

#[test]
fn a_trap_in_the_log_leaves_the_response_alone() -> Tested {
    let mut host = trapping_chain("log", FailurePolicy::FailClosed);
    assert_eq!(host.send(trap_request())?.response().status(), 200);
    assert_eq!(
        host.send(Request::get("/"))?.response().status(),
        503,
        "but the VM is gone"
    );
    Ok(())
}

#[test]
fn the_policy_decides_on_the_stream_and_on_those_that_follow() -> Tested {
    for (policy, this, next) in [
        (FailurePolicy::FailClosed, 503, 503),
        (FailurePolicy::FailOpen, 503, 200),
        (FailurePolicy::DeprecatedFailOpen, 200, 200),
        (FailurePolicy::FailReload, 503, 503),
    ] {
        let mut host = trapping_chain("request_body", policy);
        assert_eq!(
            host.send(trap_request())?.response().status(),
            this,
            "{policy:?}, this stream"
        );
        assert_eq!(
            host.send(Request::get("/"))?.response().status(),
            next,
            "{policy:?}, the next"
        );
    }
    Ok(())
}

#[test]
fn a_body_passes_the_filter_that_fails_open() -> Tested {
    let exchange =
        trapping_chain("request_body", FailurePolicy::DeprecatedFailOpen).send(trap_request())?;
    assert_eq!(exchange.upstream_request().body(), b"x");
    assert!(exchange.upstream_request().trailers().is_some());
    Ok(())
}

#[test]
fn a_reload_waits_for_the_back_off_and_starts_from_one_again() -> Tested {
    let guest = guest()
        .on("context_create", "(call $say (local.get $ctx))")
        .on(
            "request_headers",
            "(if (i32.eqz (call $get_header_map_value (i32.const 0) s(x-trap) ret)) (then unreachable)) i32.const 0",
        );
    let plugin = guest
        .plugin("guest")
        .failure_policy(FailurePolicy::FailReload);
    let mut host = Host::with(plugin)?;
    host.advance(Duration::from_secs(2))?;
    assert_eq!(
        host.send(Request::get("/").header("x-trap", "1"))?
            .response()
            .status(),
        503
    );
    let first = host.send(Request::get("/"))?;
    assert_eq!(
        (first.response().status(), first.log()[0].message.as_str()),
        (200, "2"),
        "reloaded at once"
    );
    assert_eq!(
        host.send(Request::get("/").header("x-trap", "1"))?
            .response()
            .status(),
        503
    );
    host.advance(Duration::from_millis(999))?;
    assert_eq!(
        host.send(Request::get("/"))?.response().status(),
        503,
        "too early"
    );
    host.advance(Duration::from_millis(501))?;
    assert_eq!(host.send(Request::get("/"))?.response().status(), 200);
    Ok(())
}

#[test]
fn a_trap_in_a_tick_leaves_paused_streams_hanging() -> Tested {
    let guest = guest()
        .on(
            "configure",
            "(call $set_tick_period_milliseconds (i32.const 10)) drop i32.const 1",
        )
        .on("request_headers", "i32.const 1")
        .on("tick", "unreachable");
    let mut host = guest.host();
    let id = host.open(Request::get("/"))?;
    host.advance(Duration::from_secs(1))?;
    assert!(matches!(
        host.exchange(id)?.outcome(),
        Outcome::Paused { .. }
    ));
    assert_eq!(host.send(Request::get("/"))?.response().status(), 503);
    Ok(())
}

#[test]
fn plugins_that_share_a_vm_fail_together() -> Tested {
    let traps: Guest = guest().on(
        "request_headers",
        "(if (i32.eqz (call $get_header_map_value (i32.const 0) s(x-trap) ret)) (then unreachable)) i32.const 0",
    );
    let plugin = |name| -> Plugin { traps.plugin(name).vm_id("shared") };
    let mut host = Host::builder()
        .plugin(plugin("A"))
        .plugin(plugin("B").failure_policy(FailurePolicy::FailOpen))
        .start()?;
    assert_eq!(
        host.send(Request::get("/").header("x-trap", "1"))?
            .response()
            .status(),
        503
    );
    assert_eq!(host.send(Request::get("/"))?.response().status(), 503);
    Ok(())
}

#[test]
fn a_reply_is_not_lost_when_the_callback_traps_after_it() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(drop (call $send_local_response (i32.const 403) s() s() s() (i32.const -1))) unreachable",
    );
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(
        exchange.response().status(),
        503,
        "the failure comes before what was deferred"
    );
    Ok(())
}

#[test]
fn the_jitter_of_the_back_off_is_drawn_from_the_seed() -> Tested {
    let guest = guest().on("request_headers", "unreachable");
    let mut waits = Vec::new();
    for seed in [1, 1, 2, 3] {
        let plugin = guest
            .plugin("guest")
            .failure_policy(FailurePolicy::FailReload);
        let mut host = Host::builder().plugin(plugin).seed(seed).start()?;
        host.send(Request::get("/"))?;
        let mut waited = 0;
        while host.stat("wasm.guest.vm_reload_success") == Some(0) {
            host.advance(Duration::from_millis(1))?;
            host.send(Request::get("/"))?;
            waited += 1;
        }
        assert!((1000..=1500).contains(&waited), "{waited}");
        waits.push(waited);
    }
    assert_eq!(waits[0], waits[1]);
    assert!(
        waits[1..].windows(2).any(|pair| pair[0] != pair[1]),
        "{waits:?}"
    );
    Ok(())
}

#[test]
fn a_trap_names_the_functions_on_the_stack() -> Tested {
    let guest = guest()
        .with("(func $inner unreachable) (func $outer (call $inner))")
        .on("request_headers", "(call $outer) i32.const 0");
    let exchange = guest.host().send(Request::get("/"))?;
    let told = exchange.timeline().to_string();
    assert!(
        told.contains(
            "failed: Uncaught RuntimeError: unreachable, in `inner`, called by `outer`, called by"
        ),
        "{told}"
    );
    assert_eq!(
        exchange.log()[0].message,
        "Function: proxy_on_request_headers failed: Uncaught RuntimeError: unreachable",
        "the log has the first line of Envoy's"
    );
    Ok(())
}

#[test]
fn a_plugin_that_fails_closed_stays_with_the_vm_that_failed() -> Tested {
    let traps = guest().on(
        "request_headers",
        "(if (i32.eqz (call $get_header_map_value (i32.const 0) s(x-trap) ret)) (then unreachable)) i32.const 0",
    );
    let plugin = |name: &str, policy| traps.plugin(name).vm_id("vm").failure_policy(policy);
    let mut host = Host::builder()
        .http_chain("reload", [plugin("a", FailurePolicy::FailReload)])
        .http_chain("closed", [plugin("b", FailurePolicy::FailClosed)])
        .start()?;
    host.advance(Duration::from_secs(2))?;
    let trap = Request::get("/").header("x-trap", "1");
    host.send_to("reload", trap)?;
    let status = |host: &mut Host, chain| {
        Ok::<_, HostError>(host.send_to(chain, Request::get("/"))?.response().status())
    };
    assert_eq!(status(&mut host, "reload")?, 200);
    assert_eq!(
        status(&mut host, "closed")?,
        503,
        "though there is a new VM"
    );
    Ok(())
}

#[test]
fn a_stream_under_way_fails_at_its_next_event_when_its_vm_has_failed() -> Tested {
    for (policy, status) in [
        (FailurePolicy::FailClosed, 503),
        (FailurePolicy::FailOpen, 503),
        (FailurePolicy::FailReload, 503),
        (FailurePolicy::DeprecatedFailOpen, 200),
    ] {
        let guest = guest()
            .on(
                "configure",
                "(drop (call $set_tick_period_milliseconds (i32.const 500))) i32.const 1",
            )
            .on("tick", "unreachable")
            .on("response_headers", "i32.const 0");
        let mut host = Host::with(guest.plugin("guest").failure_policy(policy))?;
        host.upstream(|_| Response::ok().after(Duration::from_secs(1)));
        let id = host.open(Request::get("/"))?;
        host.advance(Duration::from_secs(2))?;
        let exchange = host.exchange(id)?;
        assert_eq!(
            exchange.response().status(),
            status,
            "{policy:?}\n{exchange}"
        );
    }
    Ok(())
}

#[test]
fn a_trap_in_a_queue_callback_leaves_paused_streams_hanging() -> Tested {
    let guest = guest()
        .on(
            "configure",
            "(drop (call $register_shared_queue s(q) (i32.const 24))) i32.const 1",
        )
        .on("queue_ready", "unreachable")
        .on(
            "request_headers",
            "(drop (call $resolve_shared_queue s() s(q) (i32.const 24)))
             (drop (call $enqueue_shared_queue (i32.load (i32.const 24)) s(x))) i32.const 1",
        );
    let mut host = guest.host();
    let exchange = host.send(Request::get("/"))?;
    assert!(
        matches!(exchange.outcome(), Outcome::Paused { .. }),
        "{exchange}"
    );
    assert_eq!(
        exchange.lints()[0].kind,
        attache_harness::LintKind::FailureLeavesStreams
    );
    let id = exchange.id();
    host.disconnect(id)?;
    let trace = trace(host.exchange(id)?);
    assert!(!trace.contains("log") && !trace.contains("done"), "{trace}");
    Ok(())
}

#[test]
fn a_reload_that_is_refused_is_counted_and_leaves_the_failed_vm() -> Tested {
    // Canary, main thread and worker take the configuration; who comes later does not.
    let guest = guest()
        .on(
            "configure",
            "(drop (call $define_metric (i32.const 0) s(starts) (i32.const 24)))
             (drop (call $get_metric (i32.load (i32.const 24)) (i32.const 32)))
             (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const 1)))
             (i64.lt_u (i64.load (i32.const 32)) (i64.const 3))",
        )
        .on("request_headers", "unreachable");
    let plugin = guest
        .plugin("guest")
        .failure_policy(FailurePolicy::FailReload);
    let mut host = Host::with(plugin)?;
    host.send(Request::get("/"))?;
    for failures in 1..3 {
        host.advance(Duration::from_secs(2))?;
        assert_eq!(host.send(Request::get("/"))?.response().status(), 503);
        assert_eq!(host.stat("wasm.guest.vm_reload_failure"), Some(failures));
    }
    assert_eq!(host.stat("wasm.guest.vm_reload_success"), Some(0));
    assert!(
        said(host.log()).contains(&"Wasm VM failed Failed to configure thread-local Wasm plugin")
    );
    assert_eq!(host.stat("wasm.wasm_vm_count"), Some(3));
    Ok(())
}

#[test]
fn vms_that_failed_leave_their_room() -> Tested {
    let guest = guest().on("request_headers", "unreachable");
    let plugin = guest
        .plugin("guest")
        .failure_policy(FailurePolicy::FailReload);
    let mut host = Host::with(plugin)?;
    for _ in 0..600 {
        host.advance(Duration::from_secs(2))?;
        assert_eq!(host.send(Request::get("/"))?.response().status(), 503);
    }
    assert_eq!(host.stat("wasm.guest.vm_reload_success"), Some(599));
    assert_eq!(host.stat("wasm.wasm_vm_count"), Some(3));
    Ok(())
}
