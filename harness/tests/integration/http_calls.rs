//! `proxy_http_call`. The statuses, texts and orders were observed on Envoy 1.40.0.

use std::time::Duration;

use attache_harness::{
    Answer, CallOut, Host, HostError, LintKind, Outcome, Request, Response, UpstreamRequest,
};

use crate::guest::{Guest, guest, list, said, trace};

type Tested = Result<(), HostError>;

const CHECK: [(&str, &str); 3] = [
    (":method", "GET"),
    (":path", "/check"),
    (":authority", "authz.example"),
];

/// A call of `cluster`, which leaves its status.
fn call(cluster: &str, headers: &[(&str, &str)], body: &str, timeout: i32) -> String {
    let headers = list(headers);
    format!(
        "(call $http_call s({cluster}) {headers} s({body}) s() (i32.const {timeout}) (i32.const 24))"
    )
}

/// Tells everything of an answer: status and message of the call, counts, headers, trailers, body.
const TELL: &str = "
    (call $say (local.get $token)) (call $say (local.get $n))
    (call $say (local.get $size)) (call $say (local.get $trailers))
    (drop (call $get_status (i32.const 28) (i32.const 16) (i32.const 20)))
    (call $tell (i32.load (i32.const 28)))
    (call $tell (call $get_header_map_value (i32.const 6) s(:status) ret))
    (call $tell (call $get_header_map_value (i32.const 7) s(x-tr) ret))
    (call $tell (call $get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 999) ret))";

/// A guest that asks `authz` in its request headers, waits, and tells the answer.
fn asking(timeout: i32) -> Guest {
    let call = call("authz", &CHECK, "", timeout);
    guest()
        .with("(global $waiting (mut i32) (i32.const 0))")
        .on(
            "request_headers",
            &format!("(global.set $waiting (local.get $ctx)) (drop {call}) i32.const 1"),
        )
        .on(
            "http_call_response",
            &format!(
                "{TELL} (drop (call $set_effective_context (global.get $waiting)))
                 (drop (call $continue_stream (i32.const 0)))"
            ),
        )
}

fn host(guest: &Guest, answer: impl Into<Answer>) -> Result<Host, HostError> {
    Host::builder()
        .plugin(guest.plugin("guest"))
        .cluster("authz", answer)
        .start()
}

fn shown(request: &UpstreamRequest) -> Vec<String> {
    let headers = request.headers().iter();
    headers
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
        .collect()
}

#[test]
fn an_answer_sets_the_waiting_request_free() -> Tested {
    let answer = Response::new(200)
        .chunk("yes")
        .chunk("!")
        .header("x-a", "1")
        .trailer("x-tr", "end");
    let exchange = host(&asking(1000), answer)?.send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log()),
        [
            "4", "4", "4", "1", "0", "null", "0", "200", "0", "end", "0", "yes!"
        ],
        "the headers are :status, x-a, transfer-encoding and x-envoy-upstream-service-time"
    );
    assert_eq!(exchange.response().status(), 200);
    let timeline = exchange.timeline().to_string();
    assert!(
        timeline.contains("`authz` answers 200 to call 4"),
        "{timeline}"
    );
    Ok(())
}

#[test]
fn the_cluster_receives_what_envoy_makes_of_the_call() -> Tested {
    let headers = [
        (":method", "POST"),
        (":path", "/check"),
        ("host", "authz.example"),
        ("X-Mixed", "V"),
        ("dup", "1"),
        ("dup", "2"),
        ("content-length", "99"),
        ("x-last", "z"),
    ];
    let call = call("authz", &headers, "body", 250);
    let guest = guest().on("request_headers", &format!("(drop {call}) i32.const 0"));
    let mut host = host(&guest, Response::ok())?;
    let exchange = host.send(Request::get("/"))?;
    let [made] = exchange.calls() else {
        panic!("one call: {exchange}")
    };
    assert_eq!(
        (made.cluster(), made.plugin(), made.token()),
        ("authz", "guest", 4)
    );
    assert_eq!(
        shown(made.request()),
        [
            ":method: POST",
            ":path: /check",
            ":authority: authz.example",
            ":scheme: http",
            "x-mixed: V",
            "dup: 1",
            "dup: 2",
            "content-length: 4",
            "x-last: z",
            "x-envoy-internal: true",
            "x-envoy-expected-rq-timeout-ms: 250",
        ]
    );
    assert_eq!(made.request().body(), b"body");
    assert_eq!(host.calls().len(), 1);
    Ok(())
}

