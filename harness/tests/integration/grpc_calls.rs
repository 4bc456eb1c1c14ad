//! `proxy_grpc_call` and `proxy_grpc_stream`. The statuses, texts and orders were observed on Envoy
//! 1.40.0.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use attache_harness::{Answer, GrpcEvent, GrpcReply, Host, HostError, LintKind, Request, Response};

use crate::guest::{Guest, guest, list, said};

type Tested = Result<(), HostError>;

/// `GrpcService { envoy_grpc { cluster_name } }`
fn service(cluster: &str) -> String {
    let size = cluster.len();
    format!("\\0a\\{:02x}\\0a\\{size:02x}{cluster}", size + 2)
}

/// A call of one answer, which leaves its status.
fn unary(target: &str, timeout: u32) -> String {
    format!(
        "(call $grpc_call s({target}) s(pkg.Svc) s(Get) {} s(ping) (i32.const {timeout}) (i32.const 24))",
        list(&[("x-md", "1")])
    )
}

fn stream(target: &str) -> String {
    format!(
        "(call $grpc_stream s({target}) s(pkg.Svc) s(Watch) {} (i32.const 24))",
        list(&[("x-md", "1"), ("key-bin", "hello")])
    )
}

/// A guest that runs `body` in its request headers and tells every answer.
fn telling(body: &str) -> Guest {
    let status = "(drop (call $get_status (i32.const 28) (i32.const 16) (i32.const 20)))
                  (call $tell (i32.load (i32.const 28)))";
    let counted = |name: &str| {
        format!("(call $text s({name})) (call $say (local.get $token)) (call $say (local.get $n))")
    };
    let value = |map: u32, key: &str| {
        format!("(call $tell (call $get_header_map_value (i32.const {map}) s({key}) ret))")
    };
    guest()
        .on("request_headers", &format!("{body} i32.const 0"))
        .on(
            "grpc_receive_initial_metadata",
            &format!("{} {}", counted("initial"), value(4, "x-init")),
        )
        .on(
            "grpc_receive",
            &format!(
                "{} (call $tell (call $get_buffer_bytes (i32.const 5) (i32.const 0) (i32.const 99) ret))",
                counted("receive")
            ),
        )
        .on(
            "grpc_receive_trailing_metadata",
            &format!("{} {}", counted("trailing"), value(5, "grpc-status")),
        )
        .on("grpc_close", &format!("{} {status}", counted("close")))
}

fn host(guest: &Guest, answer: impl Into<Answer>) -> Result<Host, HostError> {
    Host::builder()
        .plugin(guest.plugin("guest"))
        .cluster("g", answer)
        .start()
}

/// What is said of a call until nothing waits any more.
fn told(guest: &Guest, answer: impl Into<Answer>) -> Result<String, HostError> {
    let mut host = host(guest, answer)?;
    host.send(Request::get("/"))?;
    host.advance_until_idle(Duration::from_secs(60))?;
    Ok(said(host.log()).join(" "))
}

#[test]
fn a_call_is_answered_by_a_message_or_closed_with_a_status() -> Tested {
    let words = "upstream connect error or disconnect/reset before headers. reset reason: ";
    let http = |code| {
        Response::new(code)
            .header("content-type", "text/plain")
            .body("no")
    };
    for (answer, expected) in [
        (
            GrpcReply::ok("hello").into(),
            "receive 5 5 0 hello".to_owned(),
        ),
        (
            GrpcReply::new()
                .message("one")
                .message("two")
                .status(0, "")
                .into(),
            "receive 5 3 0 two".to_owned(),
        ),
        (
            GrpcReply::new().message("one").status(5, "late").into(),
            "close 5 5 5 late{via_upstream}".to_owned(),
        ),
        (
            GrpcReply::error(7, "not%20yours").into(),
            "close 5 7 7 not%20yours{via_upstream}".to_owned(),
        ),
        (
            GrpcReply::error(0, "").into(),
            "close 5 13 13 null".to_owned(),
        ),
        (http(403), "close 5 7 7 via_upstream".to_owned()),
        (http(200), "close 5 13 13 via_upstream".to_owned()),
        (
            Response::new(200).chunk("\0\0\0\0\u{2}hi"),
            "close 5 2 2 via_upstream".to_owned(),
        ),
        (
            Response::reset(),
            format!(
                "close 5 14 14 {words}remote reset{{upstream_reset_before_response_started{{remote_reset}}}}"
            ),
        ),
        (
            Response::refused(),
            format!(
                "close 5 14 14 {words}remote connection failure{{upstream_reset_before_response_started\
                 {{remote_connection_failure|delayed_connect_error:_Connection_refused}}}}"
            ),
        ),
        (
            GrpcReply::new().message("one").reset().into(),
            "close 5 13 13 upstream_reset_after_response_started{remote_reset}".to_owned(),
        ),
        (
            Response::never(),
            "close 5 14 14 upstream request timeout{response_timeout}".to_owned(),
        ),
        (
            GrpcReply::new().message("one").into(),
            "close 5 13 13 response_timeout".to_owned(),
        ),
    ] {
        let shown = format!("{answer:?}");
        let guest = telling(&format!("(drop {})", unary("g", 300)));
        assert_eq!(told(&guest, answer)?, expected, "{shown}");
    }
    Ok(())
}

