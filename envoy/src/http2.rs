//! A client for HTTP/2 with prior knowledge, with one request on a connection. It sends requests, too, that
//! HTTP/2 forbids and a server has to refuse.
//!
//! Names and values are bytes where the protocol lets them be; the order of
//! headers is kept but for repeated names, which come together.

mod verbatim;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::TcpStream;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream, client};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use self::verbatim::Verbatim;
use crate::http1::{Header, Response};
use crate::link::Pace;

/// A request to be sent. The last piece carries the end of the stream, unless
/// trailers follow; without pieces and trailers the headers do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Request {
    /// `:method`.
    pub method: Vec<u8>,
    /// `:path`.
    pub target: Vec<u8>,
    /// `:authority`.
    pub authority: Vec<u8>,
    /// The headers; names are lower-cased.
    pub headers: Vec<Header>,
    /// The body, sent piece by piece.
    pub pieces: Vec<Vec<u8>>,
    /// The trailers.
    pub trailers: Vec<Header>,
}

/// Why a message could not be exchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No client could be made.
    #[error("cannot speak HTTP/2 on the connection")]
    Connection(#[source] io::Error),
    /// The request has what HTTP/2 cannot carry.
    #[error("`{part}` of the request cannot be sent over HTTP/2")]
    Unsendable {
        /// Which part of it.
        part: String,
    },
    /// The stream or the connection ended before the answer began.
    #[error("the stream ended without an answer")]
    Reset(#[source] h2::Error),
    /// The stream or the connection ended within the answer.
    #[error("the stream ended within the answer")]
    Truncated {
        /// What had arrived.
        received: Box<Response>,
        /// Why.
        source: h2::Error,
    },
    /// The answer had not ended when its time was up.
    #[error("the answer was not complete within {} ms", limit.as_millis())]
    TimedOut {
        /// The time it was given.
        limit: Duration,
    },
}

/// What the crate `h2` is given to send.
struct Outgoing {
    head: http::Request<()>,
    trailers: HeaderMap,
    /// What goes out in the place of its headers and trailers, if anything does.
    blocks: VecDeque<Vec<u8>>,
}

/// Sends a request on a fresh connection and reads the answer. Whoever keeps a
/// clone of the connection can end the exchange by closing it.
///
/// # Errors
///
/// [`Error`].
pub fn exchange_on(
    stream: TcpStream,
    request: &Request,
    timeout: Duration,
) -> Result<Response, Error> {
    let head = head(request).and_then(|head| Ok((head, header_map(&request.trailers)?)));
    let outgoing = match head {
        Ok((head, trailers)) if is_sent_as_given(request, &head) => Outgoing {
            head,
            trailers,
            blocks: VecDeque::new(),
        },
        // Who writes the blocks is told of others.
        _ => stand_ins(request)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Connection)?;
    runtime.block_on(async {
        let conversation = converse(stream, request, outgoing);
        tokio::time::timeout(timeout, conversation)
            .await
            .unwrap_or(Err(Error::TimedOut { limit: timeout }))
    })
}

async fn converse(
    stream: TcpStream,
    request: &Request,
    outgoing: Outgoing,
) -> Result<Response, Error> {
    let Outgoing {
        head,
        trailers,
        blocks,
    } = outgoing;
    let pace = Pace::of(&stream);
    stream.set_nonblocking(true).map_err(Error::Connection)?;
    let stream = tokio::net::TcpStream::from_std(stream).map_err(Error::Connection)?;
    stream.set_nodelay(true).map_err(Error::Connection)?;
    // The connection ends with the runtime; its failure shows on the stream.
    let sender = if blocks.is_empty() {
        let (sender, connection) = client::handshake(stream).await.map_err(Error::Reset)?;
        tokio::spawn(connection);
        sender
    } else {
        let stream = Verbatim::new(stream, blocks);
        let (sender, connection) = client::handshake(stream).await.map_err(Error::Reset)?;
        tokio::spawn(connection);
        sender
    };
    let mut sender = sender.ready().await.map_err(Error::Reset)?;
    let end = request.pieces.is_empty() && request.trailers.is_empty();
    let (answer, body) = sender.send_request(head, end).map_err(Error::Reset)?;
    if !end {
        let pieces = request.pieces.clone();
        // The answer may come before all of the request is sent.
        begin_body(body, pieces, trailers, pace);
    }
    let (head, body) = answer.await.map_err(Error::Reset)?.into_parts();
    let mut response = Response {
        status: head.status.as_u16(),
        headers: lines(&head.headers),
        ..Response::default()
    };
    match receive_body(body, &mut response.body).await {
        Ok(trailers) => {
            response.trailers = trailers;
            Ok(response)
        }
        Err(source) => Err(Error::Truncated {
            received: Box::new(response),
            source,
        }),
    }
}

/// Begins to send a body: its first piece goes out with the headers, in one write,
/// so that whoever reads them has both or neither; the rest follows by itself.
pub(crate) fn begin_body(
    body: SendStream<Bytes>,
    pieces: Vec<Vec<u8>>,
    trailers: HeaderMap,
    pace: Pace,
) {
    begin(send_body(body, pieces, trailers, pace));
}

/// Does the first step of a sending at once, and leaves the rest to the runtime.
pub(crate) fn begin(sending: impl Future<Output = ()> + Send + 'static) {
    let mut sending = Box::pin(sending);
    // Once, before the connection's task has its turn; whoever runs the rest is woken for it.
    let mut context = Context::from_waker(Waker::noop());
    if sending.as_mut().poll(&mut context).is_pending() {
        tokio::spawn(sending);
    }
}

/// Sends a body and its trailers. A peer that is gone shows where its answer is
/// awaited.
async fn send_body(
    mut body: SendStream<Bytes>,
    pieces: Vec<Vec<u8>>,
    trailers: HeaderMap,
    mut pace: Pace,
) {
    let last = pieces.len();
    for (index, piece) in pieces.into_iter().enumerate() {
        if index > 0 {
            pace.paused().await;
        }
        let end = index + 1 == last && trailers.is_empty();
        if body.send_data(piece.into(), end).is_err() {
            return;
        }
    }
    if !trailers.is_empty() {
        pace.paused().await;
        // As above.
        let _ = body.send_trailers(trailers);
    }
}

/// Receives a body into `received`, and returns its trailers.
pub(crate) async fn receive_body(
    mut body: RecvStream,
    received: &mut Vec<u8>,
) -> Result<Vec<Header>, h2::Error> {
    while let Some(piece) = body.data().await {
        let piece = piece?;
        received.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len())?;
    }
    let trailers = body.trailers().await?;
    Ok(trailers.as_ref().map(lines).unwrap_or_default())
}

