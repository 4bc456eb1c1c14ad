//! What is refused of connections that requests share.

use super::{refusal, suite};

#[test]
fn a_connection_is_shared_by_requests_over_http1() {
    for (case, place, reason) in [
        (
            "protocols: {downstream: http2}\nsteps: [{request: {}, connection: a}]",
            "steps[0].connection: ",
            "over HTTP/2 each request has a connection of its own",
        ),
        (
            "steps: [{wait: 1s, connection: a}]",
            "steps[0].connection: ",
            "belongs to a `request`",
        ),
        (
            "tcp: {}\nsteps: [{connect: {}, connection: a}]",
            "steps[0].connection: ",
            "this is of HTTP",
        ),
    ] {
        let refusal = refusal(&suite(case));
        assert!(refusal.contains(place), "{case}: {refusal}");
        assert!(refusal.contains(reason), "{case}: {refusal}");
    }
}