#[test]
fn the_server_receives_the_call_as_envoy_writes_it() -> Tested {
    let mut host = host(
        &telling(&format!("(drop {})", unary("g", 300))),
        GrpcReply::ok(""),
    )?;
    let exchange = host.send(Request::get("/"))?;
    let [call] = exchange.calls() else {
        panic!("one call: {exchange}")
    };
    let headers = call.request().headers().iter();
    let shown: Vec<String> = headers
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
        .collect();
    assert_eq!(
        shown,
        [
            ":method: POST",
            ":path: /pkg.Svc/Get",
            ":authority: g",
            ":scheme: http",
            "te: trailers",
            "grpc-timeout: 300m",
            "content-type: application/grpc",
            "x-md: 1",
            "x-envoy-internal: true",
            "x-envoy-expected-rq-timeout-ms: 300",
        ]
    );
    assert_eq!(call.messages(), [b"ping"]);
    Ok(())
}

#[test]
fn a_target_is_a_service_or_the_name_of_a_cluster() -> Tested {
    let said_of = |target: &str| -> Result<String, HostError> {
        let guest = telling(&format!("(call $say {})", unary(target, 300)));
        let mut host = host(&guest, GrpcReply::ok("hi"))?;
        host.cluster("nowhere", Answer::no_healthy_endpoint());
        host.send(Request::get("/"))?;
        Ok(said(host.log()).join(" "))
    };
    assert_eq!(said_of("g")?, "0 receive 5 2 0 hi");
    assert_eq!(said_of(&service("g"))?, "0 receive 5 2 0 hi");
    assert_eq!(said_of("nope")?, "4");
    assert_eq!(
        said_of(&service("nope"))?,
        "10 close 5 14 14 Cluster not available"
    );
    assert_eq!(
        said_of("nowhere")?,
        "10 close 5 14 14 no healthy upstream{no_healthy_upstream}"
    );
    for name in ["", "users"] {
        let error = said_of(name)
            .expect_err("Envoy does not survive it")
            .to_string();
        assert!(
            error.contains("Envoy would crash") && error.contains("unset oneof"),
            "{error}"
        );
    }
    Ok(())
}

