//! What a filter's answers, errors and panics mean.

use std::time::Duration;

use attache_suite::{Case, Ended, Filter, Message, Reply, Request, Seen};

use crate::both::{Play, module, plays};

plays! {
    headers_are_changed_on_both_ways => both_ways();
    a_framing_header_of_a_filter_stands_beside_the_codecs => framing();
    a_local_reply_replaces_the_upstream => local();
    a_local_reply_replaces_the_response => replaced();
    an_error_denies_unless_said_otherwise => denied();
    an_error_allows_with_the_request_untouched => allowed();
    what_was_not_declared_meets_the_failure_mode => undeclared();
    a_panic_costs_its_stream_and_says_where => panics();
}

/// Envoy starts a failed VM again if its last start is at least 1 to 1.5 s ago.
const RELOAD: Duration = Duration::from_millis(1_600);

fn gate(configuration: &str) -> Filter {
    Filter::new("gate", module("gate")).configured(configuration)
}

fn status(seen: &Seen, number: usize) -> String {
    answer(seen, number).start.clone()
}

fn answer(seen: &Seen, number: usize) -> &Message {
    match &seen.streams[number].downstream {
        Ended::Answered(message) => message,
        other => panic!("request {number} ended otherwise: {other:?}"),
    }
}

fn both_ways() -> Play {
    let case = Case::new(gate("{}"))
        .answer(
            Reply::new(200)
                .header("Server", "secret/1.0")
                .header("Via", "first")
                .body("hello"),
        )
        .request(Request::get("/").header("Via", "one").header("via", "two"));
    (case, |seen| {
        let upstream = seen.streams[0].upstream.as_ref().unwrap();
        assert_eq!(upstream.values("via").collect::<Vec<_>>(), [b"gate"]);
        let answer = answer(seen, 0);
        // Envoy holds `via` once.
        assert_eq!(answer.values("via").collect::<Vec<_>>(), [b"first,gate"]);
        assert_eq!(answer.values("server").collect::<Vec<_>>(), [b"envoy"]);
        assert_eq!(answer.body, b"hello");
    })
}

fn framing() -> Play {
    let case = Case::new(gate("{}")).request(Request::post("/chunked").chunk("body"));
    (case, |seen| {
        let upstream = seen.streams[0].upstream.as_ref().unwrap();
        let values: Vec<_> = upstream.values("transfer-encoding").collect();
        assert_eq!(values, [b"chunked", b"chunked"]);
    })
}

fn local() -> Play {
    let case = Case::new(gate("{}")).request(Request::get("/local"));
    (case, |seen| {
        assert_eq!(status(seen, 0), "418");
        assert_eq!(answer(seen, 0).body, b"tea\n");
        assert_eq!(seen.streams[0].upstream, None);
    })
}

fn replaced() -> Play {
    let case = Case::new(gate("{}"))
        .answer(Reply::new(200).header("x-secret", "1").body("hello"))
        .request(Request::get("/replace"));
    (case, |seen| {
        assert_eq!(status(seen, 0), "502");
        assert_eq!(answer(seen, 0).body, b"replaced\n");
        assert_eq!(answer(seen, 0).values("x-secret").count(), 0);
    })
}

fn denied() -> Play {
    let case = Case::new(gate("{}"))
        .answer(Reply::new(200).body("hello"))
        .request(Request::get("/error"))
        .request(Request::get("/error-late"));
    (case, |seen| {
        assert_eq!(seen.streams[0].upstream, None);
        assert_eq!(status(seen, 0), "503");
        assert_eq!(status(seen, 1), "503");
        assert_eq!(seen.log.len(), 2);
        assert!(
            seen.log[0]
                .message
                .contains("filter=gate failure_mode=Deny reason=the filter failed: asked for")
        );
    })
}

fn allowed() -> Play {
    let case = Case::new(gate(r#"{"failure_mode": "allow"}"#))
        .answer(Reply::new(200).header("via", "upstream").body("hello"))
        .request(Request::get("/error").header("via", "client"))
        .request(Request::get("/error-late"));
    (case, |seen| {
        let upstream = seen.streams[0].upstream.as_ref().unwrap();
        assert_eq!(upstream.values("via").collect::<Vec<_>>(), [b"client"]);
        for number in [0, 1] {
            assert_eq!(status(seen, number), "200");
            assert_eq!(
                answer(seen, number).values("via").collect::<Vec<_>>(),
                [b"upstream"]
            );
        }
    })
}

fn undeclared() -> Play {
    let mut hasty = Filter::new("hasty", module("gate"));
    hasty = hasty.configured("{}");
    let case = Case::new(hasty)
        .request(Request::get("/waits"))
        .request(Request::get("/runs"))
        .request(Request::get("/fine"))
        .request(Request::get("/late"));
    (case, |seen| {
        assert_eq!(status(seen, 0), "503");
        assert_eq!(status(seen, 1), "503");
        assert_eq!(seen.streams[0].upstream, None);
        assert_eq!(seen.streams[1].upstream, None);
        assert_eq!(status(seen, 2), "200");
        // A reply in the same callback as `forward` still comes in time.
        assert_eq!(status(seen, 3), "403");
        assert_eq!(seen.streams[3].upstream, None);
        assert!(
            seen.log[0].message.contains("Phases::WAITS"),
            "{:?}",
            seen.log
        );
        assert!(
            seen.log[1].message.contains("Phases::RESPONSE"),
            "{:?}",
            seen.log
        );
    })
}

fn panics() -> Play {
    let case = Case::new(gate("{}"))
        .request(Request::get("/panic").after(RELOAD))
        .request(Request::get("/local"));
    (case, |seen| {
        assert_eq!(status(seen, 0), "503");
        // A new VM serves the next one.
        assert_eq!(status(seen, 1), "418");
        assert!(
            seen.log[0]
                .message
                .contains("panicked at fixtures/gate/src/lib.rs:"),
            "{:?}",
            seen.log
        );
    })
}
