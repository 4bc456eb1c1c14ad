//! What downstream and a filter see of an upstream that fails. The words and numbers were observed on
//! Envoy 1.40.0.

use std::time::Duration;

use attache_harness::{Answer, Exchange, Host, HostError, Outcome, Request, Response};

use crate::guest::{guest, said, trace, transparent};

type Tested = Result<(), HostError>;

fn exchange(answer: impl Into<Answer>) -> Result<Exchange, HostError> {
    let mut host = Host::builder()
        .plugin(transparent().plugin("guest"))
        .cluster("upstream", answer)
        .start()?;
    let id = host.open(Request::get("/"))?;
    host.advance_until_idle(Duration::from_secs(60))?;
    Ok(host.exchange(id)?.clone())
}

fn summary(exchange: &Exchange) -> String {
    let body = exchange.response().body();
    format!(
        "{} {} {} {}",
        exchange.response().status(),
        exchange.flags(),
        exchange.details().unwrap_or("-"),
        body.escape_ascii()
    )
}

#[test]
fn an_upstream_that_fails_before_its_response_becomes_a_reply_with_the_reason() -> Tested {
    let words = "upstream connect error or disconnect/reset before headers. reset reason: ";
    for (response, expected) in [
        (
            Response::refused(),
            format!(
                "503 UF upstream_reset_before_response_started{{remote_connection_failure\
                 |delayed_connect_error:_Connection_refused}} {words}remote connection failure"
            ),
        ),
        (
            Response::closed(),
            format!(
                "503 UC upstream_reset_before_response_started{{connection_termination}} \
                 {words}connection termination"
            ),
        ),
        (
            Response::malformed(),
            format!(
                "502 UPE upstream_reset_before_response_started{{protocol_error}} {words}protocol error"
            ),
        ),
        (
            Response::never(),
            "504 UT response_timeout upstream request timeout".to_owned(),
        ),
    ] {
        let exchange = exchange(response)?;
        assert_eq!(summary(&exchange), expected);
        assert_eq!(
            trace(&exchange).replace("guest:", ""),
            "create rqh rsh rsb log done delete",
            "the reply passes the filters"
        );
    }
    let exchange = exchange(Answer::no_healthy_endpoint())?;
    assert_eq!(
        summary(&exchange),
        "503 UH no_healthy_upstream no healthy upstream"
    );
    Ok(())
}

#[test]
fn a_refused_connection_means_that_nothing_was_sent() -> Tested {
    assert!(
        exchange(Response::refused())?
            .try_upstream_request()
            .is_none()
    );
    let by_closure = exchange(|_: &_| Response::refused())?;
    assert!(by_closure.try_upstream_request().is_none());
    assert!(
        exchange(Response::closed())?
            .try_upstream_request()
            .is_some()
    );
    Ok(())
}

#[test]
fn a_response_that_is_cut_is_cut_downstream() -> Tested {
    for cut in [
        Response::ok().chunk("abc").cut(),
        Response::ok()
            .chunk("abc")
            .header("content-length", "10")
            .cut(),
    ] {
        let exchange = exchange(cut)?;
        assert_eq!(exchange.outcome(), &Outcome::Reset);
        assert_eq!(
            summary(&exchange),
            "200 UPE upstream_reset_after_response_started{protocol_error} abc"
        );
        assert_eq!(
            trace(&exchange).replace("guest:", ""),
            "create rqh rsh rsb log done delete"
        );
    }
    Ok(())
}

#[test]
fn a_response_that_stalls_is_cut_when_the_routes_timeout_is_over() -> Tested {
    let mut host = transparent().host();
    host.cluster("upstream", Response::ok().chunk("abc").stall());
    let id = host.open(Request::get("/"))?;
    host.advance(Duration::from_millis(14_999))?;
    assert_eq!(host.exchange(id)?.outcome(), &Outcome::Running);
    host.advance(Duration::from_millis(1))?;
    let exchange = host.exchange(id)?;
    assert_eq!(summary(exchange), "200 UT response_timeout abc");
    assert_eq!(exchange.outcome(), &Outcome::Reset);
    Ok(())
}

#[test]
fn a_slow_body_comes_piece_by_piece() -> Tested {
    let pause = Duration::from_millis(100);
    let slow = Response::ok()
        .chunk("a")
        .pause(pause)
        .chunk("b")
        .pause(pause);
    let mut host = transparent().host();
    host.cluster("upstream", slow.trailer("t", "1"));
    let id = host.open(Request::get("/"))?;
    assert_eq!(host.exchange(id)?.response().body(), b"a");
    host.advance(pause)?;
    assert_eq!(host.exchange(id)?.response().body(), b"ab");
    host.advance(pause)?;
    let exchange = host.exchange(id)?;
    assert!(exchange.response().trailers().is_some());
    assert_eq!(
        trace(exchange).replace("guest:", ""),
        "create rqh rsh rsb rsb rst log done delete"
    );
    Ok(())
}

