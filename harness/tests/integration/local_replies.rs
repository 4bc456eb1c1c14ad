use attache_harness::{HostError, Outcome, Request, Response};

use crate::chains::chain;
use crate::guest::{guest, said, trace, transparent};

type Tested = Result<(), HostError>;

/// Replies 403 with a body, and goes on with the result 0.
const REPLY: &str =
    "(drop (call $send_local_response (i32.const 403) s(by guest) s(no) s() (i32.const -1)))";

/// A transparent guest in which one callback replies.
fn replying(callback: &str) -> crate::guest::Guest {
    [
        "request_headers",
        "request_body",
        "request_trailers",
        "response_headers",
        "response_body",
    ]
    .iter()
    .fold(guest(), |guest, name| match *name == callback {
        true => guest.on(name, &format!("{REPLY} i32.const 0")),
        false => guest.on(name, "i32.const 0"),
    })
    .on("context_create", "")
    .on("log", "")
    .on("done", "i32.const 1")
    .on("delete", "")
}

fn after_reply(callback: &str, request: Request) -> (String, attache_harness::Exchange) {
    let each = transparent();
    let mut host = chain(&each, &replying(callback), &each);
    host.upstream(|_| Response::ok().chunk("from upstream"));
    let exchange = host.send(request).expect("a host that lives");
    let trace = trace(&exchange);
    let end = trace.find(" A:log").expect("the stream ends");
    (trace[..end].to_owned(), exchange)
}

#[test]
fn in_request_headers_the_reply_visits_the_filters_that_were_reached() -> Tested {
    let (trace, exchange) = after_reply("request_headers", Request::get("/"));
    assert_eq!(
        trace,
        "A:create A:rqh B:create B:rqh B:rsh A:rsh B:rsb A:rsb"
    );
    assert_eq!(exchange.response().status(), 403);
    assert_eq!(exchange.response().body(), b"no");
    assert_eq!(exchange.details(), Some("by_guest"));
    assert_eq!(
        exchange
            .local_reply()
            .and_then(|reply| reply.plugin.as_deref()),
        Some("B")
    );
    assert!(exchange.try_upstream_request().is_none());
    let whole = crate::guest::trace(&exchange);
    assert!(
        whole.ends_with(
            "A:log B:log C:create C:log A:done A:delete B:done B:delete C:done C:delete"
        ),
        "{whole}"
    );
    Ok(())
}

#[test]
fn in_request_body_and_trailers_the_reply_visits_all() -> Tested {
    let (trace, exchange) = after_reply("request_body", Request::post("/").body("body"));
    assert!(
        trace.ends_with("B:rqb C:rsh B:rsh A:rsh C:rsb B:rsb A:rsb"),
        "{trace}"
    );
    assert_eq!(
        exchange.response().headers().get("connection"),
        Some(&b"close"[..]),
        "the body was not read"
    );
    let (trace, exchange) = after_reply(
        "request_trailers",
        Request::post("/").chunk("body").trailer("t", "1"),
    );
    assert!(
        trace.ends_with("B:rqt C:rsh B:rsh A:rsh C:rsb B:rsb A:rsb"),
        "{trace}"
    );
    assert!(!exchange.response().headers().contains_key("connection"));
    Ok(())
}

#[test]
fn in_response_headers_the_reply_replaces_the_response_and_visits_nobody() -> Tested {
    let (trace, exchange) = after_reply("response_headers", Request::get("/"));
    assert!(trace.ends_with("C:rqh C:rsh B:rsh"), "{trace}");
    assert_eq!(
        (exchange.response().status(), exchange.response().body()),
        (403, b"no".to_vec())
    );
    assert_eq!(exchange.outcome(), &Outcome::Completed);
    Ok(())
}

#[test]
fn in_a_response_body_the_reply_comes_too_late_and_cuts_the_connection() -> Tested {
    let (trace, exchange) = after_reply("response_body", Request::get("/"));
    assert!(trace.ends_with("C:rsh B:rsh A:rsh C:rsb B:rsb"), "{trace}");
    assert_eq!(
        (exchange.response().status(), exchange.outcome()),
        (200, &Outcome::Reset)
    );
    assert_eq!(exchange.details(), Some("by_guest"));
    Ok(())
}

#[test]
fn the_first_of_two_replies_in_one_callback_wins() -> Tested {
    let second = "(drop (call $send_local_response (i32.const 500) s() s() s() (i32.const -1)))";
    let guest = guest().on("request_headers", &format!("{REPLY} {second} i32.const 1"));
    assert_eq!(
        guest.host().send(Request::get("/"))?.response().status(),
        403
    );
    Ok(())
}

#[test]
fn a_reply_to_the_reply_in_ones_own_response_headers_wins() -> Tested {
    let second = "(drop (call $send_local_response (i32.const 500) s() s() s() (i32.const -1)))";
    let guest = guest()
        .on("request_headers", &format!("{REPLY} i32.const 1"))
        .on("response_headers", &format!("{second} i32.const 0"));
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(
        (exchange.response().status(), exchange.response().body()),
        (500, Vec::new())
    );
    Ok(())
}

