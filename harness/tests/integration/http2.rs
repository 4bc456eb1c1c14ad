use attache_harness::{Codec, Exchange, Host, HostError, Request, Response};

use crate::guest::{guest, transparent};

type Tested = Result<(), HostError>;

/// The body and trailers callbacks of a stream, with their arguments.
fn pieces(exchange: &Exchange) -> Vec<String> {
    let shown = exchange.timeline().to_string();
    let lines = shown.lines().filter_map(|line| {
        let (_, call) = line.split_once("guest: proxy_on_")?;
        (call.contains("_body(") || call.contains("_trailers(")).then(|| call.to_owned())
    });
    lines.collect()
}

fn host(upstream: Codec) -> Result<Host, HostError> {
    let plugin = transparent().plugin("guest");
    Host::builder()
        .plugin(plugin)
        .upstream_codec(upstream)
        .start()
}

#[test]
fn over_http2_the_last_piece_carries_the_end() -> Tested {
    let mut host = host(Codec::Http2)?;
    host.upstream(|_| Response::ok().chunk("hello"));
    let exchange = host.send(Request::post("/").http2().chunk("aaaa").chunk("bb"))?;
    assert_eq!(
        pieces(&exchange),
        [
            "request_body(2, 4, 0)",
            "request_body(2, 2, 1)",
            "response_body(2, 5, 1)"
        ]
    );
    Ok(())
}

#[test]
fn an_end_of_its_own_and_trailers_come_as_they_are_sent() -> Tested {
    let mut host = host(Codec::Http2)?;
    host.upstream(|_| Response::ok().chunk("hello").trailer("grpc-status", "0"));
    let exchange = host.send(Request::post("/").http2().chunk("aaaa").chunk(""))?;
    assert_eq!(
        pieces(&exchange),
        [
            "request_body(2, 4, 0)",
            "request_body(2, 0, 1)",
            "response_body(2, 5, 0)",
            "response_trailers(2, 1)"
        ]
    );
    Ok(())
}

#[test]
fn each_side_has_its_own_protocol() -> Tested {
    let mut host = host(Codec::Http1)?;
    host.upstream(|_| Response::ok().chunk("hello"));
    let exchange = host.send(Request::post("/").http2().chunk("aaaa"))?;
    assert_eq!(
        pieces(&exchange),
        [
            "request_body(2, 4, 1)",
            "response_body(2, 5, 0)",
            "response_body(2, 0, 1)"
        ]
    );
    let upstream = exchange.upstream_request().headers();
    assert_eq!(upstream.get("transfer-encoding"), Some(&b"chunked"[..]));
    let downstream = exchange.response().headers();
    assert!(!downstream.contains_key("transfer-encoding"));
    Ok(())
}

#[test]
fn an_early_reply_does_not_close_an_http2_connection() -> Tested {
    let refuse = guest().on(
        "request_headers",
        "(drop (call $send_local_response (i32.const 403) s(no) s(no) (i32.const 0) (i32.const 0) (i32.const -1)))
         i32.const 1",
    );
    let mut host = refuse.host();
    let over_http1 = host.send(Request::post("/").chunk("body"))?;
    assert!(over_http1.response().headers().contains_key("connection"));
    let over_http2 = host.send(Request::post("/").http2().chunk("body"))?;
    assert_eq!(over_http2.response().status(), 403);
    assert!(!over_http2.response().headers().contains_key("connection"));
    Ok(())
}

#[test]
fn a_filter_sees_the_framing_of_a_response_and_downstream_does_not() -> Tested {
    let guest = guest().on(
        "response_headers",
        "(call $tell (call $get_header_map_value (i32.const 2) s(transfer-encoding) ret))
         (call $tell (call $get_header_map_value (i32.const 2) s(connection) ret))
         i32.const 0",
    );
    let mut host = guest.host();
    host.upstream(|_| Response::ok().header("Connection", "x-foo").chunk("hello"));
    let exchange = host.send(Request::get("/").http2())?;
    let said: Vec<&str> = exchange
        .log()
        .iter()
        .map(|line| line.message.as_str())
        .collect();
    assert_eq!(said, ["0", "chunked", "0", "x-foo"]);
    let headers = exchange.response().headers();
    assert!(!headers.contains_key("connection") && !headers.contains_key("transfer-encoding"));
    Ok(())
}

#[test]
fn trailers_behind_a_declared_length_are_dropped_over_http1() -> Tested {
    let guest = guest().on(
        "request_body",
        "(if (local.get $eos) (then (drop (call $add_header_map_value (i32.const 1) s(t) s(1))))) i32.const 0",
    );
    for (codec, carried) in [(Codec::Http1, false), (Codec::Http2, true)] {
        let mut host = Host::builder()
            .plugin(guest.plugin("guest"))
            .upstream_codec(codec)
            .start()?;
        let exchange = host.send(Request::post("/").body("body"))?;
        let trailers = exchange.upstream_request().trailers();
        assert_eq!(trailers.is_some(), carried, "{codec:?}");
    }
    Ok(())
}
