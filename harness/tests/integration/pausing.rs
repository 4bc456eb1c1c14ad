use std::time::Duration;

use attache_harness::{Direction, Host, HostError, Outcome, Request, Response};

use crate::chains::chain;
use crate::guest::{Guest, guest, said, trace, transparent};

type Tested = Result<(), HostError>;

/// A guest that pauses in one callback and resumes the stream that paused last in its next tick.
fn waiting(callback: &str, result: u32, stream: u32) -> Guest {
    guest()
        .with("(global $waits (mut i32) (i32.const 0))")
        .on(
            "configure",
            "(call $set_tick_period_milliseconds (i32.const 100)) drop i32.const 1",
        )
        .on(
            callback,
            &format!("(global.set $waits (local.get $ctx)) i32.const {result}"),
        )
        .on(
            "tick",
            &format!(
                "(if (global.get $waits) (then
                   (drop (call $set_effective_context (global.get $waits)))
                   (drop (call $continue_stream (i32.const {stream})))
                   (global.set $waits (i32.const 0))))"
            ),
        )
}

fn paused(direction: Direction) -> Outcome {
    Outcome::Paused {
        direction,
        plugin: "guest".to_owned(),
    }
}

/// Adds what every other callback of a stream would do: nothing.
fn and_exports(guest: Guest, callbacks: &[&str]) -> Guest {
    callbacks
        .iter()
        .fold(guest, |guest, callback| guest.on(callback, "i32.const 0"))
}

#[test]
fn a_pause_in_request_headers_holds_everything_until_the_resume() -> Tested {
    let guest = and_exports(waiting("request_headers", 1, 0), &["request_body"]);
    let mut host = guest.host();
    let id = host.open(Request::post("/").body("body"))?;
    assert_eq!(host.exchange(id)?.outcome(), &paused(Direction::Request));
    assert_eq!(trace(host.exchange(id)?), "guest:rqh");
    host.advance(Duration::from_millis(100))?;
    let exchange = host.exchange(id)?;
    assert_eq!(exchange.outcome(), &Outcome::Completed);
    assert_eq!(exchange.upstream_request().body(), b"body");
    let shown = exchange.timeline().to_string();
    assert!(
        shown.contains("proxy_on_request_body(2, 4, 1)"),
        "held body and end come as one:\n{shown}"
    );
    Ok(())
}

#[test]
fn headers_stay_writable_while_they_are_paused() -> Tested {
    let guest = guest()
        .on(
            "configure",
            "(call $set_tick_period_milliseconds (i32.const 100)) drop i32.const 1",
        )
        .on("request_headers", "i32.const 1")
        .on(
            "tick",
            "(if (i32.eqz (call $set_effective_context (i32.const 2))) (then
               (call $say (call $add_header_map_value (i32.const 0) s(x-late) s(yes)))
               (drop (call $continue_stream (i32.const 0)))
               (call $say (call $add_header_map_value (i32.const 0) s(x-later) s(no)))))",
        );
    let mut host = guest.host();
    let id = host.open(Request::get("/"))?;
    host.advance(Duration::from_millis(100))?;
    assert_eq!(said(host.log()), ["0", "2"]);
    let headers = host.exchange(id)?.upstream_request().headers();
    assert!(headers.contains_key("x-late") && !headers.contains_key("x-later"));
    Ok(())
}

#[test]
fn with_the_option_a_body_callback_that_continues_lets_the_request_go() -> Tested {
    let guest = guest().on("request_headers", "i32.const 1");
    for guest in [guest.clone(), and_exports(guest, &["request_body"])] {
        let plugin = guest.plugin("guest").allow_on_headers_stop_iteration();
        let mut host = Host::with(plugin)?;
        let exchange = host.send(Request::post("/").body("unjudged"))?;
        assert_eq!(exchange.outcome(), &Outcome::Completed);
        assert_eq!(exchange.upstream_request().body(), b"unjudged");
        let bodiless = host.send(Request::get("/"))?;
        assert_eq!(bodiless.outcome(), &paused(Direction::Request));
    }
    Ok(())
}