#[test]
fn a_stream_on_which_nothing_moves_ends_after_five_minutes() -> Tested {
    let pauses = |callback: &str| guest().on(callback, "i32.const 1").host();
    for (mut host, request, expected) in [
        (
            pauses("request_headers"),
            Request::get("/"),
            "504 SI stream_idle_timeout stream timeout",
        ),
        (
            pauses("response_headers"),
            Request::get("/"),
            "504 SI stream_idle_timeout stream timeout",
        ),
        (
            transparent().host(),
            Request::post("/")
                .chunk("a")
                .pause(Duration::from_secs(9999)),
            "408 SI stream_idle_timeout stream timeout",
        ),
    ] {
        let id = host.open(request)?;
        host.advance(Duration::from_millis(299_999))?;
        assert!(host.exchange(id)?.try_response().is_none());
        host.advance(Duration::from_millis(1))?;
        assert_eq!(summary(host.exchange(id)?), expected);
    }
    Ok(())
}

#[test]
fn a_slow_client_keeps_its_request_open() -> Tested {
    let pause = Duration::from_secs(20);
    let mut host = transparent().host();
    let request = Request::post("/").chunk("a").pause(pause).chunk("b");
    let id = host.open(request)?;
    assert_eq!(host.exchange(id)?.upstream_request().body(), b"a");
    host.advance(pause)?;
    let exchange = host.exchange(id)?;
    assert_eq!(exchange.upstream_request().body(), b"ab");
    assert_eq!(
        exchange.response().status(),
        200,
        "the route's timeout counts from the request's end"
    );
    Ok(())
}

#[test]
fn a_client_that_goes_away_ends_its_stream() -> Tested {
    let mut host = transparent().host();
    let request = Request::post("/").chunk("a").disconnect();
    let exchange = host.send(request)?;
    assert_eq!(exchange.outcome(), &Outcome::Reset);
    assert_eq!(
        (exchange.flags().to_string().as_str(), exchange.details()),
        ("DC", Some("downstream_remote_disconnect"))
    );
    Ok(())
}

#[test]
fn an_early_answer_does_not_wait_for_the_request() -> Tested {
    let mut host = transparent().host();
    host.cluster("upstream", Response::new(403).body("early").early());
    let request = Request::post("/")
        .header("content-length", "10")
        .chunk("abc")
        .pause(Duration::from_secs(1))
        .chunk("defghij");
    let exchange = host.send(request)?;
    assert_eq!(exchange.response().status(), 403);
    let headers = exchange.response().headers();
    assert!(!headers.contains_key("x-envoy-upstream-service-time"));
    assert_eq!(headers.get("connection"), Some(&b"close"[..]));
    assert_eq!(
        trace(&exchange).replace("guest:", ""),
        "create rqh rqb rsh rsb rsb log done delete"
    );
    Ok(())
}

#[test]
fn a_filter_overrules_the_timeout_and_a_client_cannot() -> Tested {
    let timeout = "x-envoy-upstream-rq-timeout-ms";
    let filter = guest().on(
        "request_headers",
        "(drop (call $add_header_map_value (i32.const 0) s(x-envoy-upstream-rq-timeout-ms) s(200))) i32.const 0",
    );
    for (guest, milliseconds) in [(filter, 200), (transparent(), 15_000)] {
        let mut host = guest.host();
        host.cluster("upstream", Response::never());
        let id = host.open(Request::get("/").header(timeout, "7"))?;
        host.advance(Duration::from_millis(milliseconds - 1))?;
        assert!(host.exchange(id)?.try_response().is_none());
        host.advance(Duration::from_millis(1))?;
        let exchange = host.exchange(id)?;
        assert_eq!(exchange.response().status(), 504);
        let sent = exchange.upstream_request().headers();
        assert!(!sent.contains_key(timeout));
        assert_eq!(
            sent.get("x-envoy-expected-rq-timeout-ms"),
            Some(milliseconds.to_string().as_bytes())
        );
    }
    Ok(())
}

#[test]
fn filters_see_the_framing_of_the_upstream_and_downstream_gets_envoys_own() -> Tested {
    let guest = guest().on(
        "response_headers",
        "(call $tell (call $get_header_map_value (i32.const 2) s(transfer-encoding) ret))
         (call $tell (call $get_header_map_value (i32.const 2) s(connection) ret)) i32.const 0",
    );
    let mut host = guest.host();
    host.upstream(|_| Response::ok().header("connection", "close").chunk("a"));
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["0", "chunked", "0", "close"]);
    let headers = exchange.response().headers();
    assert_eq!(headers.get_all("transfer-encoding").count(), 1);
    assert!(!headers.contains_key("connection"));
    Ok(())
}

#[test]
fn a_request_without_a_body_says_so_where_one_is_usual() -> Tested {
    let mut host = transparent().host();
    for (method, length) in [
        ("POST", true),
        ("PUT", true),
        ("GET", false),
        ("DELETE", false),
    ] {
        let exchange = host.send(Request::new(method, "/"))?;
        let sent = exchange.upstream_request().headers();
        assert_eq!(sent.contains_key("content-length"), length, "{method}");
    }
    Ok(())
}
