//! What is held while a filter waits: without and with `allow_on_headers_stop_iteration`, and with
//! body and trailers on their way.

use attache_suite::{Case, Ended, Filter, Reply, Request, Seen};

use crate::both::{Play, module, plays};

plays! {
    a_waiting_request_goes_on_when_another_stream_says_so => opened(false);
    a_waiting_request_goes_on_when_another_stream_says_so_with_headers_stopped => opened(true);
    a_waiting_request_is_denied_before_the_upstream_sees_it => denied(false);
    a_waiting_request_is_denied_before_the_upstream_sees_it_with_headers_stopped => denied(true);
    a_request_that_nobody_releases_stays_held => held(false);
    a_request_that_nobody_releases_stays_held_with_headers_stopped => held(true);
    a_waiting_response_goes_on_when_another_stream_says_so => response_opened(false);
    a_waiting_response_goes_on_when_another_stream_says_so_with_headers_stopped => response_opened(true);
    a_waiting_response_is_replaced_when_it_is_denied => response_denied(false);
    a_waiting_response_is_replaced_when_it_is_denied_with_headers_stopped => response_denied(true);
    a_failure_after_the_wait_meets_the_failure_mode => failed();
    a_client_that_goes_away_while_its_request_is_held_costs_nobody_else => abandoned(false);
    a_client_that_goes_away_while_its_request_is_held_costs_nobody_else_with_headers_stopped => abandoned(true);
    a_leader_that_goes_away_wakes_its_followers => leader_gone(false);
    a_leader_that_goes_away_wakes_its_followers_with_headers_stopped => leader_gone(true);
    a_body_beyond_the_limit_is_answered_while_the_request_is_held => too_large();
    a_body_that_came_during_the_wait_passes_the_transform => shouted(false);
    a_body_that_came_during_the_wait_passes_the_transform_with_headers_stopped => shouted(true);
}

fn gate(headers_stopped: bool) -> Filter {
    let gate = Filter::new("gate", module("gate")).configured("{}");
    if headers_stopped {
        gate.allow_on_headers_stop_iteration()
    } else {
        gate
    }
}

/// One request each: headers only, with a body, with a body and trailers.
fn three(case: Case, path: &str) -> Case {
    case.request(Request::get(path))
        .request(Request::post(path).chunk("some ").chunk("body"))
        .request(
            Request::post(path)
                .header("te", "trailers")
                .chunk("a body")
                .trailer("x-sum", "6"),
        )
}

fn status(seen: &Seen, number: usize) -> String {
    match &seen.streams[number].downstream {
        Ended::Answered(message) => message.start.clone(),
        other => format!("{other:?}"),
    }
}

fn opened(headers_stopped: bool) -> Play {
    let case = three(Case::new(gate(headers_stopped)), "/wait").request(Request::get("/open"));
    (case, |seen| {
        let statuses: Vec<_> = (0..4).map(|number| status(seen, number)).collect();
        assert_eq!(statuses, ["200"; 4]);
        let bodies: Vec<_> = (0..3)
            .map(|number| seen.streams[number].upstream.as_ref().unwrap().body.clone())
            .collect();
        assert_eq!(bodies, [&b""[..], b"some body", b"a body"]);
        let last = seen.streams[2].upstream.as_ref().unwrap();
        assert_eq!(last.trailers, [(b"x-sum".to_vec(), b"6".to_vec())]);
        assert_eq!(last.values("via").collect::<Vec<_>>(), [b"gate"]);
    })
}

fn denied(headers_stopped: bool) -> Play {
    let case = three(Case::new(gate(headers_stopped)), "/wait").request(Request::get("/deny"));
    (case, |seen| {
        for number in 0..3 {
            assert_eq!(status(seen, number), "403");
            assert_eq!(seen.streams[number].upstream, None);
        }
    })
}

fn held(headers_stopped: bool) -> Play {
    let case = three(Case::new(gate(headers_stopped)), "/wait");
    (case, |seen| {
        for stream in &seen.streams {
            assert_eq!(stream.upstream, None);
            assert_eq!(stream.downstream, Ended::Held);
        }
    })
}

