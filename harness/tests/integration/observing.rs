use std::panic::{AssertUnwindSafe, catch_unwind};

use attache_harness::{Host, HostError, LogLevel, Plugin, Request, Response, Status};
use http::header::AUTHORIZATION;

use crate::guest::guest;

type Tested = Result<(), HostError>;

#[test]
fn a_timeline_shows_callbacks_calls_answers_and_what_the_host_did() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(drop (call $get_header_map_value (i32.const 0) s(authorization) ret))
         (drop (call $remove_header_map_value (i32.const 0) s(authorization))) i32.const 0",
    );
    let exchange = guest
        .host()
        .send(Request::get("/").header(AUTHORIZATION, b"Bearer \xff"))?;
    assert_eq!(
        exchange.timeline().to_string(),
        "  guest: proxy_on_request_headers(2, 7, 1)\n\
        \x20     proxy_get_header_map_value(0, \"authorization\") = 0 Ok \"Bearer \\xff\"\n\
        \x20     proxy_remove_header_map_value(0, \"authorization\") = 0 Ok\n\
        \x20   proxy_on_request_headers returned 0\n\
        \x20 the request's headers reach the upstream\n\
        \x20 the request is complete at the upstream\n\
        \x20 the upstream answers 200\n\
        \x20 response headers go downstream: 200\n\
        \x20 the stream is complete\n"
    );
    let calls = exchange.host_calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (calls[1].name, calls[1].status),
        ("proxy_remove_header_map_value", Some(Status::Ok))
    );
    assert!(
        !exchange
            .upstream_request()
            .headers()
            .contains_key(AUTHORIZATION)
    );
    Ok(())
}

#[test]
fn asking_for_an_upstream_request_that_was_not_panics_at_the_caller_with_the_timeline() -> Tested {
    let guest = guest().on(
        "request_headers",
        "(call $send_local_response (i32.const 401) s() s() s() (i32.const -1))",
    );
    let exchange = guest.host().send(Request::get("/"))?;
    let panic = catch_unwind(AssertUnwindSafe(|| {
        exchange.upstream_request().method().to_vec()
    }))
    .expect_err("there is no request");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(
        message.starts_with("the request never reached the upstream\noutcome: completed"),
        "{message}"
    );
    assert!(message.contains("local reply 401"), "{message}");
    Ok(())
}

#[test]
fn the_upstream_sees_the_request_and_decides_on_the_answer() -> Tested {
    let mut host = guest().host();
    host.upstream(|request| match request.path() {
        b"/teapot" => Response::new(418)
            .header("X-Kind", "pot")
            .body(request.body()),
        _ => Response::new(404),
    });
    let exchange = host.send(
        Request::put("/teapot")
            .chunk("te")
            .chunk("a")
            .trailer("t", "1"),
    )?;
    assert_eq!(
        (exchange.response().status(), exchange.response().body()),
        (418, b"tea".to_vec())
    );
    assert_eq!(exchange.upstream_request().chunks().len(), 2);
    assert_eq!(host.send(Request::get("/"))?.response().status(), 404);
    Ok(())
}

#[test]
fn a_head_request_gets_headers_only() -> Tested {
    let mut host = guest().host();
    host.upstream(|_| Response::ok().body("hidden"));
    let exchange = host.send(Request::head("/"))?;
    assert_eq!(
        (exchange.response().status(), exchange.response().body()),
        (200, Vec::new())
    );
    assert_eq!(
        exchange.response().headers().get("content-length"),
        Some(&b"6"[..])
    );
    Ok(())
}

#[test]
fn a_target_with_a_blank_is_no_request_line() -> Tested {
    for (target, details) in [
        ("/a b", "http1.codec_error"),
        ("/a\tb", "http1.codec_error"),
        ("/a\x0cb", "http1.invalid_characters"),
    ] {
        let exchange = guest().host().send(Request::get(target))?;
        assert_eq!(exchange.response().status(), 400, "{target:?}");
        assert_eq!(exchange.details(), Some(details), "{target:?}");
    }
    Ok(())
}

#[test]
fn repeated_and_odd_headers_reach_the_upstream_as_envoy_forwards_them() -> Tested {
    let request = Request::get("/a%20b?c")
        .header("HOST", "orders.test")
        .header("X-Odd", "1")
        .header("x-ODD", b"\x80")
        .header("Connection", "keep-alive");
    let exchange = guest().host().send(request)?;
    let sent = exchange.upstream_request();
    assert_eq!(sent.path(), b"/a%20b?c");
    assert_eq!(
        sent.headers().get_all("x-odd").collect::<Vec<_>>(),
        [&b"1"[..], b"\x80"]
    );
    assert_eq!(sent.headers().get("host"), Some(&b"orders.test"[..]));
    assert!(!sent.headers().contains_key("connection"));
    Ok(())
}

