use std::time::Duration;

use attache_harness::{
    Exchange, FailurePolicy, Host, HostError, LintKind, Plugin, Request, Response,
};

use crate::guest::{Guest, guest, transparent};

type Tested = Result<(), HostError>;

/// The names of an exchange's lints.
fn names(exchange: &Exchange) -> Vec<&'static str> {
    let lints = exchange.lints().iter();
    lints.map(|lint| lint.kind.name()).collect()
}

#[test]
fn reading_the_first_of_several_values_is_told_once() -> Tested {
    let read = "(drop (call $get_header_map_value (i32.const 0) s(X-Token) ret))";
    let guest = guest().on("request_headers", &format!("{read} {read} i32.const 0"));
    let mut host = guest.host();
    let exchange = host.send(
        Request::get("/")
            .header("x-token", "a")
            .header("x-token", "b"),
    )?;
    assert_eq!(names(&exchange), ["first-of-several-values"]);
    let told = exchange.lints()[0].to_string();
    assert!(
        told.starts_with(
            "lint first-of-several-values: `guest`: `X-Token` has 2 values; the call hands out"
        ) && told.ends_with("(proxy-wasm/spec#53)"),
        "{told}"
    );
    assert!(
        exchange.timeline().to_string().contains(&told),
        "{exchange}"
    );
    let plain = host.send(Request::get("/").header("x-token", "a"))?;
    assert_eq!(names(&plain), [""; 0]);
    Ok(())
}

#[test]
fn a_host_can_make_lints_errors_all_but_some() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(drop (call $get_header_map_value (i32.const 0) s(x-token) ret)) i32.const 0",
    );
    let twice = || {
        Request::get("/")
            .header("x-token", "a")
            .header("x-token", "b")
    };
    let strict = Host::builder().plugin(guest.plugin("guest")).deny_lints();
    let error = strict.start()?.send(twice()).expect_err("a lint");
    assert!(
        matches!(&error, HostError::Lint { lint, .. } if lint.kind == LintKind::FirstOfSeveralValues),
        "{error}"
    );
    let lenient = Host::builder()
        .plugin(guest.plugin("guest"))
        .deny_lints()
        .allow_lint(LintKind::FirstOfSeveralValues);
    assert_eq!(lenient.start()?.send(twice())?.lints().len(), 1);
    Ok(())
}

/// The lints of a guest that does this in its request headers callback.
fn in_headers(body: &str) -> Result<Vec<&'static str>, HostError> {
    let guest = guest().on("request_headers", &format!("{body} i32.const 0"));
    Ok(names(&guest.host().send(Request::get("/"))?))
}

#[test]
fn calls_that_do_not_what_they_seem_to_are_told() -> Tested {
    let reply = |code: u32, body: &str| {
        format!(
            "(drop (call $send_local_response (i32.const {code}) s() s({body}) s() (i32.const -1)))"
        )
    };
    let defined = |kind: u32, then: &str| {
        format!(
            "(drop (call $define_metric (i32.const {kind}) s(m) (i32.const 24)))
             (drop (call {then}))"
        )
    };
    for (call, lint) in [
        (
            "(drop (call $get_header_map_value (i32.const 1) s(x) ret))".to_owned(),
            "map-outside-its-phase",
        ),
        (
            "(drop (call $get_header_map_pairs (i32.const 2) ret))".to_owned(),
            "map-outside-its-phase",
        ),
        (
            "(drop (call $replace_header_map_value (i32.const 2) s(x) s(y)))".to_owned(),
            "map-outside-its-phase",
        ),
        (
            "(drop (call $set_header_map_pairs (i32.const 0) s(junk)))
             (drop (call $add_header_map_value (i32.const 0) s(:path) s(/)))
             (drop (call $add_header_map_value (i32.const 0) s(:method) s(GET)))"
                .to_owned(),
            "unreadable-pairs",
        ),
        (
            "(drop (call $add_header_map_value (i32.const 0) s(:Path) s(/b)))".to_owned(),
            "added-to-single-header",
        ),
        (
            "(drop (call $replace_header_map_value (i32.const 0) s(Transfer-Encoding) s(chunked)))"
                .to_owned(),
            "transfer-encoding-added",
        ),
        (reply(99, ""), "local-reply-status"),
        (reply(204, "body"), "local-reply-body"),
        (reply(200, "") + &reply(201, ""), "second-local-reply"),
        (
            defined(0, "$increment_metric (i32.load (i32.const 24)) (i64.const 0)"),
            "counter-not-incremented",
        ),
        (
            defined(1, "$increment_metric (i32.load (i32.const 24)) (i64.const -1)"),
            "gauge-wrapped",
        ),
        (
            defined(1, "$record_metric (i32.load (i32.const 24)) (i64.const -1)"),
            "gauge-wrapped",
        ),
        (
            "(drop (call $set_property s(a\\00b) s(v)))".to_owned(),
            "property-path-in-parts",
        ),
        (
            "(drop (call $set_effective_context (i32.const 1))) (drop (call $continue_stream (i32.const 0)))"
                .to_owned(),
            "no-stream",
        ),
    ] {
        assert_eq!(in_headers(&call)?, [lint], "{call}");
    }
    Ok(())
}

