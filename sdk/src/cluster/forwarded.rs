//! The headers that tie a call-out to the request that it is made for.

use crate::host::{self, Map};
use crate::pairs;
use crate::tasks;

/// Request id, and the context of a trace in the formats that Envoy's tracers speak: W3C, B3,
/// `OpenTracing`, Datadog, Google, X-Ray, `SkyWalking`.
const NAMES: [&[u8]; 17] = [
    b"x-request-id",
    b"traceparent",
    b"tracestate",
    b"b3",
    b"x-b3-traceid",
    b"x-b3-spanid",
    b"x-b3-parentspanid",
    b"x-b3-sampled",
    b"x-b3-flags",
    b"x-ot-span-context",
    b"x-datadog-trace-id",
    b"x-datadog-parent-id",
    b"x-datadog-sampling-priority",
    b"x-cloud-trace-context",
    b"x-amzn-trace-id",
    b"sw8",
    b"grpc-trace-bin",
];

/// Those that the effective stream's request has; none where there is no stream, or where its request has gone on:
/// Envoy keeps the headers from filters then, and hands out an empty list as the property `request.headers`, too.
pub(crate) fn headers() -> Vec<(Vec<u8>, Vec<u8>)> {
    if !tasks::has_request() {
        return Vec::new();
    }
    let bytes = host::header_pairs(Map::RequestHeaders).unwrap_or_default();
    let pairs = pairs::ranges(&bytes).unwrap_or_default().into_iter();
    pairs
        .filter_map(|pair| Some((bytes.get(pair.name)?, bytes.get(pair.value)?)))
        .filter(|(name, _)| NAMES.contains(name))
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}
