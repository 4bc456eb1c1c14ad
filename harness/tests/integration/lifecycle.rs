use std::time::Duration;

use attache_harness::{Host, HostError, Outcome, Request, Response};

use crate::guest::{guest, said, trace, transparent};

type Tested = Result<(), HostError>;

#[test]
fn a_plugin_starts_in_the_canary_the_main_thread_and_each_worker() -> Tested {
    let guest = guest()
        .on("_initialize", "(call $text s(initialize))")
        .on(
            "context_create",
            "(call $text s(create)) (call $say (local.get $ctx))",
        )
        .on("vm_start", "(call $text s(vm_start)) i32.const 1")
        .on("configure", "(call $text s(configure)) i32.const 1");
    let host = Host::builder()
        .plugin(guest.plugin("guest"))
        .workers(2)
        .start()?;
    let once = ["initialize", "create", "1", "vm_start", "configure"];
    let log = said(host.log());
    assert_eq!(
        log[0], "initialize",
        "in the base VM, which does nothing else"
    );
    assert_eq!(log[1..], [once; 4].concat());
    assert_eq!(host.log()[0].prefix, "wasm log: ");
    assert_eq!(host.log()[2].prefix, "wasm log guest: ");
    Ok(())
}

#[test]
fn a_stream_lives_in_the_documented_order() -> Tested {
    let exchange = transparent().host().send(Request::post("/").body("x"))?;
    assert_eq!(
        trace(&exchange).replace("guest:", ""),
        "create rqh rqb rqb rsh log done delete",
        "the body comes in one piece, its end in another"
    );
    Ok(())
}

#[test]
fn the_end_of_a_message_is_told_with_the_last_piece() -> Tested {
    let mut host = transparent().host();
    host.upstream(|_| {
        attache_harness::Response::ok()
            .chunk("a")
            .chunk("bc")
            .trailer("t", "1")
    });
    let exchange = host.send(Request::get("/"))?;
    let shown = exchange.timeline().to_string();
    let calls: Vec<&str> = shown
        .lines()
        .filter(|line| line.contains(": proxy_on_re"))
        .map(str::trim)
        .collect();
    assert_eq!(
        calls,
        [
            "guest: proxy_on_request_headers(2, 6, 1)",
            "guest: proxy_on_response_headers(2, 3, 0)",
            "guest: proxy_on_response_body(2, 1, 0)",
            "guest: proxy_on_response_body(2, 2, 0)",
            "guest: proxy_on_response_trailers(2, 1)",
        ]
    );
    Ok(())
}

#[test]
fn contexts_are_numbered_from_one_and_streams_go_on_after_the_roots() -> Tested {
    let guest = guest().on(
        "context_create",
        "(call $say (local.get $ctx)) (call $say (local.get $n))",
    );
    let mut host = guest.host();
    assert_eq!(said(host.send(Request::get("/"))?.log()), ["2", "1"]);
    assert_eq!(said(host.send(Request::get("/"))?.log()), ["3", "1"]);
    Ok(())
}

#[test]
fn ticks_fire_on_the_main_thread_and_the_worker_when_the_clock_moves() -> Tested {
    let guest = guest()
        .on("configure", "(call $set_tick_period_milliseconds (i32.const 100)) drop i32.const 1")
        .on(
            "tick",
            "(drop (call $get_current_time_nanoseconds (i32.const 24)))
             (call $say (i32.wrap_i64 (i64.rem_u (i64.div_u (i64.load (i32.const 24)) (i64.const 1000000)) (i64.const 1000))))",
        );
    let mut host = guest.host();
    host.advance(Duration::from_millis(99))?;
    assert!(host.log().is_empty());
    host.advance(Duration::from_millis(151))?;
    assert_eq!(said(host.log()), ["100", "100", "200", "200"]);
    Ok(())
}

#[test]
fn a_tick_period_of_zero_stops_the_timer() -> Tested {
    let guest = guest()
        .on(
            "configure",
            "(call $set_tick_period_milliseconds (i32.const 10)) drop i32.const 1",
        )
        .on(
            "tick",
            "(call $text s(tick)) (drop (call $set_tick_period_milliseconds (i32.const 0)))",
        );
    let mut host = guest.host();
    host.advance(Duration::from_secs(1))?;
    assert_eq!(said(host.log()), ["tick", "tick"], "one on each thread");
    Ok(())
}

#[test]
fn at_shutdown_roots_are_done_and_deleted_unless_they_ask_for_time() -> Tested {
    let ends = guest()
        .on("done", "(call $text s(done)) i32.const 1")
        .on("delete", "(call $text s(delete))");
    let mut host = ends.host();
    host.shut_down()?;
    assert_eq!(said(host.log()), ["done", "delete", "done", "delete"]);

    let waits = guest()
        .on(
            "done",
            "(drop (call $set_tick_period_milliseconds (i32.const 10))) (call $text s(later)) i32.const 0",
        )
        .on("tick", "(call $text s(tick))")
        .on("delete", "(call $text s(delete))");
    let mut host = waits.host();
    host.shut_down()?;
    host.advance(Duration::from_secs(1))?;
    assert_eq!(said(host.log()), ["later", "later"], "nobody waits for it");
    assert!(matches!(
        host.send(Request::get("/")),
        Err(HostError::ShutDown)
    ));
    Ok(())
}

#[test]
fn in_initialize_only_logging_is_allowed() {
    let guest = guest().on("_initialize", "(drop (call $get_log_level (i32.const 24)))");
    let error = Host::with(guest.plugin("guest")).expect_err("a restricted call");
    let source = std::error::Error::source(&error)
        .expect("a cause")
        .to_string();
    assert!(
        source.contains("`_initialize` trapped: Uncaught Error: restricted_callback"),
        "{source}"
    );
}