#[test]
fn with_the_option_headers_and_body_can_be_held_together() -> Tested {
    let guest =
        and_exports(waiting("request_body", 1, 0), &[]).on("request_headers", "i32.const 1");
    let mut host = Host::with(guest.plugin("guest").allow_on_headers_stop_iteration())?;
    let id = host.open(Request::post("/").chunk("bo").chunk("dy"))?;
    assert!(host.exchange(id)?.try_upstream_request().is_none());
    host.advance(Duration::from_millis(100))?;
    assert_eq!(host.exchange(id)?.upstream_request().body(), b"body");
    Ok(())
}

#[test]
fn one_stream_can_set_another_free() -> Tested {
    let guest = guest().with("(global $waits (mut i32) (i32.const 0))").on(
        "request_headers",
        "(if (i32.eqz (global.get $waits))
               (then (global.set $waits (local.get $ctx)) (return (i32.const 1))))
             (drop (call $set_effective_context (global.get $waits)))
             (drop (call $continue_stream (i32.const 0)))
             i32.const 0",
    );
    let mut host = guest.host();
    let first = host.open(Request::get("/first"))?;
    assert_eq!(host.exchange(first)?.outcome(), &paused(Direction::Request));
    let second = host.send(Request::get("/second"))?;
    assert_eq!(second.upstream_request().path(), b"/second");
    let first = host.exchange(first)?;
    assert_eq!(
        (first.outcome(), first.upstream_request().path()),
        (&Outcome::Completed, &b"/first"[..])
    );
    Ok(())
}

/// A guest in the middle of a chain that continues a stream in a callback and returns `result`.
fn continuing(callback: &str, stream: u32, result: u32) -> Host {
    let each = transparent();
    let body = format!("(drop (call $continue_stream (i32.const {stream}))) i32.const {result}");
    let guest = guest().on(callback, &body);
    let guest = match callback {
        "request_body" => guest,
        _ => and_exports(guest, &["request_body"]),
    };
    let mut host = chain(&each, &guest, &each);
    host.upstream(|_| Response::ok().chunk("hello").trailer("t", "1"));
    host
}

#[test]
fn continuing_inside_the_callback_that_pauses_sends_its_headers_on_and_holds_the_rest() -> Tested {
    let mut host = continuing("request_headers", 0, 1);
    let bodiless = host.send(Request::get("/"))?;
    assert_eq!(bodiless.outcome(), &Outcome::Completed);
    assert_eq!(trace(&bodiless).matches("C:rqh").count(), 1);
    let exchange = host.send(Request::post("/").body("body"))?;
    assert_eq!(trace(&exchange).matches("C:rqh").count(), 1);
    assert!(!trace(&exchange).contains("B:rqb"), "{}", trace(&exchange));
    assert!(matches!(exchange.outcome(), Outcome::Paused { .. }));
    Ok(())
}

#[test]
fn continuing_inside_a_body_callback_changes_nothing_where_nothing_is_held() -> Tested {
    for (callback, stream) in [("request_body", 0), ("response_body", 1)] {
        let exchange = continuing(callback, stream, 0).send(Request::post("/").body("body"))?;
        assert_eq!(exchange.outcome(), &Outcome::Completed);
        assert_eq!(exchange.upstream_request().body(), b"body");
        assert_eq!(exchange.response().body(), b"hello");
    }
    Ok(())
}

#[test]
fn continuing_inside_a_callback_that_also_continues_is_refused() {
    for (callback, stream) in [
        ("request_headers", 0),
        ("request_trailers", 0),
        ("response_headers", 1),
        ("response_trailers", 1),
    ] {
        let request = Request::post("/").chunk("body").trailer("t", "1");
        let error = continuing(callback, stream, 0)
            .send(request)
            .expect_err("a part is sent on twice");
        let crash = matches!(error, HostError::EnvoyWouldCrash { .. });
        assert_eq!(
            crash,
            callback == "response_trailers",
            "{callback}: {error}"
        );
        assert!(
            error.to_string().contains("just return Continue"),
            "{error}"
        );
    }
}