/// Whether the crates `http` and `h2` send a request as it is: without a part of the target or the method
/// CONNECT, and without what HTTP/2 forbids ([RFC 9113, 8.2.2]).
///
/// [RFC 9113, 8.2.2]: https://www.rfc-editor.org/rfc/rfc9113#section-8.2.2
fn is_sent_as_given(request: &Request, head: &http::Request<()>) -> bool {
    let of_connection = [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ];
    let forbidden = |header: &Header| {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name.as_bytes());
        of_connection.iter().any(|name| is(name)) || is("te") && header.value != b"trailers"
    };
    let uri = head.uri();
    let target = uri.path_and_query().map(|target| target.as_str());
    let authority = uri.authority().map(|authority| authority.as_str());
    target.map(str::as_bytes) == Some(&request.target)
        && authority.map(str::as_bytes) == Some(&request.authority)
        && *head.method() != Method::CONNECT
        && !request.headers.iter().any(forbidden)
        && !request.trailers.iter().any(forbidden)
}

/// Lines with names in lower case, those of one name together, as the crate `http` keeps them.
fn grouped(headers: &[Header]) -> Vec<(Vec<u8>, &[u8])> {
    let mut lines: Vec<(Vec<u8>, &[u8])> = Vec::new();
    for header in headers {
        let name = header.name.to_ascii_lowercase();
        let at = lines.iter().rposition(|(own, _)| *own == name);
        lines.insert(at.map_or(lines.len(), |at| at + 1), (name, &header.value));
    }
    lines
}

/// A request that can be sent, and the blocks of headers that go out in its place.
fn stand_ins(request: &Request) -> Result<Outgoing, Error> {
    let sendable = Request {
        method: request.method.clone(),
        target: b"/".to_vec(),
        authority: b"stand-in".to_vec(),
        ..Request::default()
    };
    let pseudo = [
        (&b":method"[..], &request.method[..]),
        (b":scheme", b"http"),
        (b":authority", &request.authority),
        (b":path", &request.target),
    ];
    let headers = grouped(&request.headers);
    let lines = headers.iter().map(|(name, value)| (&name[..], *value));
    let mut blocks = VecDeque::from([verbatim::block(pseudo.into_iter().chain(lines))]);
    let mut stand_in = HeaderMap::new();
    if !request.trailers.is_empty() {
        let trailers = grouped(&request.trailers);
        let lines = trailers.iter().map(|(name, value)| (&name[..], *value));
        blocks.push_back(verbatim::block(lines));
        stand_in.insert("x-stand-in", HeaderValue::from_static("1"));
    }
    if blocks.iter().any(|block| block.len() > verbatim::LONGEST) {
        let part = "headers of more than 16 KiB".to_owned();
        return Err(Error::Unsendable { part });
    }
    Ok(Outgoing {
        head: head(&sendable)?,
        trailers: stand_in,
        blocks,
    })
}