#[test]
fn what_cannot_be_sent_is_told_by_the_status() -> Tested {
    let without = |name: &str| -> Vec<(&str, &str)> {
        CHECK.into_iter().filter(|(own, _)| *own != name).collect()
    };
    for (made, status) in [
        (call("nobody", &CHECK, "", 9), "2"),
        (call("authz", &CHECK, "", -1), "2"),
        (call("authz", &without(":path"), "", 9), "2"),
        (call("authz", &without(":method"), "", 9), "2"),
        (call("authz", &without(":authority"), "", 9), "2"),
        (
            call("authz", &CHECK, "", 9).replace("(i32.const 24)", "(i32.const -8)"),
            "6",
        ),
        (call("nowhere", &CHECK, "", 9), "10"),
    ] {
        let guest = guest()
            .on(
                "request_headers",
                &format!(
                    "(i32.store (i32.const 24) (i32.const 7)) (call $say {made})
                     (call $say (i32.load (i32.const 24))) i32.const 0"
                ),
            )
            .on("http_call_response", "(call $text s(answered))");
        let mut host = Host::builder()
            .plugin(guest.plugin("guest"))
            .cluster("authz", Response::ok())
            .cluster("nowhere", Answer::no_healthy_endpoint())
            .start()?;
        let exchange = host.send(Request::get("/"))?;
        let token = if status == "6" { "7" } else { "0" };
        assert_eq!(said(exchange.log()), [status, token], "{made}");
        assert!(host.calls().is_empty());
    }
    Ok(())
}

#[test]
fn failures_are_answered_by_envoys_own_responses_or_by_nothing() -> Tested {
    let reset = "upstream connect error or disconnect/reset before headers. reset reason: ";
    let reply = |code: &str, text: &str| {
        let size = text.len().to_string();
        [
            "4", "3", &size, "0", "0", "null", "0", code, "2", "-", "0", text,
        ]
        .map(str::to_owned)
    };
    let nothing = [
        "4", "0", "0", "0", "11", "reset", "2", "-", "2", "-", "1", "-",
    ];
    let nothing = nothing.map(str::to_owned);
    for (answer, expected) in [
        (
            Response::refused(),
            reply("503", &format!("{reset}remote connection failure")),
        ),
        (
            Response::closed(),
            reply("503", &format!("{reset}connection termination")),
        ),
        (
            Response::malformed(),
            reply("502", &format!("{reset}protocol error")),
        ),
        (Response::never(), reply("504", "upstream request timeout")),
        (Response::ok().chunk("ab").cut(), nothing.clone()),
        (Response::ok().chunk("ab").stall(), nothing.clone()),
        (Response::ok().body(vec![b'x'; (32 << 20) + 1]), nothing),
    ] {
        let mut host = host(&asking(300), answer.clone())?;
        let id = host.open(Request::get("/"))?;
        host.advance_until_idle(Duration::from_secs(1))?;
        let exchange = host.exchange(id)?;
        assert_eq!(said(exchange.log()), expected, "{answer:?}");
        assert_eq!(exchange.response().status(), 200, "{answer:?}");
    }
    Ok(())
}

#[test]
fn the_status_of_a_failure_stays_for_later_answers() -> Tested {
    let mut host = host(&asking(300), Response::ok().chunk("ab").cut())?;
    host.send(Request::get("/"))?;
    host.cluster("authz", Response::ok());
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        said(exchange.log())[..6],
        ["8", "3", "0", "0", "11", "null"]
    );
    Ok(())
}