#[test]
fn closing_in_response_trailers_and_going_on_is_reported_as_the_crash_that_it_is() -> Tested {
    let closing = |result: u32| {
        let close = format!("(drop (call $close_stream (i32.const 1))) i32.const {result}");
        let mut host = guest().on("response_trailers", &close).host();
        host.upstream(|_| Response::ok().chunk("hello").trailer("t", "1"));
        host.send(Request::get("/"))
    };
    assert_eq!(closing(1)?.outcome(), &Outcome::Reset);
    let error = closing(0).expect_err("Envoy crashes");
    assert!(
        matches!(error, HostError::EnvoyWouldCrash { .. }),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_second_continue_changes_nothing() -> Tested {
    let guest = guest()
        .on(
            "configure",
            "(call $set_tick_period_milliseconds (i32.const 100)) drop i32.const 1",
        )
        .on("request_headers", "i32.const 1")
        .on(
            "tick",
            "(if (i32.eqz (call $set_effective_context (i32.const 2))) (then
               (drop (call $continue_stream (i32.const 0)))
               (drop (call $continue_stream (i32.const 0)))))",
        );
    let mut host = guest.host();
    let id = host.open(Request::get("/"))?;
    host.advance(Duration::from_millis(100))?;
    assert_eq!(host.exchange(id)?.outcome(), &Outcome::Completed);
    Ok(())
}

#[test]
fn a_buffered_body_grows_until_it_is_let_go() -> Tested {
    let guest = guest().on(
        "request_body",
        "(call $say (local.get $n)) (call $say (local.get $eos)) (i32.eqz (local.get $eos))",
    );
    let exchange = guest.host().send(
        Request::post("/")
            .chunk("aaaa")
            .chunk("bbbb")
            .chunk("cccccc"),
    )?;
    assert_eq!(
        said(exchange.log()),
        ["4", "0", "8", "0", "14", "0", "14", "1"]
    );
    assert_eq!(
        exchange.upstream_request().chunks(),
        [b"aaaabbbbcccccc".to_vec()]
    );
    Ok(())
}

#[test]
fn under_a_watermark_each_callback_sees_its_own_piece() -> Tested {
    let guest = guest().on(
        "request_body",
        "(call $say (local.get $n)) (select (i32.const 0) (i32.const 2) (local.get $eos))",
    );
    let exchange = guest
        .host()
        .send(Request::post("/").chunk("aaaa").chunk("bb"))?;
    assert_eq!(said(exchange.log()), ["4", "2", "0"]);
    assert_eq!(exchange.upstream_request().chunks(), [b"aaaabb".to_vec()]);
    Ok(())
}

#[test]
fn bytes_that_are_not_buffered_are_dropped_and_the_end_waits() -> Tested {
    let mut host = waiting("request_body", 3, 0).host();
    let id = host.open(Request::post("/").chunk("lost"))?;
    assert_eq!(host.exchange(id)?.outcome(), &paused(Direction::Request));
    host.advance(Duration::from_millis(100))?;
    assert_eq!(host.exchange(id)?.upstream_request().body(), b"");
    assert_eq!(host.exchange(id)?.outcome(), &Outcome::Completed);
    Ok(())
}

#[test]
fn a_buffered_body_is_readable_in_trailers_and_let_go_by_them() -> Tested {
    let ask = "(call $tell (call $get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 99) ret))
               (call $say (call $set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 99) s(new)))
               i32.const 0";
    let request = || Request::post("/").chunk("body").trailer("t", "1");
    let holds = guest()
        .on("request_body", "i32.const 1")
        .on("request_trailers", ask);
    let exchange = holds.host().send(request())?;
    assert_eq!(said(exchange.log()), ["0", "body", "0"]);
    assert_eq!(exchange.upstream_request().body(), b"new");
    assert!(exchange.upstream_request().trailers().is_some());

    let passes = guest()
        .on("request_body", "i32.const 0")
        .on("request_trailers", ask);
    let exchange = passes.host().send(request())?;
    assert_eq!(said(exchange.log()), ["0", "null", "2"]);
    assert_eq!(exchange.upstream_request().body(), b"body");
    Ok(())
}

#[test]
fn later_filters_get_a_released_body_before_its_trailers() -> Tested {
    let holds = guest()
        .on("request_body", "i32.const 1")
        .on("request_trailers", "i32.const 0");
    let mut host = chain(&guest(), &holds, &transparent());
    let exchange = host.send(Request::post("/").chunk("a").chunk("b").trailer("t", "1"))?;
    assert!(
        trace(&exchange).contains("B:rqb B:rqb B:rqt C:rqb C:rqt"),
        "{}",
        trace(&exchange)
    );
    assert!(
        exchange
            .timeline()
            .to_string()
            .contains("C: proxy_on_request_body(2, 2, 0)")
    );
    Ok(())
}

