//! The properties `request.*` and `response.*`.

use super::{Found, scalar};
use crate::abi::Status;
use crate::headers::Headers;
use crate::local_reply::grpc_status_of;
use crate::pairs;
use crate::stream::Stream;
use crate::vm::{Phase, VmState};

pub(super) fn request(state: &VmState, stream: &Stream, rest: &[&[u8]]) -> Found {
    let empty = Headers::default();
    let headers = stream.request.headers.as_ref().unwrap_or(&empty);
    let header = |name: &str| headers.get(name).map(<[u8]>::to_vec);
    let (name, below) = rest
        .split_first()
        .map_or((&b""[..], rest), |(name, below)| (*name, below));
    let now = state.world.clock.now();
    let value = match name {
        b"path" => header(":path"),
        b"url_path" => header(":path").map(|path| without_query(&path).to_vec()),
        b"query" => header(":path").map(|path| query(&path).to_vec()),
        b"host" => header(":authority"),
        b"scheme" => header(":scheme"),
        b"method" => header(":method"),
        b"id" => header("x-request-id"),
        b"protocol" => Some(stream.codec.name().as_bytes().to_vec()),
        b"referer" => header("referer"),
        b"useragent" => header("user-agent"),
        b"headers" => return map(Some(headers), below),
        b"time" => Some(integer(stream.started.as_nanos())),
        b"duration" => (state.own_phase() == Some(Phase::Log))
            .then(|| integer((now - stream.started).as_nanos())),
        b"size" => Some(integer(request_size(headers, stream))),
        b"total_size" => Some(integer(stream.request_bytes + headers.byte_size() as u64)),
        _ => None,
    };
    value.map_or(Found::No(Status::NotFound), |value| scalar(below, value))
}

pub(super) fn response(state: &VmState, stream: &Stream, rest: &[&[u8]]) -> Found {
    let (name, below) = rest
        .split_first()
        .map_or((&b""[..], rest), |(name, below)| (*name, below));
    let sent = stream.exchange.response.as_ref();
    let body: u64 = sent.map_or(0, |sent| {
        sent.chunks().iter().map(|chunk| chunk.len() as u64).sum()
    });
    let logging = state.own_phase() == Some(Phase::Log);
    let code = stream.response_code;
    let value = match name {
        b"code" => code.map(integer),
        b"code_details" => stream.exchange.details.clone().map(String::into_bytes),
        b"flags" => Some(integer(stream.exchange.flags.bits())),
        b"grpc_status" => {
            let headers = stream
                .response
                .trailers
                .as_ref()
                .or(stream.response.headers.as_ref());
            let sent = headers.and_then(|headers| headers.get("grpc-status"));
            let sent = sent.and_then(|status| str::from_utf8(status).ok()?.parse::<u32>().ok());
            sent.or(code.map(grpc_status_of)).map(integer)
        }
        b"headers" => return map(stream.response.headers.as_ref(), below),
        b"trailers" => return map(stream.response.trailers.as_ref(), below),
        b"size" => Some(integer(body)),
        b"total_size" => {
            let maps = [&stream.response.headers, &stream.response.trailers];
            let maps: usize = maps.into_iter().flatten().map(Headers::byte_size).sum();
            Some(integer(body + maps as u64))
        }
        b"backend_latency" => stream
            .latency
            .filter(|_| logging)
            .map(|latency| integer(latency.as_nanos())),
        _ => None,
    };
    value.map_or(Found::No(Status::NotFound), |value| scalar(below, value))
}

/// A whole map as pairs, an absent one as a count of 0, or the values of one name. Envoy writes a
/// map in the order of a hash table; here it is the order of the headers.
fn map(headers: Option<&Headers>, below: &[&[u8]]) -> Found {
    let joined =
        |headers: &Headers, name: &[u8]| headers.get_all(name).collect::<Vec<_>>().join(&b","[..]);
    match below {
        [] => {
            let mut pairs: Vec<pairs::Pair> = Vec::new();
            for (name, _) in headers.into_iter().flat_map(Headers::iter) {
                if !pairs.iter().any(|(known, _)| known == name) {
                    let value = headers
                        .map(|headers| joined(headers, name))
                        .unwrap_or_default();
                    pairs.push((name.to_vec(), value));
                }
            }
            let views = pairs
                .iter()
                .map(|(name, value)| (name.as_slice(), value.as_slice()));
            Found::Value(pairs::serialize(views))
        }
        [name] => {
            let headers = headers.filter(|headers| headers.contains_key(name));
            headers.map(|headers| joined(headers, name)).into()
        }
        _ => Found::No(Status::NotFound),
    }
}

fn request_size(headers: &Headers, stream: &Stream) -> u64 {
    let declared = headers
        .get("content-length")
        .and_then(|length| str::from_utf8(length).ok()?.parse().ok());
    declared.unwrap_or(stream.request_bytes)
}

fn without_query(path: &[u8]) -> &[u8] {
    path.split(|byte| matches!(byte, b'?' | b'#'))
        .next()
        .unwrap_or_default()
}

fn query(path: &[u8]) -> &[u8] {
    let path = path.split(|byte| *byte == b'#').next().unwrap_or_default();
    path.iter()
        .position(|byte| *byte == b'?')
        .map_or(&[], |at| &path[at + 1..])
}

/// Integers, durations and timestamps are 8 bytes, little-endian.
fn integer(number: impl TryInto<u64>) -> Vec<u8> {
    number.try_into().unwrap_or(u64::MAX).to_le_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_at_its_query_and_fragment() {
        for (path, bare, search) in [
            ("/a?b=c", "/a", "b=c"),
            ("/a", "/a", ""),
            ("/a?b#c?d", "/a", "b"),
            ("/a#b?c", "/a", ""),
        ] {
            assert_eq!(without_query(path.as_bytes()), bare.as_bytes());
            assert_eq!(query(path.as_bytes()), search.as_bytes());
        }
    }
}
