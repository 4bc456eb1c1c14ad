//! The request of a gRPC call, as Envoy's client writes it (`grpc/async_client_impl.cc`).

use std::time::Duration;

use crate::base64::base64;
use crate::codec::Codec;
use crate::envoy_version::EnvoyVersion;
use crate::exchange::{Message, UpstreamRequest};
use crate::headers::{Headers, Kind};
use crate::pairs::Pair;
use crate::router::{Timeouts, give_scheme, on_the_wire, route_timeout, take_what_is_asked};

/// What a guest, and the target that it named, say about a call.
pub(crate) struct Opening<'a> {
    pub(crate) authority: &'a [u8],
    pub(crate) service: &'a [u8],
    pub(crate) method: &'a [u8],
    pub(crate) metadata: [&'a [Pair]; 2],
    /// None for a stream, which cannot have one.
    pub(crate) timeout: Option<Duration>,
    /// Who writes it, and in what.
    pub(crate) envoy: EnvoyVersion,
    pub(crate) codec: Codec,
}

/// The request without a message, and the timeouts that hold.
pub(crate) fn open(opening: &Opening<'_>) -> (UpstreamRequest, Timeouts) {
    let mut headers = Headers::new(Kind::Request);
    let path = [b"/", opening.service, b"/", opening.method].concat();
    headers.add(b":method", b"POST");
    headers.add(b":path", &path);
    headers.add(b":authority", opening.authority);
    headers.add(b":scheme", b"http");
    headers.add(b"te", b"trailers");
    if let Some(timeout) = opening.timeout {
        headers.add(b"grpc-timeout", grpc_timeout(timeout).as_bytes());
    }
    headers.add(b"content-type", b"application/grpc");
    // Of a name that says that its value is binary the first value counts, and goes behind all others: of several
    // such names Envoy has any first.
    let is_binary = |pair: &&Pair| pair.0.to_ascii_lowercase().ends_with(b"-bin");
    let metadata = || opening.metadata.into_iter().flatten();
    for (name, value) in metadata().filter(|pair| !is_binary(pair)) {
        headers.add(name, value);
    }
    for (name, value) in metadata().filter(is_binary) {
        if !headers.contains_key(name) {
            headers.add(name, base64(value).as_bytes());
        }
    }
    headers.set(b"x-envoy-internal", b"true");
    take_what_is_asked(&mut headers);
    give_scheme(&mut headers);
    let timeouts = route_timeout(&mut headers, opening.timeout.unwrap_or_default());
    let message = Message::new(on_the_wire(&headers, false, opening.codec, opening.envoy));
    (
        UpstreamRequest {
            cut: false,
            message,
            complete: true,
        },
        timeouts,
    )
}

/// At most eight digits, and a unit.
fn grpc_timeout(timeout: Duration) -> String {
    const LARGEST: u128 = 99_999_999;
    let mut value = timeout.as_millis();
    for (unit, factor) in [("m", 1000), ("S", 60), ("M", 60)] {
        if value <= LARGEST {
            return format!("{value}{unit}");
        }
        value /= factor;
    }
    format!("{value}H")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_at_most_eight_digits() {
        for (milliseconds, expected) in [
            (0, "0m"),
            (300, "300m"),
            (99_999_999, "99999999m"),
            (4_294_967_295, "4294967S"),
        ] {
            assert_eq!(grpc_timeout(Duration::from_millis(milliseconds)), expected);
        }
    }
}