#[test]
fn trailers_can_wait_too() -> Tested {
    let mut host = waiting("request_trailers", 1, 0).host();
    let id = host.open(Request::post("/").chunk("a").trailer("t", "1"))?;
    assert_eq!(host.exchange(id)?.outcome(), &paused(Direction::Request));
    assert_eq!(
        host.exchange(id)?.upstream_request().body(),
        b"a",
        "what went before stays gone"
    );
    host.advance(Duration::from_millis(100))?;
    assert_eq!(host.exchange(id)?.outcome(), &Outcome::Completed);
    Ok(())
}

#[test]
fn a_response_can_wait_and_be_changed_meanwhile() -> Tested {
    let guest = guest()
        .on(
            "configure",
            "(call $set_tick_period_milliseconds (i32.const 100)) drop i32.const 1",
        )
        .on("response_headers", "i32.const 1")
        .on("response_body", "(call $say (local.get $n)) i32.const 0")
        .on(
            "tick",
            "(if (i32.eqz (call $set_effective_context (i32.const 2))) (then
               (drop (call $add_header_map_value (i32.const 2) s(x-late) s(yes)))
               (drop (call $continue_stream (i32.const 1)))))",
        );
    let mut host = guest.host();
    host.upstream(|_| Response::ok().body("hello"));
    let id = host.open(Request::get("/"))?;
    assert_eq!(host.exchange(id)?.outcome(), &paused(Direction::Response));
    host.advance(Duration::from_millis(100))?;
    let exchange = host.exchange(id)?;
    assert_eq!(said(exchange.log()), ["5"]);
    assert_eq!(exchange.response().body(), b"hello");
    assert!(exchange.response().headers().contains_key("x-late"));
    Ok(())
}

#[test]
fn resuming_a_response_that_has_not_begun_is_reported_as_the_crash_that_it_is() {
    let guest = guest().on(
        "request_headers",
        "(drop (call $continue_stream (i32.const 1))) i32.const 0",
    );
    let error = guest
        .host()
        .send(Request::get("/"))
        .expect_err("Envoy crashes");
    assert!(
        error
            .to_string()
            .contains("`proxy_continue_stream(1)` may not be called before"),
        "{error}"
    );
}

#[test]
fn a_client_that_gives_up_ends_a_paused_stream() -> Tested {
    let each = transparent();
    let mut host = chain(&each, &guest().on("request_headers", "i32.const 1"), &each);
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(trace(&exchange), "A:create A:rqh B:rqh");
    host.disconnect(exchange.id())?;
    let exchange = host.exchange(exchange.id())?;
    assert_eq!(exchange.outcome(), &Outcome::Reset);
    assert!(
        trace(exchange).ends_with("A:log C:create C:log A:done A:delete C:done C:delete"),
        "{}",
        trace(exchange)
    );
    Ok(())
}

#[test]
fn a_body_held_after_everything_was_stopped_is_lost_when_trailers_go_on() -> Tested {
    let guest = waiting("request_headers", 1, 0)
        .on("request_body", "i32.const 1")
        .on("request_trailers", "i32.const 0");
    let mut host = guest.host();
    let id = host.open(Request::post("/").chunk("body").trailer("t", "1"))?;
    host.advance(Duration::from_millis(100))?;
    let exchange = host.exchange(id)?;
    assert_eq!(trace(exchange), "guest:rqh guest:rqb guest:rqt guest:rqt");
    assert_eq!(exchange.upstream_request().body(), b"");
    let lints: Vec<&str> = exchange
        .lints()
        .iter()
        .map(|lint| lint.kind.name())
        .collect();
    assert_eq!(lints, ["held-body-lost"]);
    Ok(())
}

#[test]
fn what_is_written_after_a_watermark_is_lost() -> Tested {
    let guest = guest().on("request_body", "i32.const 2").on(
        "request_trailers",
        "(call $say (call $set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 99) s(new)))
         i32.const 0",
    );
    let mut host = guest.host();
    let exchange = host.send(Request::post("/").chunk("body").trailer("t", "1"))?;
    assert_eq!(said(exchange.log()), ["0"]);
    assert_eq!(exchange.upstream_request().body(), b"body");
    let lints: Vec<&str> = exchange
        .lints()
        .iter()
        .map(|lint| lint.kind.name())
        .collect();
    assert_eq!(lints, ["moved-body-written"]);
    Ok(())
}

