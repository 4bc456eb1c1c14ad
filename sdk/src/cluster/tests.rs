//! Calls on a host that answers anything.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::host::double::{self, Answer};
use crate::tasks::{
    self,
    events::{self, Kind},
};

const ROOT: u32 = 1;
const STREAM: u32 = 2;

fn cluster() -> Cluster {
    Cluster {
        name: "authz".into(),
    }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    tasks::callback(ROOT, STREAM, || future.poll(&mut context))
}

/// What a broken host may say has come.
fn kinds() -> impl Iterator<Item = Kind> {
    let counts = [0, 1, 7, usize::MAX];
    let http = counts.into_iter().flat_map(move |headers| {
        counts.into_iter().flat_map(move |body| {
            counts.map(|trailers| Kind::Http {
                headers,
                body,
                trailers,
            })
        })
    });
    let grpc = [0, 1, 14, u32::MAX].into_iter().flat_map(move |status| {
        counts.into_iter().flat_map(move |size| {
            [
                Kind::GrpcCall { status, size },
                Kind::GrpcInitialMetadata,
                Kind::GrpcMessage { size },
                Kind::GrpcTrailingMetadata,
                Kind::GrpcClose { status },
            ]
        })
    });
    http.chain(grpc)
}

fn arrive(token: u32, kind: Kind) {
    tasks::answer(ROOT, STREAM, || {
        events::answered(events::Answer { token, kind });
    });
}

#[test]
fn any_answer_of_the_host_to_a_call_is_an_answer_or_an_error() {
    for answer in double::hostile() {
        double::answer([answer.clone()]);
        let made = pin!(cluster().get("/").send());
        if let Poll::Ready(outcome) = poll(made) {
            assert!(outcome.is_err(), "{answer:?}");
            assert_ne!(answer.status, 0);
        }
        let made = pin!(cluster().grpc("a.B", "C").unary("m"));
        if let Poll::Ready(outcome) = poll(made) {
            assert!(outcome.is_err(), "{answer:?}");
        }
        let mut opened = pin!(cluster().grpc("a.B", "C").open());
        if let Poll::Ready(Ok(mut stream)) = poll(opened.as_mut()) {
            let _ = stream.send(b"m");
            let _ = stream.finish();
        }
    }
}

#[test]
fn anything_may_arrive_with_any_bytes() {
    for kind in kinds() {
        for answer in double::hostile().step_by(5) {
            double::answer([Answer::ok().number(4)]);
            let mut call = pin!(cluster().get("/").limit(100).send());
            let mut unary = pin!(cluster().grpc("a.B", "C").limit(100).unary("m"));
            let mut opened = pin!(cluster().grpc("a.B", "C").limit(100).open());
            assert!(poll(call.as_mut()).is_pending());
            assert!(poll(unary.as_mut()).is_pending());
            let Poll::Ready(Ok(mut stream)) = poll(opened.as_mut()) else {
                panic!("the stream begins");
            };
            double::answer([answer]);
            arrive(4, kind);
            arrive(8, kind);
            let _ = poll(call);
            let _ = poll(unary);
            let _ = poll(pin!(stream.next()));
            let _ = poll(pin!(stream.next()));
            let _ = (stream.metadata(), stream.trailers());
        }
    }
}

#[test]
fn a_call_whose_context_ends_ends_too() {
    double::answer([Answer::ok().number(4)]);
    let mut call = pin!(cluster().get("/").send());
    assert!(poll(call.as_mut()).is_pending());
    tasks::deletion(ROOT, STREAM, || {});
    let Poll::Ready(Err(error)) = poll(call) else {
        panic!("the call ends");
    };
    assert_eq!(error.kind(), &CallErrorKind::StreamEnded);
}

#[test]
fn a_call_in_the_callback_of_another_stream_waits_for_a_tick() {
    double::answer([Answer::ok().number(4)]);
    let mut call = pin!(cluster().get("/").without_trace().send());
    let mut context = Context::from_waker(Waker::noop());
    let polled = tasks::callback(ROOT, STREAM + 1, || {
        tasks::within(STREAM, || call.as_mut().poll(&mut context).is_pending())
    });
    assert_eq!(polled, Ok(true));
    assert!(!double::calls().contains(&"proxy_http_call"));
    tasks::callback(ROOT, ROOT, || {
        events::ticked(ROOT);
        let within = tasks::within(STREAM, || call.as_mut().poll(&mut context).is_pending());
        assert_eq!(within, Ok(true));
    });
    assert!(double::calls().contains(&"proxy_http_call"));
}

#[test]
fn what_may_go_better_is_what_nobody_has_answered() {
    use crate::Retryable;
    let error = |kind| Err::<CallResponse, _>(CallError::new(&"authz".into(), kind));
    let reason = String::new();
    assert!(error(CallErrorKind::Unanswered { reason }).may_go_better());
    assert!(!error(CallErrorKind::StreamEnded).may_go_better());
    // What `error_for_server_failure` makes of an answer.
    for (code, passes) in [
        (502, true),
        (503, true),
        (504, true),
        (500, false),
        (501, false),
    ] {
        let status = http::StatusCode::from_u16(code).unwrap();
        assert_eq!(
            error(CallErrorKind::ServerFailure(status)).may_go_better(),
            passes,
            "{code}"
        );
    }
    let status = |code| {
        let message = String::new();
        let kind = CallErrorKind::GrpcStatus { code, message };
        Err::<Vec<u8>, _>(CallError::new(&"authz".into(), kind))
    };
    assert!(status(14).may_go_better());
    assert!(!status(5).may_go_better());
}