#[test]
fn calls_that_do_what_they_seem_to_are_not_told() -> Tested {
    for call in [
        "(drop (call $get_header_map_value (i32.const 0) s(x) ret))",
        "(drop (call $get_header_map_pairs (i32.const 0) ret))",
        "(drop (call $add_header_map_value (i32.const 0) s(x) s(a)))
         (drop (call $add_header_map_value (i32.const 0) s(x) s(b)))",
        "(drop (call $remove_header_map_value (i32.const 0) s(transfer-encoding)))",
        "(drop (call $send_local_response (i32.const 403) s() s(no) s() (i32.const -1)))",
        "(drop (call $set_property s(a.b) s(v)))",
        "(drop (call $define_metric (i32.const 1) s(m) (i32.const 24)))
         (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const 2)))
         (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const -2)))",
    ] {
        assert_eq!(in_headers(call)?, [""; 0], "{call}");
    }
    Ok(())
}

#[test]
fn results_that_envoy_takes_otherwise_are_told() -> Tested {
    let lints = |guest: Guest| -> Result<Vec<&'static str>, HostError> {
        Ok(names(&guest.host().send(Request::post("/").body("x"))?))
    };
    assert_eq!(
        lints(guest().on("request_headers", "i32.const 2"))?,
        ["end-stream-ignored"]
    );
    let drops = guest().on("request_body", "i32.const 3");
    assert_eq!(lints(drops)?, ["body-dropped"]);
    assert_eq!(
        lints(guest().on("done", "i32.const 0"))?,
        ["stream-done-refused"]
    );
    assert_eq!(lints(transparent())?, [""; 0]);
    Ok(())
}

#[test]
fn a_filter_that_is_only_logged_is_told() -> Tested {
    let replies = guest().on(
        "request_headers",
        "(call $send_local_response (i32.const 403) s() s() s() (i32.const -1))",
    );
    let mut host = Host::builder()
        .plugin(replies.plugin("A"))
        .plugin(transparent().plugin("B"))
        .start()?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(names(&exchange), ["unreached-filter-logs"]);
    assert_eq!(exchange.lints()[0].plugin, "B");
    Ok(())
}

#[test]
fn a_reply_after_the_response_began_is_told() -> Tested {
    let late = guest().on(
        "response_body",
        "(call $send_local_response (i32.const 500) s() s() s() (i32.const -1))",
    );
    let mut host = late.host();
    host.upstream(|_| Response::ok().body("x"));
    assert_eq!(names(&host.send(Request::get("/"))?), ["late-local-reply"]);
    Ok(())
}