#[test]
fn a_reply_has_the_headers_that_envoy_gives_it() -> Tested {
    let pairs =
        r"\02\00\00\00\03\00\00\00\01\00\00\00\07\00\00\00\03\00\00\00X-A\001\00:status\00200\00";
    let guest = guest().on(
        "request_headers",
        &format!("(drop (call $send_local_response (i32.const 99) s() s(hi) s({pairs}) (i32.const -1))) i32.const 0"),
    );
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(
        format!("{:?}", exchange.response().headers()),
        r#"[(":status", "99"), ("x-a", "1"), ("content-length", "2"), ("content-type", "text/plain"), ("date", "Thu, 01 Jan 2026 00:00:00 GMT"), ("server", "envoy")]"#
    );
    Ok(())
}

#[test]
fn a_grpc_client_is_answered_in_its_own_way() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(drop (call $send_local_response (i32.const 403) s() s(no) s() (i32.const 7))) i32.const 0",
    );
    let request = Request::post("/a.B/C").header("content-type", "application/grpc");
    let exchange = guest.host().send(request)?;
    let headers = exchange.response().headers();
    assert_eq!(
        (exchange.response().status(), headers.get("grpc-status")),
        (200, Some(&b"7"[..]))
    );
    assert_eq!(headers.get("grpc-message"), Some(&b"no"[..]));
    Ok(())
}

#[test]
fn a_root_context_replies_to_nobody() -> Tested {
    let guest = guest().on(
        "configure",
        "(call $say (call $send_local_response (i32.const 403) s() s() s() (i32.const -1))) i32.const 1",
    );
    let host = guest.host();
    assert_eq!(said(host.log()), ["0", "0", "0"]);
    Ok(())
}

#[test]
fn a_reply_after_the_stream_is_reported_as_the_crash_that_it_is() {
    for (callback, result) in [("log", ""), ("done", "i32.const 1")] {
        let guest = guest().on(callback, &format!("{REPLY} {result}"));
        let error = guest
            .host()
            .send(Request::get("/"))
            .expect_err("Envoy crashes");
        assert!(
            matches!(error, HostError::EnvoyWouldCrash { .. }),
            "{error}"
        );
        let text = error.to_string();
        assert!(
            text.starts_with("Envoy would crash: `proxy_send_local_response` may not be called"),
            "{text}"
        );
    }
}

#[test]
fn resuming_after_a_reply_in_one_callback_is_refused() {
    let guest = guest().on(
        "request_headers",
        &format!("{REPLY} (drop (call $continue_stream (i32.const 0))) i32.const 1"),
    );
    let error = guest
        .host()
        .send(Request::get("/"))
        .expect_err("the reply would be muddled");
    assert!(matches!(error, HostError::Misuse { .. }), "{error}");
}

#[test]
fn a_closed_stream_gets_no_reply() -> Tested {
    for callback in ["request_headers", "request_body"] {
        let guest = guest().on(
            callback,
            "(call $say (call $close_stream (i32.const 0))) i32.const 0",
        );
        let exchange = guest.host().send(Request::post("/").body("x"))?;
        assert!(exchange.try_response().is_none());
        assert_eq!(
            (exchange.outcome(), exchange.details()),
            (&Outcome::Reset, Some("wasm_close_stream"))
        );
    }
    let guest = guest().on(
        "response_body",
        "(call $say (call $close_stream (i32.const 1))) i32.const 0",
    );
    let mut host = guest.host();
    host.upstream(|_| Response::ok().body("cut"));
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        (exchange.response().status(), exchange.details()),
        (200, Some("via_upstream"))
    );
    assert_eq!(
        (exchange.response().body(), exchange.outcome()),
        (Vec::new(), &Outcome::Reset)
    );
    Ok(())
}

#[test]
fn stream_calls_answer_by_the_type_of_stream() -> Tested {
    let each: String = (0..=4)
        .filter(|kind| *kind != 1)
        .map(|kind| format!("(call $say (call $continue_stream (i32.const {kind})))"))
        .collect();
    let guest = guest().on(
        "request_headers",
        &format!("{each} (call $say (call $close_stream (i32.const 3))) (call $say (call $close_stream (i32.const 4))) i32.const 1"),
    );
    let exchange = guest.host().send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["0", "0", "12", "2", "0", "2"]);
    Ok(())
}

#[test]
fn closing_in_the_log_is_reported_as_the_crash_that_it_is() {
    let guest = guest().on("log", "(drop (call $close_stream (i32.const 0)))");
    let error = guest
        .host()
        .send(Request::get("/"))
        .expect_err("Envoy crashes");
    assert!(
        matches!(error, HostError::EnvoyWouldCrash { .. }),
        "{error}"
    );
}

#[test]
fn a_reply_and_a_close_of_a_request_in_one_callback_are_refused() {
    let close = "(drop (call $close_stream (i32.const 0)))";
    for (first, second) in [(REPLY, close), (close, REPLY)] {
        let error = guest()
            .on("request_headers", &format!("{first} {second} i32.const 1"))
            .host()
            .send(Request::get("/"))
            .expect_err("one end too many");
        assert!(matches!(error, HostError::Misuse { .. }), "{error}");
    }
}

#[test]
fn a_close_behind_a_resumed_end_is_reported_as_the_crash_that_it_is() {
    let both = "(drop (call $continue_stream (i32.const 1))) (drop (call $close_stream (i32.const 1))) i32.const 1";
    let mut host = guest().on("response_trailers", both).host();
    host.upstream(|_| Response::ok().chunk("hello").trailer("t", "1"));
    let error = host.send(Request::get("/")).expect_err("Envoy crashes");
    assert!(
        matches!(error, HostError::EnvoyWouldCrash { .. }),
        "{error}"
    );
}
