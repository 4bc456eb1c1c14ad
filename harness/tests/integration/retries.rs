//! Requests that Envoy sends again, because a filter asked for it. That the last answer counts, and its words, is held
//! against Envoy by `conformance/suites/tries.suite.yaml`; here it is that each try has an answer of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use attache_harness::{Exchange, Host, HostError, Request, Response};

use crate::guest::guest;

type Tested = Result<(), HostError>;

/// A filter that asks for retries, and for a timeout of each try.
fn host() -> Result<Host, HostError> {
    let filter = guest().on(
        "request_headers",
        "(drop (call $add_header_map_value (i32.const 0) s(x-envoy-retry-on) s(5xx)))
         (drop (call $add_header_map_value (i32.const 0) s(x-envoy-max-retries) s(3)))
         (drop (call $add_header_map_value (i32.const 0) s(x-envoy-upstream-rq-per-try-timeout-ms) s(150)))
         i32.const 0",
    );
    Host::with(filter.plugin("guest"))
}

/// Answers each try by the next of these, and says how many there were.
fn exchanged(answers: Vec<Response>, request: Request) -> Result<(Exchange, usize), HostError> {
    let mut host = host()?;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    host.upstream(move |_| answers[counted.fetch_add(1, Ordering::Relaxed)].clone());
    let id = host.open(request)?;
    host.advance_until_idle(Duration::from_secs(60))?;
    Ok((host.exchange(id)?.clone(), tries.load(Ordering::Relaxed)))
}

fn later(milliseconds: u64, body: &str) -> Response {
    Response::ok()
        .after(Duration::from_millis(milliseconds))
        .chunk(body)
}

#[test]
fn the_first_answer_that_is_good_ends_the_tries() -> Tested {
    let (exchange, tries) = exchanged(
        vec![
            Response::new(503),
            Response::closed(),
            later(10, "third"),
            later(0, "fourth"),
        ],
        Request::post("/").chunk("body"),
    )?;
    assert_eq!((exchange.response().status(), tries), (200, 3));
    assert_eq!(exchange.response().body(), b"third");
    assert_eq!(exchange.flags().to_string(), "-");
    assert_eq!(exchange.details(), Some("via_upstream"));
    assert_eq!(exchange.upstream_request().body(), b"body");
    Ok(())
}

#[test]
fn an_answer_that_comes_too_late_for_its_try_is_nobodys() -> Tested {
    // That of the first would be there at 200 ms, when the second is on its way.
    let answers = vec![later(200, "first"), later(140, "second")];
    let (exchange, tries) = exchanged(answers, Request::get("/"))?;
    assert_eq!(tries, 2);
    assert_eq!(exchange.response().body(), b"second");
    let headers = exchange.response().headers();
    let time = headers.get("x-envoy-upstream-service-time");
    // 150 ms for the first, 12 ms until the next, and its own 140 ms.
    assert_eq!(time, Some(&b"302"[..]));
    let words = exchange.timeline().to_string();
    assert!(words.contains("the request is tried again"), "{words}");
    Ok(())
}

#[test]
fn the_last_try_is_over_in_its_time() -> Tested {
    let answers = (0..9).map(|_| later(200, "late")).collect();
    let (exchange, tries) = exchanged(answers, Request::get("/"))?;
    assert_eq!((exchange.response().status(), tries), (504, 4));
    assert_eq!(exchange.flags().to_string(), "URX,UT");
    assert_eq!(exchange.details(), Some("upstream_per_try_timeout"));
    Ok(())
}

#[test]
fn a_client_cannot_ask_for_a_retry() -> Tested {
    let mut host = Host::with(crate::guest::transparent().plugin("guest"))?;
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    host.upstream(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Response::new(503)
    });
    let exchange = host.send(Request::get("/").header("x-envoy-retry-on", "5xx"))?;
    let tries = tries.load(Ordering::Relaxed);
    assert_eq!((exchange.response().status(), tries), (503, 1));
    assert_eq!(exchange.flags().to_string(), "-");
    Ok(())
}

#[test]
fn a_body_that_cannot_be_held_back_is_sent_once() -> Tested {
    for (size, tries) in [(100, 4), (2_000, 1)] {
        let filter = guest().on(
            "request_headers",
            "(drop (call $add_header_map_value (i32.const 0) s(x-envoy-retry-on) s(5xx)))
             (drop (call $add_header_map_value (i32.const 0) s(x-envoy-max-retries) s(3))) i32.const 0",
        );
        let mut host = Host::builder()
            .plugin(filter.plugin("guest"))
            .buffer_limit(1_000)
            .start()?;
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        host.upstream(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Response::new(503)
        });
        let piece = vec![b'x'; size / 4];
        let request = (0..4).fold(Request::post("/"), |request, _| request.chunk(&piece));
        let id = host.open(request)?;
        host.advance_until_idle(Duration::from_secs(60))?;
        let flags = host.exchange(id)?.flags().to_string();
        assert_eq!(count.load(Ordering::Relaxed), tries, "{size} bytes");
        assert_eq!(flags, if tries == 1 { "-" } else { "URX" });
    }
    Ok(())
}
