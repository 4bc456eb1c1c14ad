//! What an upstream or a cluster answers.

use std::time::Duration;

use crate::arrival::{self, Piece};
use crate::headers::{Headers, Kind};
use crate::upstream_failure::UpstreamFailure;

/// A response of an upstream, or the way in which it fails to give one.
///
/// ```
/// use std::time::Duration;
/// use attache_harness::Response;
///
/// let response = Response::new(404).header("X-Reason", "gone").body("no such order\n");
/// assert_eq!(response.headers().get(":status"), Some(&b"404"[..]));
///
/// let slow = Response::ok().after(Duration::from_millis(20)).chunk("one").pause(Duration::from_secs(1)).chunk("two");
/// let cut = Response::ok().chunk("one").cut();
/// let refused = Response::refused();
/// # let _ = (slow, cut, refused);
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    pub(crate) headers: Headers,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) trailers: Option<Headers>,
    pub(crate) latency: Duration,
    pub(crate) fault: Option<Fault>,
    pub(crate) early: bool,
    /// What is sent for each piece that arrives behind an upgrade.
    pub(crate) each: Option<Vec<u8>>,
}

/// Why there is no response at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    Failed(UpstreamFailure),
    Never,
}

impl Response {
    /// A response with an empty body and `content-length: 0`, as most servers send it.
    #[must_use]
    pub fn new(status: u16) -> Self {
        let mut headers = Headers::new(Kind::Response);
        headers.add(b":status", status.to_string().as_bytes());
        if !has_no_body(status) {
            headers.add(b"content-length", b"0");
        }
        Self::with_headers(headers)
    }

    /// `200` with an empty body.
    #[must_use]
    pub fn ok() -> Self {
        Self::new(200)
    }

    /// No response: nobody listens, and the request is not sent.
    #[must_use]
    pub fn refused() -> Self {
        Self::faulty(Fault::Failed(UpstreamFailure::Refused))
    }

    /// No response: the peer takes the request and closes the connection.
    #[must_use]
    pub fn closed() -> Self {
        Self::faulty(Fault::Failed(UpstreamFailure::Closed))
    }

    /// No response: the peer resets the stream, as only HTTP/2 and gRPC can. Over HTTP/1.1 a reset
    /// is a closed connection: use [`closed`](Self::closed).
    #[must_use]
    pub fn reset() -> Self {
        Self::faulty(Fault::Failed(UpstreamFailure::Reset))
    }

    /// No response that could be read: the peer sends what is not HTTP.
    #[must_use]
    pub fn malformed() -> Self {
        Self::faulty(Fault::Failed(UpstreamFailure::Malformed))
    }

    /// No response, ever: a timeout ends the waiting.
    #[must_use]
    pub fn never() -> Self {
        Self::faulty(Fault::Never)
    }

    pub(crate) fn with_headers(headers: Headers) -> Self {
        Self {
            headers,
            pieces: Vec::new(),
            trailers: None,
            latency: Duration::ZERO,
            fault: None,
            early: false,
            each: None,
        }
    }

    fn faulty(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::with_headers(Headers::new(Kind::Response))
        }
    }

    /// Adds a header; a name that is there already gets a second entry, but for `content-length`,
    /// which is replaced.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        if name.starts_with(b":") || name.eq_ignore_ascii_case(b"content-length") {
            self.headers.set(&name.to_ascii_lowercase(), value);
        } else {
            self.headers.add(name, value);
        }
        self
    }

    /// Sets a body that arrives in one piece, with its `content-length`.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        self.headers
            .set(b"content-length", body.len().to_string().as_bytes());
        self.pieces = arrival::whole(body);
        self
    }

    /// Adds a piece to a chunked body, and drops the `content-length`. Set one afterwards for a
    /// body of known length that comes in pieces.
    #[must_use]
    pub fn chunk(mut self, piece: impl AsRef<[u8]>) -> Self {
        self.headers.remove(b"content-length");
        self.pieces.push(Piece::Chunk(piece.as_ref().to_vec()));
        self
    }

    /// Adds a trailer, which only a chunked body can have, and drops the `content-length`.
    #[must_use]
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.headers.remove(b"content-length");
        let trailers = self
            .trailers
            .get_or_insert_with(|| Headers::new(Kind::Trailers));
        trailers.add(name.as_ref(), value.as_ref());
        self
    }

    /// Lets time pass between the request's end and the first byte of the response, or until it
    /// fails.
    #[must_use]
    pub fn after(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Lets time pass before what comes next: a chunk, the trailers or the end.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pieces.push(Piece::Pause(pause));
        self
    }

    /// Closes the connection instead of sending the rest: the response lacks its end. For a body of
    /// known length set `content-length` as well.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.pieces.push(Piece::Cut(UpstreamFailure::Closed));
        self
    }

    /// Resets the stream instead of sending the rest, as only HTTP/2 and gRPC can.
    #[must_use]
    pub fn cut_by_reset(mut self) -> Self {
        self.pieces.push(Piece::Cut(UpstreamFailure::Reset));
        self
    }

    /// Sends nothing more, and keeps the connection: the response does not end until a timeout.
    #[must_use]
    pub fn stall(mut self) -> Self {
        self.pieces.push(Piece::Stall);
        self
    }

    /// Answers as soon as the request's headers are there, and does not wait for its body. For an
    /// answer that depends on the request use [`Answer::early`](crate::Answer::early).
    #[must_use]
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }

    /// The headers, with `:status`.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }
}

/// Whether a response of this status never has a body ([RFC 9110, 6.4.1]).
///
/// [RFC 9110, 6.4.1]: https://www.rfc-editor.org/rfc/rfc9110#section-6.4.1
pub(crate) fn has_no_body(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}