#[test]
fn a_watermark_does_not_keep_the_end_from_a_body_of_declared_length() -> Tested {
    let guest = and_exports(waiting("request_headers", 1, 0), &["request_body"]);
    let mut host = Host::builder()
        .plugin(guest.plugin("guest"))
        .buffer_limit(12)
        .start()?;
    let id = host.open(Request::post("/").body("more than twelve bytes"))?;
    host.advance(Duration::from_millis(100))?;
    let shown = host.exchange(id)?.timeline().to_string();
    assert!(shown.contains("proxy_on_request_body(2, 22, 1)"), "{shown}");
    Ok(())
}

#[test]
fn a_reply_that_waits_until_the_request_is_read_leaves_the_connection_open() -> Tested {
    let reply = "(drop (call $send_local_response (i32.const 403) s(no) s(no) (i32.const 0) (i32.const 0) (i32.const -1)))
                 i32.const 1";
    let request = || Request::post("/").chunk("body").chunk("end");
    let at_once = guest()
        .on("request_headers", reply)
        .host()
        .send(request())?;
    assert!(at_once.response().headers().contains_key("connection"));
    let held = waiting("response_headers", 1, 1).on("request_headers", reply);
    let mut host = held.host();
    let id = host.open(request())?;
    host.advance(Duration::from_millis(100))?;
    let headers = host.exchange(id)?.response().headers();
    assert!(!headers.contains_key("connection"), "{headers:?}");
    Ok(())
}

#[test]
fn a_callback_that_resumes_what_makes_it_without_end_stops_the_host() -> Tested {
    let guest = waiting("request_headers", 1, 0).on(
        "request_trailers",
        "(drop (call $continue_stream (i32.const 0))) i32.const 1",
    );
    let mut host = guest.host();
    host.open(Request::post("/").chunk("body").trailer("t", "1"))?;
    let error = host
        .advance(Duration::from_millis(100))
        .expect_err("Envoy's stack gets full");
    assert!(error.to_string().contains("without end"), "{error}");
    Ok(())
}

#[test]
fn a_held_body_that_a_filter_makes_too_large_is_answered_413() -> Tested {
    let guest = guest().on(
        "request_body",
        "(if (local.get $eos) (then
           (drop (call $set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 0) s(longer than twelve)))))
         (i32.eqz (local.get $eos))",
    );
    let mut host = Host::builder()
        .plugin(guest.plugin("guest"))
        .buffer_limit(12)
        .start()?;
    let exchange = host.send(Request::post("/").chunk("body"))?;
    assert_eq!(exchange.response().status(), 413);
    Ok(())
}

#[test]
fn trailers_that_a_held_response_body_gets_wait_with_it() -> Tested {
    let guest = waiting("response_headers", 0, 1).on(
        "response_body",
        "(drop (call $add_header_map_value (i32.const 3) s(t) s(1))) i32.const 1",
    );
    let mut host = guest.host();
    host.upstream(|_| Response::ok().chunk("hello"));
    let id = host.open(Request::get("/"))?;
    assert_eq!(host.exchange(id)?.outcome(), &paused(Direction::Response));
    host.advance(Duration::from_millis(100))?;
    let response = host.exchange(id)?.response();
    assert_eq!(response.body(), b"hello");
    assert!(response.trailers().is_some());
    Ok(())
}

#[test]
fn resuming_a_complete_request_with_trailers_is_refused() -> Tested {
    let guest = guest()
        .on(
            "configure",
            "(call $set_tick_period_milliseconds (i32.const 100)) drop i32.const 1",
        )
        .on("request_trailers", "i32.const 1")
        .on(
            "tick",
            "(if (i32.eqz (call $set_effective_context (i32.const 2))) (then
               (drop (call $continue_stream (i32.const 0)))
               (drop (call $continue_stream (i32.const 0)))))",
        );
    let mut host = guest.host();
    host.open(Request::post("/").chunk("body").trailer("t", "1"))?;
    let error = host
        .advance(Duration::from_millis(100))
        .expect_err("the trailers go out twice");
    assert!(matches!(error, HostError::Misuse { .. }), "{error}");
    Ok(())
}
