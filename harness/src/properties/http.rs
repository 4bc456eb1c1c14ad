//! The properties `request.*` and `response.*`.

use std::time::Duration;

use super::stream_info::StreamInfo;
use super::value::{ABSENT, Found, Value};
use crate::abi::MapType;
use crate::headers::Headers;
use crate::http_fields::{readable, response_of_property};
use crate::local_reply::grpc_status_of;
use crate::mutation::Rule;
use crate::vm::VmState;

/// A field of the request. What stands in its headers is only known while the filter may read
/// them: in `proxy_on_request_headers` and as long as it pauses there, and in `proxy_on_log`.
pub(super) fn request<'a>(state: &'a VmState, info: &StreamInfo<'a>, name: &[u8]) -> Found<'a> {
    let headers = readable(state, MapType::RequestHeaders);
    let header = |name: &str| {
        headers
            .and_then(|headers| headers.get(name))
            .map(Value::text)
    };
    let mutated = |rule| state.world.mutated(rule);
    let path = || headers.map(|headers| headers.get(":path").unwrap_or_default());
    let value = match name {
        b"path" => header(":path"),
        b"url_path" if mutated(Rule::UrlPathHasQuery) => path().map(Value::text),
        b"url_path" => path().map(|path| Value::text(without_query(path))),
        b"query" if mutated(Rule::QueryIsThePath) => path().map(Value::text),
        b"query" => path().map(|path| Value::text(query(path))),
        b"host" => header(":authority"),
        b"scheme" => header(":scheme"),
        b"method" => header(":method"),
        b"id" => header("x-request-id"),
        b"protocol" => info.protocol.map(Value::text),
        b"referer" => header("referer"),
        b"useragent" => header("user-agent"),
        b"headers" => Some(Value::Headers(headers)),
        b"headers_bytes" => Some(Value::int(size(headers))),
        b"time" => Some(Value::Time(nanoseconds(info.started))),
        b"duration" => (info.complete || mutated(Rule::DurationIsThereEarly))
            .then(|| duration(state.world.clock.now().saturating_sub(info.started))),
        b"size" => match headers.and_then(|headers| headers.get("content-length")) {
            Some(_) if mutated(Rule::RequestSizeIsWhatCame) => Some(Value::int(info.received)),
            Some(declared) => integer(declared),
            None => Some(Value::int(info.received)),
        },
        b"total_size" if mutated(Rule::TotalSizeIsTheBody) => Some(Value::int(info.received)),
        b"total_size" => Some(Value::int(info.received + size(headers))),
        _ => None,
    };
    value.ok_or(ABSENT)
}

/// Whether a field of the request is taken from a header.
pub(super) fn stands_in_headers(name: &[u8]) -> bool {
    matches!(
        name,
        b"path"
            | b"url_path"
            | b"query"
            | b"host"
            | b"scheme"
            | b"method"
            | b"id"
            | b"referer"
            | b"useragent"
            | b"headers"
    )
}

/// A field of the response, with the same rule for what stands in its headers and trailers.
pub(super) fn response<'a>(state: &'a VmState, info: &StreamInfo<'a>, name: &[u8]) -> Found<'a> {
    let headers = response_of_property(state);
    let trailers = readable(state, MapType::ResponseTrailers);
    let value = match name {
        b"code" => info.code.map(Value::int),
        b"code_details" => info.details.map(Value::text),
        b"flags" => Some(Value::int(info.flags)),
        b"grpc_status" => {
            let code = info
                .code
                .filter(|_| !state.world.mutated(Rule::GrpcStatusIsNotDerived));
            grpc_status(headers, trailers, code)
        }
        b"headers" => Some(Value::Headers(headers)),
        b"headers_bytes" => Some(Value::int(size(headers))),
        b"trailers" => Some(Value::Headers(trailers)),
        b"size" => Some(Value::int(info.sent)),
        b"total_size" => Some(Value::int(info.sent + size(headers) + size(trailers))),
        b"backend_latency" => {
            let told = info.answered || state.world.mutated(Rule::LatencyIsThereEarly);
            info.latency.filter(|_| told).map(duration)
        }
        _ => None,
    };
    value.ok_or(ABSENT)
}

/// From the trailers, else the headers, else derived from the code, also where nobody speaks gRPC.
fn grpc_status<'a>(
    headers: Option<&Headers>,
    trailers: Option<&Headers>,
    code: Option<u32>,
) -> Option<Value<'a>> {
    let sent = [trailers, headers]
        .into_iter()
        .flatten()
        .find_map(|map| map.get("grpc-status"))
        .filter(|status| !status.is_empty());
    // Envoy knows 0 to 16; any other is -1, and one that is no number too.
    let known = |status: &[u8]| {
        let status: u8 = str::from_utf8(status.trim_ascii()).ok()?.parse().ok()?;
        (status <= 16).then_some(status.into())
    };
    let sent = sent.map(|status| known(status).unwrap_or(-1));
    let derived = || code.map(|code| grpc_status_of(code).into());
    sent.or_else(derived).map(Value::Int)
}

fn size(headers: Option<&Headers>) -> u64 {
    headers.map_or(0, |headers| headers.byte_size() as u64)
}

fn integer<'a>(text: &[u8]) -> Option<Value<'a>> {
    let number = str::from_utf8(text).ok()?.trim_ascii().parse().ok()?;
    Some(Value::Int(number))
}

pub(super) fn duration<'a>(duration: Duration) -> Value<'a> {
    Value::Duration(nanoseconds(duration))
}

fn nanoseconds(time: Duration) -> i64 {
    time.as_nanos().try_into().unwrap_or(i64::MAX)
}

fn without_query(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'?').next().unwrap_or_default()
}

/// What stands behind the question mark, up to a fragment.
fn query(path: &[u8]) -> &[u8] {
    let Some(at) = path.iter().position(|byte| *byte == b'?') else {
        return &[];
    };
    path[at + 1..]
        .split(|byte| *byte == b'#')
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_at_its_query() {
        for (path, bare, search) in [
            ("/a?b=c", "/a", "b=c"),
            ("/a", "/a", ""),
            ("/a?b#c?d", "/a", "b"),
            ("/a#b?c", "/a#b", "c"),
        ] {
            assert_eq!(without_query(path.as_bytes()), bare.as_bytes());
            assert_eq!(query(path.as_bytes()), search.as_bytes());
        }
    }
}