#[test]
fn log_lines_carry_their_level_and_the_prefix_of_envoy() -> Tested {
    let guest = guest()
        .on(
            "configure",
            "(drop (call $log (i32.const 5) s(from root))) i32.const 1",
        )
        .on(
            "request_headers",
            "(drop (call $log (i32.const 3) s(from stream))) i32.const 0",
        )
        .on(
            "log",
            "(drop (call $get_log_level (i32.const 24))) (call $say (i32.load (i32.const 24)))",
        );
    let plugin = guest.plugin("name").root_id("root").vm_id("vm");
    let mut host = Host::builder()
        .plugin(plugin)
        .log_level(LogLevel::Debug)
        .start()?;
    assert_eq!(
        host.log()[0].to_string(),
        "[critical] wasm log root vm: from root"
    );
    let exchange = host.send(Request::get("/"))?;
    assert_eq!(
        exchange.log()[0].to_string(),
        "[warning] wasm log name root vm: from stream"
    );
    assert_eq!(exchange.log()[1].message, "1", "debug");
    Ok(())
}

#[test]
fn a_stream_or_worker_that_does_not_exist_is_an_error() -> Tested {
    let mut host = guest().host();
    let ended = host.send(Request::get("/"))?.id();
    assert!(matches!(
        host.exchange(ended),
        Err(HostError::UnknownStream { .. })
    ));
    let error = host
        .send_to_worker(1, Request::get("/"))
        .expect_err("there is one worker");
    assert_eq!(
        error.to_string(),
        "there is no worker 1: the host has 1, counted from 0"
    );
    assert!(matches!(Host::builder().start(), Err(HostError::NoPlugin)));
    let nobody = Host::builder()
        .plugin(guest().plugin("guest"))
        .workers(0)
        .start();
    assert!(matches!(nobody, Err(HostError::NoWorker)));
    Ok(())
}

#[test]
fn workers_have_vms_of_their_own() -> Tested {
    let counts = guest()
        .with("(global $n (mut i32) (i32.const 0))")
        .on("request_headers", "(global.set $n (i32.add (global.get $n) (i32.const 1))) (call $say (global.get $n)) i32.const 0");
    let mut host = Host::builder()
        .plugin(counts.plugin("guest"))
        .workers(2)
        .start()?;
    for (worker, expected) in [(0, "1"), (0, "2"), (1, "1")] {
        assert_eq!(
            host.send_to_worker(worker, Request::get("/"))?.log()[0].message,
            expected
        );
    }
    Ok(())
}

#[test]
fn a_missing_file_is_named() {
    let error = Host::with(Plugin::from_file("no/such.wasm")).expect_err("there is no file");
    assert_eq!(error.to_string(), "cannot get the module of plugin `such`");
    let cause = std::error::Error::source(&error)
        .expect("a cause")
        .to_string();
    assert!(cause.starts_with("cannot read `no/such.wasm`"), "{cause}");
}

#[test]
fn a_package_that_does_not_exist_is_named_with_those_that_do() {
    let error =
        Host::with(attache_harness::plugin!("no-such-filter")).expect_err("there is no package");
    assert_eq!(
        error.to_string(),
        "cannot get the module of plugin `no-such-filter`"
    );
    let mut causes =
        std::iter::successors(std::error::Error::source(&error), |error| error.source());
    assert!(
        causes.any(|cause| cause
            .to_string()
            .contains("there is no package `no-such-filter`")),
        "{error:?}"
    );
}

#[test]
fn a_timeline_shows_a_map_as_its_names_and_values() -> Tested {
    let guest = guest().on(
        "request_trailers",
        "(drop (call $get_header_map_pairs (i32.const 1) ret)) i32.const 0",
    );
    let exchange = guest.host().send(
        Request::post("/")
            .chunk("x")
            .trailer("a", "1")
            .trailer("b", b"\xff"),
    )?;
    assert_eq!(
        exchange.host_calls()[0].to_string(),
        r#"proxy_get_header_map_pairs(1) = 0 Ok ["a: 1", "b: \xff"]"#
    );
    Ok(())
}