#[test]
fn a_stream_is_told_everything_in_order() -> Tested {
    let body = format!(
        "(drop {}) (global.set $t (i32.load (i32.const 24)))
         (call $say (call $grpc_send (global.get $t) s(ping) (i32.const 1)))",
        stream("g")
    );
    let guest = telling(&body).with("(global $t (mut i32) (i32.const 0))");
    for (answer, expected) in [
        (
            GrpcReply::ok("hello")
                .initial("x-init", "1")
                .trailing("x", "2"),
            "0 initial 6 4 0 1 receive 6 5 0 hello trailing 6 2 0 0 close 6 0 0 via_upstream",
        ),
        (
            GrpcReply::new()
                .message("one")
                .message("two")
                .status(5, "late"),
            "0 initial 6 3 1 - receive 6 3 0 one receive 6 3 0 two trailing 6 2 0 5 \
             close 6 5 5 late{via_upstream}",
        ),
        (
            GrpcReply::error(7, "denied"),
            "0 initial 6 0 1 - trailing 6 5 0 7 close 6 7 7 denied{via_upstream}",
        ),
        (
            GrpcReply::new().message("one").reset(),
            "0 initial 6 3 1 - receive 6 3 0 one trailing 6 0 1 - \
             close 6 13 13 upstream_reset_after_response_started{remote_reset}",
        ),
    ] {
        assert_eq!(told(&guest, answer)?, expected);
    }
    let http = Response::new(403).body("no");
    assert_eq!(
        told(&guest, http)?,
        "0 initial 6 0 1 - trailing 6 0 1 - close 6 7 7 via_upstream"
    );
    let words =
        "upstream connect error or disconnect/reset before headers. reset reason: remote reset";
    assert_eq!(
        told(&guest, Response::reset())?,
        format!(
            "0 initial 6 0 1 - trailing 6 4 0 14 \
             close 6 14 14 {words}{{upstream_reset_before_response_started{{remote_reset}}}}"
        )
    );
    Ok(())
}

#[test]
fn both_sides_of_a_stream_talk_event_by_event() -> Tested {
    let body = format!(
        "(drop {}) (global.set $t (i32.load (i32.const 24)))
         (drop (call $grpc_send (global.get $t) s(one) (i32.const 0)))
         (drop (call $grpc_send (global.get $t) s(two) (i32.const 0)))
         (call $say (call $grpc_close (global.get $t)))
         (call $say (call $grpc_close (global.get $t)))
         (call $say (call $grpc_send (global.get $t) s(unheard) (i32.const 0)))",
        stream("g")
    );
    let guest = telling(&body).with("(global $t (mut i32) (i32.const 0))");
    let echo = Answer::grpc(|event: &GrpcEvent<'_>| match event {
        GrpcEvent::Opened(request) => {
            assert_eq!(request.path(), b"/pkg.Svc/Watch");
            assert_eq!(request.headers().get("key-bin"), Some(&b"aGVsbG8="[..]));
            GrpcReply::new().initial("x-init", "1")
        }
        GrpcEvent::Message(message) => GrpcReply::new().message(message),
        GrpcEvent::HalfClosed => GrpcReply::new().status(0, ""),
        _ => GrpcReply::new(),
    });
    let mut host = host(&guest, echo)?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        said(host.log()).join(" "),
        "0 0 0 initial 6 4 0 1 receive 6 3 0 one receive 6 3 0 two trailing 6 1 0 0 \
         close 6 0 0 via_upstream",
        "the stream is closed before its answer begins, which therefore has a service time"
    );
    assert_eq!(exchange.calls()[0].messages(), [b"one", b"two"]);
    Ok(())
}

#[test]
fn messages_of_a_stream_come_in_their_time() -> Tested {
    let guest = telling(&format!("(drop {})", stream("g")));
    let mut answered = false;
    let slow = Answer::grpc(move |_: &GrpcEvent<'_>| {
        assert!(!std::mem::replace(&mut answered, true), "only opened");
        let pause = Duration::from_secs(1);
        GrpcReply::new()
            .after(pause)
            .message("a")
            .pause(pause)
            .message("b")
    });
    let mut host = host(&guest, slow)?;
    host.send(Request::get("/"))?;
    assert_eq!(said(host.log()).join(" "), "");
    host.advance(Duration::from_secs(1))?;
    assert_eq!(
        said(host.log()).join(" "),
        "initial 6 2 1 - receive 6 1 0 a"
    );
    host.advance(Duration::from_secs(3600))?;
    assert_eq!(
        said(host.log())[10..].join(" "),
        "receive 6 1 0 b",
        "and no timeout"
    );
    Ok(())
}

#[test]
fn a_cancelled_call_is_not_heard_of_again() -> Tested {
    let body = format!(
        "(drop {}) (call $say (call $grpc_cancel (i32.load (i32.const 24))))
         (call $say (call $grpc_cancel (i32.load (i32.const 24))))
         (drop {}) (call $say (call $grpc_close (i32.load (i32.const 24))))
         (call $say (call $grpc_close (i32.load (i32.const 24))))",
        stream("g"),
        unary("g", 0)
    );
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    let answer = Answer::grpc(move |event: &GrpcEvent<'_>| {
        let what = match event {
            GrpcEvent::Cancelled => "cancelled",
            _ => "something else",
        };
        ears.lock().expect("nobody panicked").push(what);
        GrpcReply::ok("")
    });
    assert_eq!(told(&telling(&body), answer)?, "0 1 0 1");
    assert_eq!(*heard.lock().expect("nobody panicked"), ["cancelled"; 2]);
    Ok(())
}

