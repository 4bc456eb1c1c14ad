//! The headers of which Envoy holds one entry only.
//!
//! Envoy keeps some headers in slots of their own (`envoy/http/header_map.h`, and what its extensions
//! register as `RegisterCustomInlineHeader`). A second value is joined to the first by a comma,
//! whether it came on the wire or from a filter. The lists are those of the release binary 1.40.0,
//! found by sending each name twice; names that Envoy takes out of requests from outside are from
//! the header file.

use crate::headers::Kind;

const REQUEST: &[&str] = &[
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "authorization",
    "cache-control",
    "cdn-loop",
    "content-encoding",
    "expect",
    "grpc-accept-encoding",
    "grpc-timeout",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "origin",
    "pragma",
    "referer",
    "te",
    "user-agent",
    "x-client-trace-id",
    "x-envoy-downstream-service-cluster",
    "x-envoy-downstream-service-node",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-external-address",
    "x-envoy-force-trace",
    "x-envoy-hedge-on-per-try-timeout",
    "x-envoy-internal",
    "x-envoy-ip-tags",
    "x-envoy-is-timeout-retry",
    "x-envoy-max-retries",
    "x-envoy-original-host",
    "x-envoy-original-path",
    "x-envoy-original-url",
    "x-envoy-retriable-header-names",
    "x-envoy-retriable-status-codes",
    "x-envoy-retry-grpc-on",
    "x-envoy-retry-on",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-upstream-rq-per-try-timeout-ms",
    "x-envoy-upstream-rq-timeout-alt-response",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-stream-duration-ms",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

const BOTH: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "keep-alive",
    "proxy-connection",
    "proxy-status",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-envoy-attempt-count",
    "x-envoy-decorator-operation",
    "x-request-id",
];

const RESPONSE: &[&str] = &[
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-allow-private-network",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "cache-control",
    "content-encoding",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "server",
    "vary",
    "x-envoy-degraded",
    "x-envoy-immediate-health-check-fail",
    "x-envoy-ratelimited",
    "x-envoy-upstream-canary",
    "x-envoy-upstream-healthchecked-cluster",
    "x-envoy-upstream-service-time",
];

const RESPONSE_AND_TRAILERS: &[&str] = &["grpc-message", "grpc-status"];

/// Whether a map of this kind holds one entry of `name`, given in lower case.
pub(crate) fn is_inline(kind: Kind, name: &[u8]) -> bool {
    inline(kind).any(|inline| inline.as_bytes() == name)
}

/// The names of which a map of this kind holds one entry.
pub(crate) fn inline(kind: Kind) -> impl Iterator<Item = &'static str> {
    let lists: &[&[&str]] = match kind {
        Kind::Request => &[REQUEST, BOTH],
        Kind::Response => &[RESPONSE, BOTH, RESPONSE_AND_TRAILERS],
        Kind::Trailers => &[RESPONSE_AND_TRAILERS],
    };
    lists.iter().flat_map(|list| list.iter().copied())
}