fn response_opened(headers_stopped: bool) -> Play {
    let answer = Reply::new(200)
        .header("x-a", "1")
        .body("answer")
        .trailer("x-sum", "6");
    let case = Case::new(gate(headers_stopped))
        .answer(answer)
        .request(Request::get("/hold").header("te", "trailers"))
        .request(Request::get("/open"));
    (case, |seen| match &seen.streams[0].downstream {
        Ended::Answered(message) => {
            assert_eq!(message.start, "200");
            assert_eq!(message.body, b"answer");
            assert_eq!(message.values("via").collect::<Vec<_>>(), [b"gate"]);
        }
        other => panic!("{other:?}"),
    })
}

fn response_denied(headers_stopped: bool) -> Play {
    let case = Case::new(gate(headers_stopped))
        .answer(Reply::new(200).header("x-secret", "1").body("secret"))
        .request(Request::get("/hold"))
        .request(Request::get("/deny"));
    (case, |seen| match &seen.streams[0].downstream {
        Ended::Answered(message) => {
            assert_eq!(message.start, "403");
            assert_eq!(message.body, b"denied\n");
            assert_eq!(message.values("x-secret").count(), 0);
        }
        other => panic!("{other:?}"),
    })
}

fn failed() -> Play {
    let case = Case::new(gate(false))
        .request(Request::get("/wait"))
        .request(Request::get("/fail"))
        .request(Request::get("/hold"))
        .request(Request::get("/fail"));
    (case, |seen| {
        assert_eq!(status(seen, 0), "503");
        assert_eq!(seen.streams[0].upstream, None);
        assert_eq!(status(seen, 2), "503");
    })
}

fn abandoned(headers_stopped: bool) -> Play {
    let case = Case::new(gate(headers_stopped))
        .request(Request::get("/wait").abandoned())
        .request(Request::post("/wait").chunk("body").abandoned())
        .request(Request::get("/wait"))
        .request(Request::get("/open"))
        .request(Request::get("/hold").abandoned())
        .request(Request::get("/open"));
    (case, |seen| {
        assert_eq!(seen.streams[0].upstream, None);
        assert_eq!(seen.streams[1].upstream, None);
        assert_eq!(status(seen, 2), "200");
        assert_eq!(status(seen, 3), "200");
        assert_eq!(status(seen, 5), "200");
        assert!(seen.log.is_empty(), "{:?}", seen.log);
    })
}

fn leader_gone(headers_stopped: bool) -> Play {
    let case = Case::new(gate(headers_stopped))
        .request(Request::post("/wait").chunk("body"))
        .request(Request::get("/lead").abandoned());
    (case, |seen| {
        assert_eq!(status(seen, 0), "200");
        assert_eq!(seen.streams[0].upstream.as_ref().unwrap().body, b"body");
        assert_eq!(seen.streams[1].upstream, None);
        assert!(seen.log.is_empty(), "{:?}", seen.log);
    })
}

fn shouted(headers_stopped: bool) -> Play {
    let answer = Reply::new(200).chunk("an ").chunk("answer");
    let case = three(
        Case::new(gate(headers_stopped)).answer(answer),
        "/wait-and-shout",
    )
    .request(Request::get("/open"))
    .request(Request::get("/hold-and-shout"))
    .request(Request::get("/open"));
    (case, |seen| {
        let bodies: Vec<_> = (0..3)
            .map(|number| seen.streams[number].upstream.as_ref().unwrap().body.clone())
            .collect();
        assert_eq!(bodies, [&b""[..], b"SOME BODY", b"A BODY"]);
        let last = seen.streams[2].upstream.as_ref().unwrap();
        assert_eq!(last.trailers, [(b"x-sum".to_vec(), b"6".to_vec())]);
        match &seen.streams[4].downstream {
            Ended::Answered(message) => assert_eq!(message.body, b"AN ANSWER"),
            other => panic!("{other:?}"),
        }
    })
}

/// With headers stopped, body callbacks come, and Pause buffers: Envoy answers beyond 1 MiB.
fn too_large() -> Play {
    let case = Case::new(gate(true))
        .request(Request::post("/wait").chunk(vec![b'x'; 2 << 20]))
        .request(Request::get("/open"));
    (case, |seen| {
        assert_eq!(status(seen, 0), "413");
        assert_eq!(seen.streams[0].upstream, None);
        assert_eq!(status(seen, 1), "200");
        assert!(seen.log.is_empty(), "{:?}", seen.log);
    })
}
