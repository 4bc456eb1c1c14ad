//! What an upstream answers.

use std::time::Duration;

use crate::headers::{Headers, Kind};

/// A response of the upstream.
///
/// ```
/// use attache_harness::Response;
///
/// let response = Response::new(404).header("X-Reason", "gone").body("no such order\n");
/// assert_eq!(response.headers().get(":status"), Some(&b"404"[..]));
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    pub(crate) headers: Headers,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: Option<Headers>,
    pub(crate) latency: Duration,
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
        Self {
            headers,
            chunks: Vec::new(),
            trailers: None,
            latency: Duration::ZERO,
        }
    }

    /// `200` with an empty body.
    #[must_use]
    pub fn ok() -> Self {
        Self::new(200)
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
        self.chunks = if body.is_empty() {
            Vec::new()
        } else {
            vec![body.to_vec()]
        };
        self
    }

    /// Adds a piece to a chunked body, and drops the `content-length`.
    #[must_use]
    pub fn chunk(mut self, piece: impl AsRef<[u8]>) -> Self {
        self.headers.remove(b"content-length");
        self.chunks.push(piece.as_ref().to_vec());
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

    /// Lets time pass between the request's end and the first byte of the response.
    #[must_use]
    pub fn after(mut self, latency: Duration) -> Self {
        self.latency = latency;
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