fn head(request: &Request) -> Result<http::Request<()>, Error> {
    let unsendable = |part: &[u8]| Error::Unsendable {
        part: part.escape_ascii().to_string(),
    };
    let method = Method::from_bytes(&request.method).map_err(|_| unsendable(&request.method))?;
    let uri = Uri::builder()
        .scheme("http")
        .authority(&request.authority[..])
        .path_and_query(&request.target[..])
        .build()
        .map_err(|_| unsendable(&request.target))?;
    let mut head = http::Request::new(());
    *head.method_mut() = method;
    *head.uri_mut() = uri;
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = header_map(&request.headers)?;
    Ok(head)
}

/// The headers in the form of the `http` crate.
pub(crate) fn header_map(headers: &[Header]) -> Result<HeaderMap, Error> {
    let mut map = HeaderMap::new();
    for header in headers {
        let unsendable = || Error::Unsendable {
            part: header.name.escape_ascii().to_string(),
        };
        let name = HeaderName::from_bytes(&header.name).map_err(|_| unsendable())?;
        let value = HeaderValue::from_bytes(&header.value).map_err(|_| unsendable())?;
        map.append(name, value);
    }
    Ok(map)
}

/// The headers as lines.
pub(crate) fn lines(headers: &HeaderMap) -> Vec<Header> {
    headers
        .iter()
        .map(|(name, value)| Header::new(name.as_str(), value.as_bytes()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;
    use crate::upstream::{Reply, Upstream};

    const LIMIT: Duration = Duration::from_secs(10);

    fn request(target: &str) -> Request {
        Request {
            method: b"POST".to_vec(),
            target: target.into(),
            authority: b"example.com".to_vec(),
            headers: vec![Header::new("X-A", "1"), Header::new("x-a", &b"\xff"[..])],
            ..Request::default()
        }
    }

    fn exchange(upstream: &Upstream, request: &Request) -> Result<Response, Error> {
        let stream = TcpStream::connect(upstream.address()).unwrap();
        exchange_on(stream, request, LIMIT)
    }

    #[test]
    fn a_message_arrives_with_its_bytes_pieces_and_trailers() {
        let upstream = Upstream::start_http2(|request| {
            Reply::new(201)
                .header("x-length", request.body.len().to_string())
                .body("hello")
                .trailer("grpc-status", "0")
        })
        .unwrap();
        let request = Request {
            pieces: vec![b"aaaa".to_vec(), b"bb".to_vec()],
            trailers: vec![Header::new("x-t", "2")],
            ..request("/a?b=%20")
        };
        let response = exchange(&upstream, &request).unwrap();
        assert_eq!(response.status, 201);
        assert_eq!(response.headers, [Header::new("x-length", "6")]);
        assert_eq!(response.body, b"hello");
        assert_eq!(response.trailers, [Header::new("grpc-status", "0")]);
        let received = &upstream.take()[0];
        assert_eq!(received.target, b"/a?b=%20");
        assert_eq!(received.body, b"aaaabb");
        assert_eq!(received.trailers, [Header::new("x-t", "2")]);
        assert_eq!(
            received.headers,
            [
                Header::new("host", "example.com"),
                Header::new("x-a", "1"),
                Header::new("x-a", &b"\xff"[..])
            ]
        );
    }

    #[test]
    fn a_message_without_a_body_ends_with_its_headers() {
        let upstream = Upstream::start_http2(|_| Reply::new(204)).unwrap();
        let response = exchange(&upstream, &request("/")).unwrap();
        assert_eq!((response.status, response.body), (204, Vec::new()));
        assert!(upstream.take()[0].complete);
    }

    #[test]
    fn what_http2_cannot_carry_is_named() {
        let upstream = Upstream::start_http2(|_| Reply::new(200).header("x-\n", "1")).unwrap();
        let answer = exchange(&upstream, &request("/")).unwrap_err();
        assert!(matches!(answer, Error::Reset(_)), "{answer}");
        let bad = Request {
            method: b"x y".to_vec(),
            ..request("/")
        };
        let refused = exchange(&upstream, &bad).unwrap_err();
        assert!(refused.to_string().contains("`x y`"), "{refused}");
    }

    #[test]
    fn what_http2_forbids_is_sent_all_the_same() {
        let upstream = Upstream::start_http2(|_| Reply::new(200)).unwrap();
        let forbidden = Request {
            headers: vec![Header::new("Connection", "close")],
            pieces: vec![b"a".to_vec()],
            trailers: vec![Header::new("x-t", "1")],
            ..request("/")
        };
        // Its server resets what has such a header.
        let answer = exchange(&upstream, &forbidden).unwrap_err();
        assert!(matches!(answer, Error::Reset(_)), "{answer}");
        let unusual = Request {
            authority: b"a b".to_vec(),
            ..forbidden.clone()
        };
        let answer = exchange(&upstream, &unusual).unwrap_err();
        assert!(matches!(answer, Error::Reset(_)), "{answer}");
    }
}