#[test]
fn a_call_waits_for_the_clock() -> Tested {
    let mut host = host(
        &asking(100),
        Response::ok().after(Duration::from_millis(99)),
    )?;
    let id = host.open(Request::get("/"))?;
    host.advance(Duration::from_millis(98))?;
    assert!(matches!(
        host.exchange(id)?.outcome(),
        Outcome::Paused { .. }
    ));
    host.advance(Duration::from_millis(1))?;
    assert_eq!(host.exchange(id)?.outcome(), &Outcome::Completed);
    Ok(())
}

#[test]
fn several_calls_are_answered_as_their_clusters_answer() -> Tested {
    let (slow, fast) = (call("slow", &CHECK, "", 0), call("fast", &CHECK, "", 0));
    let guest = guest()
        .on(
            "request_headers",
            &format!("(drop {slow}) (drop {fast}) (drop {slow}) i32.const 0"),
        )
        .on("http_call_response", "(call $say (local.get $token))");
    let mut host = Host::builder()
        .plugin(guest.plugin("guest"))
        .cluster("slow", Response::ok().after(Duration::from_secs(1)))
        .cluster("fast", |_: &UpstreamRequest| Response::ok())
        .start()?;
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(exchange.outcome(), &Outcome::Completed, "nobody waits");
    host.advance_until_idle(Duration::from_secs(5))?;
    assert_eq!(said(host.log()), ["8", "4", "12"]);
    Ok(())
}

#[test]
fn an_answer_finds_the_root_after_its_stream_has_ended() -> Tested {
    let call = call("authz", &CHECK, "", 0);
    let guest = guest()
        .on("request_headers", &format!("(drop {call}) i32.const 0"))
        .on("delete", "(call $text s(delete))")
        .on(
            "http_call_response",
            "(call $say (local.get $ctx)) (call $say (call $set_effective_context (i32.const 2)))
             (call $tell (call $get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 9) ret))",
        );
    let mut host = host(
        &guest,
        Response::ok().body("late").after(Duration::from_secs(9)),
    )?;
    host.send(Request::get("/"))?;
    host.advance(Duration::from_secs(9))?;
    assert_eq!(said(host.log()), ["delete", "1", "2", "0", "late"]);
    Ok(())
}

#[test]
fn an_answer_can_be_read_by_a_stream_of_the_root() -> Tested {
    let call = call("authz", &CHECK, "", 0);
    let guest = guest()
        .on("request_headers", &format!("(drop {call}) i32.const 1"))
        .on(
            "http_call_response",
            "(drop (call $set_effective_context (i32.const 2)))
             (call $tell (call $get_header_map_value (i32.const 6) s(:status) ret))
             (call $tell (call $get_header_map_value (i32.const 0) s(:path) ret))
             (drop (call $send_local_response (i32.const 403) s() s(no) s() (i32.const -1)))",
        );
    let exchange = host(&guest, Response::new(401))?.send(Request::get("/x"))?;
    assert_eq!(said(exchange.log()), ["0", "401", "0", "/x"]);
    assert_eq!(exchange.response().status(), 403);
    assert!(exchange.try_upstream_request().is_none());
    Ok(())
}

#[test]
fn calls_of_a_start_are_made_in_the_main_thread_and_the_worker() -> Tested {
    let call = call("authz", &CHECK, "", 0);
    let guest = guest()
        .on("configure", &format!("(drop {call}) i32.const 1"))
        .on("http_call_response", "(call $say (local.get $token))");
    let mut host = host(&guest, Response::ok())?;
    host.advance(Duration::ZERO)?;
    assert_eq!(said(host.log()), ["4", "4"], "the canary's is lost");
    assert_eq!(host.calls().len(), 2);
    Ok(())
}

#[test]
fn a_trap_in_the_answer_leaves_the_request_hanging() -> Tested {
    let call = call("authz", &CHECK, "", 0);
    let guest = guest()
        .on("request_headers", &format!("(drop {call}) i32.const 1"))
        .on("http_call_response", "unreachable");
    let mut host = host(&guest, Response::ok())?;
    let id = host.open(Request::get("/"))?;
    let exchange = host.exchange(id)?;
    assert!(matches!(exchange.outcome(), Outcome::Paused { .. }));
    assert_eq!(
        exchange.log()[0].message,
        "Function: proxy_on_http_call_response failed: Uncaught RuntimeError: unreachable"
    );
    Ok(())
}

