//! Which headers Envoy holds once, joining a second value by a comma.

use attache_suite::{Case, Filter, Reply, Request};

use crate::both::{Play, module, plays};

plays! {
    repeated_request_headers_are_joined_or_kept_as_envoy_does => requests();
    repeated_response_headers_are_joined_or_kept_as_envoy_does => responses(0);
    repeated_response_headers_are_joined_or_kept_as_envoy_does_too => responses(30);
}

/// Names that may stand twice in a request or response and reach the other side.
const NAMES: [&str; 60] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "access-control-allow-origin",
    "access-control-request-headers",
    "age",
    "allow",
    "authorization",
    "baggage",
    "cache-control",
    "cdn-loop",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "cookie",
    "etag",
    "expires",
    "forwarded",
    "from",
    "grpc-accept-encoding",
    "grpc-message",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "origin",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-status",
    "range",
    "referer",
    "retry-after",
    "set-cookie",
    "traceparent",
    "tracestate",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-amz-security-token",
    "x-api-key",
    "x-b3-traceid",
    "x-client-trace-id",
    "x-envoy-attempt-count",
    "x-envoy-original-path",
    "x-envoy-upstream-canary",
    "x-forwarded-access-token",
    "x-forwarded-client-cert-chain",
    "x-forwarded-host",
    "x-real-ip",
    "x-test",
];

/// A filter that leaves all of these as they are.
fn bystander() -> Filter {
    let rules =
        r#"{"rules": [{"request": {"headers": [{"name": "x-none", "action": "remove"}]}}]}"#;
    Filter::new("auth-scrub", module("auth-scrub")).configured(rules)
}

fn requests() -> Play {
    let mut request = Request::get("/");
    for name in NAMES {
        request = request.header(name, "one").header(name, "two");
    }
    (Case::new(bystander()).request(request), |seen| {
        let upstream = seen.streams[0].upstream.as_ref().unwrap();
        assert_eq!(
            upstream.values("authorization").collect::<Vec<_>>(),
            [b"one,two"]
        );
        assert_eq!(
            upstream.values("x-api-key").collect::<Vec<_>>(),
            [b"one", b"two"]
        );
    })
}

/// Envoy takes 100 lines of headers from an upstream, so half of the names go at a time.
fn responses(first: usize) -> Play {
    let mut answer = Reply::new(200);
    for name in &NAMES[first..first + 30] {
        answer = answer.header(*name, "one").header(*name, "two");
    }
    let case = Case::new(bystander())
        .answer(answer)
        .request(Request::get("/"));
    (case, |seen| {
        let text = format!("{:?}", seen.streams[0].downstream);
        assert!(text.contains(": one\n"), "some stay apart: {text}");
        assert!(text.contains(": one,two\n"), "some are joined: {text}");
    })
}
