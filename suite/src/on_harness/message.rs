//! Messages of a case as the harness sends and shows them.

use std::time::Duration;

use attache_envoy::http1::PAUSE;
use attache_harness::{DownstreamResponse, Response, UpstreamRequest};

use super::peer;
use crate::case::{Body, Fault, Protocol, Reply, Request};
use crate::seen::Message;

/// Where the peers of a real Envoy pause, so that their pieces arrive one by one: between pieces, and
/// here before the end.
struct Pauses {
    before_end: bool,
}

impl Pauses {
    fn of(protocol: Protocol, pieces: usize, trailers: bool) -> Self {
        Self {
            before_end: match protocol {
                // The end is a piece of its own.
                Protocol::Http1 => pieces > 0,
                // The last piece carries it.
                Protocol::Http2 => trailers,
            },
        }
    }
}

pub(super) fn sent(
    request: &Request,
    mark: Option<(Vec<u8>, Vec<u8>)>,
    protocol: Protocol,
) -> attache_harness::Request {
    let mut sent = attache_harness::Request::new(&request.method, &request.target);
    let is_host = |name: &[u8]| protocol == Protocol::Http1 && name.eq_ignore_ascii_case(b"host");
    let mut hosts = Vec::new();
    for (name, value) in peer::lines(request.headers.clone(), protocol) {
        if is_host(&name) {
            hosts.push(value);
        } else {
            sent = sent.header(name, value);
        }
    }
    // Several are one, as those of any header that Envoy holds once.
    if let Some(first) = hosts.first() {
        let named = hosts.iter().filter(|host| !host.is_empty());
        let joined = named.map(Vec::as_slice).collect::<Vec<_>>().join(&b","[..]);
        let host = if hosts.len() > 1 { &joined } else { first };
        sent = sent.header("host", host);
    }
    let (pieces, chunked) = request.body.pieces(!request.trailers.is_empty());
    if let (Body::Whole(whole), false) = (&request.body, chunked) {
        sent = sent.body(whole);
    }
    if chunked && protocol == Protocol::Http1 {
        sent = sent.header("transfer-encoding", "chunked");
    }
    if let Some((name, value)) = mark {
        sent = sent.header(name, value);
    }
    if chunked {
        let pauses = Pauses::of(protocol, pieces.len(), !request.trailers.is_empty());
        for (number, piece) in pieces.into_iter().enumerate() {
            if number > 0 {
                sent = sent.pause(PAUSE);
            }
            sent = sent.chunk(piece);
        }
        if pauses.before_end {
            sent = sent.pause(PAUSE);
        }
    }
    for (name, value) in peer::lines(request.trailers.clone(), protocol) {
        sent = sent.trailer(name, value);
    }
    if protocol == Protocol::Http2 {
        sent = sent.http2();
    }
    sent
}

/// What a server answers; `head` if it is to a HEAD.
pub(super) fn response(answer: &Reply, protocol: Protocol, head: bool) -> Response {
    let mut response = match answer.fault {
        None | Some(Fault::Cut) => Response::new(answer.status),
        Some(Fault::Refused) => return Response::refused(),
        Some(Fault::Closed) => return Response::closed().after(answer.after),
        Some(Fault::Reset) => return Response::reset().after(answer.after),
        Some(Fault::Malformed) => return Response::malformed().after(answer.after),
        Some(Fault::Never) => return Response::never(),
    };
    for (name, value) in peer::lines(answer.headers.clone(), protocol) {
        response = response.header(name, value);
    }
    let (pieces, chunked) = answer.body.pieces(!answer.trailers.is_empty());
    let bodiless = matches!(answer.status, 204 | 304) && pieces.is_empty();
    let cut = answer.fault == Some(Fault::Cut);
    if answer.status == 101 {
        for piece in pieces {
            response = response.pause(PAUSE).chunk(piece);
        }
        if cut {
            response = response.pause(PAUSE);
        }
        if let Some(each) = &answer.each {
            response = response.answer_each(each);
        }
    } else if chunked {
        let pauses = Pauses::of(protocol, pieces.len(), !answer.trailers.is_empty());
        // Who cuts its answer does so behind the last piece.
        let before_end = pauses.before_end || (cut && !pieces.is_empty());
        // Who sends no body sends it all at once.
        let apart = !head && !matches!(answer.status, 204 | 304);
        for (number, piece) in pieces.into_iter().enumerate() {
            if apart && number > 0 {
                response = response.pause(PAUSE);
            }
            response = response.chunk(piece);
        }
        if apart && before_end {
            response = response.pause(PAUSE);
        }
    } else if !bodiless {
        response = response.body(pieces.concat());
        // What the answer itself says stays, as of one to HEAD.
        let declared = answer.headers.iter().rev();
        let mut declared =
            declared.filter(|(name, _)| name.eq_ignore_ascii_case(b"content-length"));
        if let Some((name, value)) = declared.next() {
            response = response.header(name, value);
        }
    }
    for (name, value) in peer::lines(answer.trailers.clone(), protocol) {
        response = response.trailer(name, value);
    }
    if cut {
        response = match protocol {
            Protocol::Http1 => response.cut(),
            Protocol::Http2 => response.cut_by_reset(),
        };
    }
    if answer.after > Duration::ZERO {
        response = response.after(answer.after);
    }
    response
}

pub(super) fn received(request: &UpstreamRequest, protocol: Protocol) -> Message {
    let (headers, trailers) = lines(request, Some(b":authority"));
    Message::request(
        request.method().to_vec(),
        request.path().to_vec(),
        peer::lines(headers, protocol),
        request.body(),
        peer::lines(trailers, protocol),
    )
}

/// An answer that agrees to an upgrade, with what came behind it.
pub(super) fn upgraded(response: &DownstreamResponse) -> Message {
    let mut message = answered(response, Protocol::Http1);
    message.body = response.body();
    message
}

pub(super) fn answered(response: &DownstreamResponse, protocol: Protocol) -> Message {
    let (headers, trailers) = lines(response, None);
    let status = response.status().to_string();
    let headers = peer::lines(headers, protocol);
    let trailers = peer::lines(trailers, protocol);
    // A client of HTTP/1.1 expects no body there, whatever comes.
    let bodiless = protocol == Protocol::Http1 && matches!(response.status(), 101 | 204 | 304);
    let body = if bodiless {
        Vec::new()
    } else {
        response.body()
    };
    Message::response(status, headers, body, trailers)
}

type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// Headers and trailers as they are on the wire: pseudo headers stand in the first line, but for the
/// one that HTTP/1.1 sends as `host`.
fn lines(message: &attache_harness::Message, host: Option<&[u8]>) -> (Lines, Lines) {
    let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    let headers = message
        .headers()
        .iter()
        .map(owned)
        .filter_map(|(name, value)| {
            if Some(&name[..]) == host {
                Some((b"host".to_vec(), value))
            } else {
                (!name.starts_with(b":")).then_some((name, value))
            }
        });
    let trailers = message.trailers().into_iter();
    let trailers = trailers.flat_map(|trailers| trailers.iter().map(owned));
    (headers.collect(), trailers.collect())
}