#[test]
fn headers_that_wait_before_their_body_are_told_unless_something_may_resume_them() -> Tested {
    let waits = |configure: &str| {
        guest()
            .on("configure", &format!("{configure} i32.const 1"))
            .on("request_headers", "i32.const 1")
            .on("request_body", "i32.const 0")
    };
    let with_body = || Request::post("/").body("x");
    let mut host = waits("").host();
    assert_eq!(
        names(&host.send(with_body())?),
        ["paused-headers-hold-body"]
    );
    assert_eq!(names(&host.send(Request::get("/"))?), [""; 0]);
    let ticks = "(drop (call $set_tick_period_milliseconds (i32.const 10)))";
    assert_eq!(names(&waits(ticks).host().send(with_body())?), [""; 0]);
    Ok(())
}

#[test]
fn headers_that_a_body_lets_go_in_the_middle_are_told() -> Tested {
    let sent = |guest: Guest| {
        let plugin = guest.plugin("guest").allow_on_headers_stop_iteration();
        Host::with(plugin)?.send(Request::post("/").chunk("x").chunk("y"))
    };
    let waits = || guest().on("request_headers", "i32.const 1");
    for released in [waits(), waits().on("request_body", "i32.const 0")] {
        let exchange = sent(released)?;
        assert_eq!(names(&exchange), ["headers-released-by-body"]);
        assert!(exchange.try_upstream_request().is_some());
    }
    let collects = waits().on("request_body", "(i32.eqz (local.get $eos))");
    let exchange = sent(collects)?;
    assert_eq!(names(&exchange), [""; 0], "it let them go at the end");
    assert_eq!(exchange.upstream_request().body(), b"xy");
    Ok(())
}

#[test]
fn a_failure_is_told_to_the_stream_that_fails_open_too_late_and_to_those_that_wait() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(if (i32.eqz (call $get_header_map_value (i32.const 0) s(x-trap) ret)) (then unreachable)) i32.const 1",
    );
    let plugin: Plugin = guest
        .plugin("guest")
        .failure_policy(FailurePolicy::FailOpen);
    let mut host = Host::with(plugin)?;
    let waits = host.open(Request::get("/"))?;
    let trapped = host.send(Request::get("/").header("x-trap", "1"))?;
    assert_eq!(
        (trapped.response().status(), names(&trapped)),
        (503, vec!["fail-open-gap"])
    );
    host.advance(Duration::from_secs(1))?;
    assert_eq!(names(host.exchange(waits)?), ["failure-leaves-streams"]);
    Ok(())
}

#[test]
fn what_a_start_counts_is_told_to_the_host() -> Tested {
    let counts = guest().on(
        "configure",
        "(drop (call $define_metric (i32.const 0) s(n) (i32.const 24)))
         (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const 1))) i32.const 1",
    );
    let host = counts.host();
    assert_eq!(host.counter("n"), Some(3));
    let lints: Vec<LintKind> = host.lints().iter().map(|lint| lint.kind).collect();
    assert_eq!(lints, [LintKind::CountedAtStart], "once, not once a thread");
    Ok(())
}

#[test]
fn an_exit_that_comes_back_is_told() -> Tested {
    let exits = wat::parse_str(
        r#"(module
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (func (export "proxy_abi_version_0_2_1"))
          (func (export "malloc") (param i32) (result i32) i32.const 0)
          (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $exit (i32.const 3)) i32.const 0))"#,
    )
    .expect("a module");
    let mut host = Host::with(Plugin::from_bytes("exits", exits))?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(names(&exchange), ["exit-returns"]);
    assert_eq!(exchange.response().status(), 200);
    Ok(())
}

#[test]
fn a_guest_cannot_fill_memory_with_lints() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(local $i i32)
         (drop (call $define_metric (i32.const 1) s(m) (i32.const 24)))
         (loop $more
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (drop (call $record_metric (i32.load (i32.const 24)) (i64.sub (i64.const 0) (i64.extend_i32_u (local.get $i)))))
           (br_if $more (i32.lt_u (local.get $i) (i32.const 1000))))
         i32.const 0",
    );
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(exchange.lints().len(), 200);
    Ok(())
}