#[test]
fn tokens_of_another_kind_or_of_nothing_are_refused() -> Tested {
    let tries = [
        "grpc_send (i32.const 5) s(x) (i32.const 0)",
        "grpc_send (i32.const 4) s(x) (i32.const 0)",
        "grpc_send (i32.const 6) s(x) (i32.const 0)",
        "grpc_send (i32.const 7) s(x) (i32.const 0)",
        "grpc_close (i32.const 5)",
        "grpc_close (i32.const 6)",
        "grpc_close (i32.const 4)",
        "grpc_cancel (i32.const 5)",
        "grpc_cancel (i32.const 6)",
        "grpc_cancel (i32.const 4)",
        "grpc_cancel (i32.const 7)",
    ];
    let body: String = tries
        .iter()
        .map(|made| format!("(call $say (call ${made}))"))
        .collect();
    assert_eq!(
        told(&telling(&body), GrpcReply::ok(""))?,
        "2 2 1 2 1 1 2 1 1 2 2"
    );
    Ok(())
}

#[test]
fn a_stream_that_its_peer_closed_keeps_its_token() -> Tested {
    let guest = telling(&format!("(drop {})", stream("g"))).on(
        "response_headers",
        "(call $say (call $grpc_send (i32.const 6) s(x) (i32.const 0)))
         (call $say (call $grpc_close (i32.const 6)))
         (call $say (call $grpc_close (i32.const 6))) i32.const 0",
    );
    let answer = Answer::grpc(|_: &GrpcEvent<'_>| GrpcReply::new().status(9, "early"));
    let mut host = host(&guest, answer)?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()).join(" "),
        "initial 6 2 1 - trailing 6 2 0 9 close 6 9 9 early{via_upstream} 0 0 1"
    );
    let lints: Vec<_> = exchange.lints().iter().map(|lint| lint.kind).collect();
    assert_eq!(lints, [LintKind::GrpcStreamUsedAfterClose; 2]);
    Ok(())
}

#[test]
fn a_stream_that_its_peer_closed_at_once_is_closed_once() -> Tested {
    let body = format!(
        "(drop {}) (drop (call $grpc_send (i32.load (i32.const 24)) s(x) (i32.const 1)))",
        stream("g")
    );
    let answer = Answer::grpc(|_: &GrpcEvent<'_>| GrpcReply::error(9, "early"));
    assert_eq!(
        told(&telling(&body), answer)?,
        "initial 6 0 1 - trailing 6 5 0 9 close 6 9 9 early{via_upstream}"
    );
    Ok(())
}

#[test]
fn a_stream_to_no_endpoint_calls_back_before_it_returns() -> Tested {
    let guest = telling(&format!("(call $say {})", stream("g")));
    let mut host = host(&guest, Answer::no_healthy_endpoint())?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        said(host.log()).join(" "),
        "initial 6 0 1 - trailing 6 4 0 14 10 \
         close 6 14 14 no healthy upstream{no_healthy_upstream}"
    );
    assert_eq!(exchange.lints()[0].kind, LintKind::GrpcStreamReentered);
    Ok(())
}

#[test]
fn the_status_of_a_close_stays() -> Tested {
    let call = unary("g", 0);
    let guest = guest()
        .on("request_headers", &format!("(drop {call}) i32.const 0"))
        .on("grpc_close", "")
        .on(
            "grpc_receive",
            "(drop (call $get_status (i32.const 28) (i32.const 16) (i32.const 20)))
             (call $tell (i32.load (i32.const 28)))",
        );
    let mut host = host(&guest, GrpcReply::error(5, "gone"))?;
    host.send(Request::get("/"))?;
    host.cluster("g", GrpcReply::ok("here"));
    host.send(Request::get("/"))?;
    assert_eq!(said(host.log()), ["5", "null"]);
    Ok(())
}