#[test]
fn a_worker_that_refuses_what_the_canary_took_serves_without_the_filter() -> Tested {
    // The third root to be configured, that of the worker, sees the count 2.
    let guest = guest()
        .on(
            "configure",
            "(drop (call $define_metric (i32.const 0) s(starts) (i32.const 24)))
             (drop (call $get_metric (i32.load (i32.const 24)) (i32.const 32)))
             (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const 1)))
             (i64.lt_u (i64.load (i32.const 32)) (i64.const 2))",
        )
        .on("delete", "(call $text s(delete))")
        .on("request_headers", "unreachable");
    let mut host = guest.host();
    let log = said(host.log()).join("\n");
    assert!(
        log.contains("Wasm VM failed Failed to configure thread-local Wasm plugin\ndelete"),
        "{log}"
    );
    assert_eq!(host.send(Request::get("/"))?.response().status(), 200);
    Ok(())
}

#[test]
fn an_unknown_context_cannot_be_effective_and_zero_goes_back() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(call $say (call $set_effective_context (i32.const 99)))
         (call $say (call $set_effective_context (i32.const 1)))
         (call $tell (call $get_header_map_value (i32.const 0) s(:path) ret))
         (call $say (call $set_effective_context (i32.const 0)))
         (call $tell (call $get_header_map_value (i32.const 0) s(:path) ret)) i32.const 0",
    );
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["2", "0", "2", "-", "0", "0", "/"]);
    let prefixes: Vec<&str> = exchange
        .log()
        .iter()
        .map(|line| line.prefix.as_str())
        .collect();
    let (own, root) = ("wasm log guest guest: ", "wasm log guest: ");
    assert_eq!(
        prefixes,
        [own, root, root, root, own, own, own],
        "the prefix follows the context"
    );
    Ok(())
}

#[test]
fn an_upstream_that_takes_its_time_answers_when_the_clock_has_moved() -> Tested {
    let mut host = transparent().host();
    host.upstream(|_| Response::ok().after(Duration::from_millis(40)));
    let id = host.open(Request::get("/"))?;
    host.advance(Duration::from_millis(39))?;
    assert_eq!(*host.exchange(id)?.outcome(), Outcome::Running);
    host.advance_until_idle(Duration::from_secs(1))?;
    let response = host.exchange(id)?.response();
    assert_eq!(
        response.headers().get("x-envoy-upstream-service-time"),
        Some(&b"40"[..])
    );
    Ok(())
}

#[test]
fn at_shutdown_streams_are_reset_before_the_roots_of_their_thread_end() -> Tested {
    let names = |name: &str| {
        guest()
            .on("request_headers", "i32.const 1")
            .on("log", &format!("(call $text s({name} log))"))
            .on(
                "done",
                &format!("(call $text s({name} done)) (call $say (local.get $ctx)) i32.const 1"),
            )
            .plugin(name)
    };
    let mut host = Host::builder()
        .plugin(names("A"))
        .plugin(names("B"))
        .start()?;
    let id = host.open(Request::get("/"))?;
    host.shut_down()?;
    assert_eq!(
        said(host.log()).join(" "),
        "A log B log A done 2 B done 2 B done 1 A done 1 B done 1 A done 1",
        "the worker's stream and roots, the youngest first, and then the main thread's"
    );
    assert_eq!(host.exchange(id)?.outcome(), &Outcome::Reset);
    Ok(())
}

#[test]
fn plugins_of_one_name_and_configuration_share_a_root() -> Tested {
    let tells = guest().on(
        "context_create",
        "(call $say (local.get $ctx)) (call $say (local.get $n))",
    );
    let plugin = |name: &str| tells.plugin(name).vm_id("vm");
    let mut host = Host::builder()
        .plugin(plugin("a"))
        .plugin(plugin("a"))
        .plugin(plugin("b"))
        .start()?;
    let start = ["1", "0", "1", "0", "1", "0", "2", "0", "1", "0", "2", "0"];
    assert_eq!(
        said(host.log()),
        start,
        "canaries of a and b, the main thread, the worker"
    );
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["3", "1", "4", "1", "5", "2"]);
    Ok(())
}

#[test]
fn a_root_that_did_not_start_lives_on_in_a_shared_vm() -> Tested {
    // The sixth root to be configured refuses: that of b in the worker.
    let guest = guest()
        .on(
            "configure",
            "(drop (call $define_metric (i32.const 0) s(starts) (i32.const 24)))
             (drop (call $get_metric (i32.load (i32.const 24)) (i32.const 32)))
             (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const 1)))
             (i64.ne (i64.load (i32.const 32)) (i64.const 5))",
        )
        .on(
            "done",
            "(call $text s(done)) (call $say (local.get $ctx)) i32.const 1",
        )
        .on(
            "request_headers",
            "(call $say (local.get $ctx)) i32.const 0",
        );
    let plugin = |name: &str| guest.plugin(name).vm_id("vm");
    let mut host = Host::builder()
        .plugin(plugin("a"))
        .plugin(plugin("b"))
        .start()?;
    assert_eq!(
        said(host.log()),
        ["Wasm VM failed Failed to configure thread-local Wasm plugin"],
        "b's root is not told to end, the VM is a's as well"
    );
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["3", "done", "3"], "b is passed by");
    let from = host.log().len();
    host.shut_down()?;
    assert_eq!(
        said(&host.log()[from..]).join(" "),
        "done 1 done 2 done 2 done 1",
        "it ends with the worker's VM; then come the main thread's"
    );
    Ok(())
}