#[test]
fn an_answer_without_a_callback_moves_nothing() -> Tested {
    let call = call("authz", &CHECK, "", 0);
    let guest = guest().on("request_headers", &format!("(drop {call}) i32.const 1"));
    let mut host = host(&guest, Response::ok())?;
    let exchange = host.send(Request::get("/"))?;
    assert!(matches!(exchange.outcome(), Outcome::Paused { .. }));
    assert_eq!(
        exchange
            .calls()
            .iter()
            .map(CallOut::token)
            .collect::<Vec<_>>(),
        [4]
    );
    Ok(())
}

#[test]
fn an_answer_to_nobody_is_forgotten_before_the_request_goes_on() -> Tested {
    let call = call("authz", &CHECK, "", 0);
    let guest = guest()
        .on("request_headers", &format!("(drop {call}) i32.const 1"))
        .on(
            "http_call_response",
            "(drop (call $set_effective_context (i32.const 2)))
             (drop (call $continue_stream (i32.const 0)))",
        )
        .on(
            "response_headers",
            "(call $tell (call $get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 9) ret)) i32.const 0",
        );
    let exchange = host(&guest, Response::ok().body("x"))?.send(Request::get("/"))?;
    assert_eq!(said(exchange.log()), ["1", "-"]);
    assert_eq!(
        trace(&exchange).replace("guest:", ""),
        "rqh http_call_response rsh"
    );
    Ok(())
}

#[test]
fn a_call_without_an_answer_or_a_timeout_says_so() -> Tested {
    let mut host = host(&asking(0), Response::never())?;
    let exchange = host.send(Request::get("/"))?;
    host.advance_until_idle(Duration::from_secs(9999))?;
    let shown = exchange.to_string();
    assert!(
        shown.contains("`authz` will not answer call 4, which has no timeout"),
        "{shown}"
    );
    Ok(())
}

#[test]
fn trailers_of_a_call_are_dropped_and_reported() -> Tested {
    let call =
        call("authz", &CHECK, "", 0).replace("s() s() ", &format!("s() {} ", list(&[("a", "b")])));
    let guest = guest().on("request_headers", &format!("(drop {call}) i32.const 0"));
    let exchange = host(&guest, Response::ok())?.send(Request::get("/"))?;
    assert!(exchange.calls()[0].request().trailers().is_none());
    let lints: Vec<_> = exchange.lints().iter().map(|lint| lint.kind).collect();
    assert_eq!(lints, [LintKind::CallTrailersDropped]);
    Ok(())
}

#[test]
fn calls_that_answers_make_without_end_fail_the_test() {
    let call = call("authz", &CHECK, "", 0);
    let guest = guest()
        .on("request_headers", &format!("(drop {call}) i32.const 0"))
        .on("http_call_response", &format!("(drop {call})"));
    let mut host = Host::builder()
        .plugin(guest.plugin("guest"))
        .cluster("authz", Response::ok())
        .start()
        .expect("the guest starts");
    let error = host.send(Request::get("/")).expect_err("no end");
    assert!(matches!(error, HostError::HostCallLimit { .. }), "{error}");
}

#[test]
fn a_call_that_a_tick_makes_for_a_stream_is_told_with_it() -> Tested {
    let call = call("authz", &CHECK, "", 250);
    let guest = guest()
        .on(
            "request_headers",
            "(drop (call $set_tick_period_milliseconds (i32.const 10))) i32.const 1",
        )
        .on(
            "tick",
            &format!(
                "(drop (call $set_tick_period_milliseconds (i32.const 0)))
                 (drop (call $set_effective_context (i32.const 2))) (drop {call})"
            ),
        );
    let mut host = host(&guest, Response::ok())?;
    let id = host.open(Request::get("/"))?;
    host.advance(Duration::from_millis(20))?;
    let calls = host.exchange(id)?.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].cluster(), "authz");
    Ok(())
}
