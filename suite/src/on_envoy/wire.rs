//! Messages of a case as bytes, and back.

use attache_envoy::http1::{self, Header};
use attache_envoy::{http2, upstream};

use super::is_mark;
use crate::case::{Body, Fault, Reply, Request};
use crate::seen::Message;

type Line = (Vec<u8>, Vec<u8>);

/// The request on the wire, cut where its pieces are to arrive apart.
pub(super) fn pieces(request: &Request, mark: Option<Line>) -> Vec<Vec<u8>> {
    let mut wire = [&request.method[..], b" ", &request.target, b" HTTP/1.1\r\n"].concat();
    let mut line = |name: &[u8], value: &[u8]| {
        wire.extend([name, b": ", value, b"\r\n"].concat());
    };
    if !request.names_host() {
        line(b"host", b"example.com");
    }
    for (name, value) in &request.headers {
        line(name, value);
    }
    let (body, chunked) = request.body.pieces(!request.trailers.is_empty());
    let length: usize = body.iter().map(|piece| piece.len()).sum();
    if chunked {
        line(b"transfer-encoding", b"chunked");
    } else if matches!(request.body, Body::Whole(_)) {
        line(b"content-length", length.to_string().as_bytes());
    }
    if let Some((name, value)) = mark {
        line(&name, &value);
    }
    wire.extend(b"\r\n");
    if !chunked {
        wire.extend(body.concat());
        return vec![wire];
    }
    let mut parts = Vec::new();
    for piece in body {
        wire.extend(format!("{:x}\r\n", piece.len()).into_bytes());
        wire.extend(piece);
        wire.extend(b"\r\n");
        parts.push(std::mem::take(&mut wire));
    }
    wire.extend(b"0\r\n");
    for (name, value) in &request.trailers {
        wire.extend([name, &b": "[..], value, b"\r\n"].concat());
    }
    wire.extend(b"\r\n");
    parts.push(wire);
    parts
}

/// The request for HTTP/2.
pub(super) fn http2(request: &Request, mark: Option<Line>) -> http2::Request {
    let (body, chunked) = request.body.pieces(!request.trailers.is_empty());
    let mut sent = http2::Request {
        method: request.method.clone(),
        target: request.target.clone(),
        authority: b"example.com".to_vec(),
        pieces: body.iter().map(|piece| piece.to_vec()).collect(),
        ..http2::Request::default()
    };
    for (name, value) in &request.headers {
        if name.eq_ignore_ascii_case(b"host") {
            sent.authority.clone_from(value);
        } else {
            sent.headers.push(Header::new(name.clone(), value.clone()));
        }
    }
    let length: usize = body.iter().map(|piece| piece.len()).sum();
    if !chunked && matches!(request.body, Body::Whole(_)) {
        sent.headers
            .push(Header::new("content-length", length.to_string()));
    }
    let mark = mark.map(|(name, value)| Header::new(name, value));
    sent.headers.extend(mark);
    let trailers = request.trailers.iter();
    sent.trailers = trailers
        .map(|(name, value)| Header::new(name.clone(), value.clone()))
        .collect();
    sent
}

/// The answer with its length first, as the harness's upstream has it: the order of headers is part
/// of what is compared.
pub(super) fn reply(answer: &Reply) -> upstream::Reply {
    std::thread::sleep(answer.after);
    let mut reply = upstream::Reply::new(answer.status);
    reply.fault = answer.fault.map(|fault| match fault {
        // Nobody comes this far where nobody listens.
        Fault::Refused | Fault::Closed | Fault::Reset => upstream::Fault::Closed,
        Fault::Malformed => upstream::Fault::Malformed,
        Fault::Never => upstream::Fault::Never,
        Fault::Cut => upstream::Fault::Cut,
    });
    let (pieces, chunked) = answer.body.pieces(!answer.trailers.is_empty());
    let upgraded = answer.status == 101;
    let (chunked, bodiless) = (
        chunked && !upgraded,
        upgraded || (matches!(answer.status, 204 | 304) && pieces.is_empty()),
    );
    reply.each.clone_from(&answer.each);
    if !chunked && !bodiless {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        reply = reply.header("content-length", length.to_string());
    }
    for (name, value) in &answer.headers {
        let length = name.eq_ignore_ascii_case(b"content-length");
        match reply.headers.first_mut() {
            Some(first) if length && !chunked => first.value.clone_from(value),
            _ => reply = reply.header(name.clone(), value.clone()),
        }
    }
    for piece in pieces {
        if chunked || upgraded {
            reply = reply.piece(piece);
        } else {
            reply.body.extend(piece);
        }
    }
    for (name, value) in &answer.trailers {
        reply = reply.trailer(name.clone(), value.clone());
    }
    reply
}

/// The number that [`Case::mark`](crate::case::Case::mark) gave a request.
pub(super) fn number_of(request: &upstream::Request) -> Option<usize> {
    let mut headers = request.headers.iter();
    let mark = headers.find(|header| is_mark(&header.name))?;
    std::str::from_utf8(&mark.value).ok()?.parse().ok()
}

pub(super) fn received(request: &upstream::Request) -> Message {
    Message::request(
        request.method.clone(),
        request.target.clone(),
        pairs(&request.headers),
        request.body.clone(),
        pairs(&request.trailers).collect(),
    )
}

pub(super) fn answered(response: http1::Response) -> Message {
    let headers: Vec<Line> = pairs(&response.headers).collect();
    let trailers = pairs(&response.trailers).collect();
    Message::response(
        response.status.to_string(),
        headers,
        response.body,
        trailers,
    )
}

fn pairs(headers: &[Header]) -> impl Iterator<Item = Line> {
    headers
        .iter()
        .map(|header| (header.name.clone(), header.value.clone()))
}
