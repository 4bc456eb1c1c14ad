use crate::http1::Header;

/// A request as it was received.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    /// The method.
    pub method: Vec<u8>,
    /// The request target, usually the path with the query.
    pub target: Vec<u8>,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// The headers, in their order and with their case.
    pub headers: Vec<Header>,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// The trailers, in their order.
    pub trailers: Vec<Header>,
    /// Whether all of it arrived; if not, the connection ended before.
    pub complete: bool,
}

impl Request {
    /// All values of a header, in their order; case makes no difference.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        crate::http1::values(&self.headers, name)
    }

    /// The request line, the headers, an empty line and the body, with lines
    /// that end in a line feed; trailers follow as headers do.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = [&self.method[..], b" ", &self.target].concat();
        text.extend_from_slice(format!(" HTTP/1.{}\n", self.minor_version).as_bytes());
        put_headers(&mut text, &self.headers, b"\n");
        text.push(b'\n');
        text.extend_from_slice(&self.body);
        if !self.trailers.is_empty() {
            text.push(b'\n');
            put_headers(&mut text, &self.trailers, b"\n");
        }
        text
    }
}

/// An answer to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers, sent in this order and as they are. Unless they say how
    /// long the body is, a `content-length` is added, or `transfer-encoding:
    /// chunked` if there are trailers.
    pub headers: Vec<Header>,
    /// The body; cut into chunks if `transfer-encoding` is among the headers.
    pub body: Vec<u8>,
    /// Pieces of a body that go out one by one, each as a chunk of its own,
    /// instead of `body`.
    pub pieces: Vec<Vec<u8>>,
    /// The trailers; they are sent after chunks only.
    pub trailers: Vec<Header>,
    /// What goes wrong instead.
    pub fault: Option<Fault>,
    /// What is sent for each piece that arrives behind an upgrade, to which a status of 101 agrees. The
    /// pieces go out before, each as it is.
    pub each: Option<Vec<u8>>,
}

/// How an upstream fails that has taken a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It closes the connection without an answer; over HTTP/2 it resets the stream.
    Closed,
    /// It sends what is not HTTP; over HTTP/2 it resets the stream.
    Malformed,
    /// It never answers.
    Never,
    /// It closes the connection, or resets the stream, instead of ending the body.
    Cut,
}

impl Reply {
    /// A reply of this status without headers and without a body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            pieces: Vec::new(),
            trailers: Vec::new(),
            fault: None,
            each: None,
        }
    }

    /// The same reply, but for what goes wrong.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// The same reply with one header more.
    #[must_use]
    pub fn header(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// The same reply with another body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same reply with another piece of body.
    #[must_use]
    pub fn piece(mut self, piece: impl Into<Vec<u8>>) -> Self {
        self.pieces.push(piece.into());
        self
    }

    /// The same reply with one trailer more.
    #[must_use]
    pub fn trailer(mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        self.trailers.push(Header::new(name, value));
        self
    }

    /// 200 with the request as it was received, as `text/plain`.
    #[must_use]
    pub fn echo(request: &Request) -> Self {
        Self::new(200)
            .header("content-type", "text/plain")
            .body(request.to_text())
    }

    /// The bytes on the wire, as an answer to a request of this method.
    pub(super) fn to_wire(&self, method: &[u8]) -> Vec<u8> {
        self.to_pieces(method).concat()
    }

    /// The same, cut where a pause belongs.
    pub(super) fn to_pieces(&self, method: &[u8]) -> Vec<Vec<u8>> {
        let declares = |name| self.headers.iter().any(|header| header.is(name));
        let in_pieces = !self.pieces.is_empty() || !self.trailers.is_empty();
        let chunked = declares("transfer-encoding") || (in_pieces && !declares("content-length"));
        let mut wire = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        put_headers(&mut wire, &self.headers, b"\r\n");
        let bodiless = matches!(self.status, 100..=199 | 204 | 304);
        let chunked = chunked && self.status != 101;
        if chunked && !declares("transfer-encoding") {
            wire.extend_from_slice(b"transfer-encoding: chunked\r\n");
        } else if !chunked && !declares("content-length") && !bodiless {
            wire.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        wire.extend_from_slice(b"\r\n");
        if bodiless || method == b"HEAD" {
            return vec![wire];
        }
        if !chunked {
            wire.extend_from_slice(&self.body);
            self.pieces.iter().for_each(|piece| wire.extend(piece));
            return vec![wire];
        }
        let mut parts = Vec::new();
        let pieces = [&self.body].into_iter().chain(&self.pieces);
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            wire.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            wire.extend_from_slice(piece);
            wire.extend_from_slice(b"\r\n");
            parts.push(std::mem::take(&mut wire));
        }
        wire.extend_from_slice(b"0\r\n");
        put_headers(&mut wire, &self.trailers, b"\r\n");
        wire.extend_from_slice(b"\r\n");
        parts.push(wire);
        parts
    }
}

fn put_headers(text: &mut Vec<u8>, headers: &[Header], line_end: &[u8]) {
    for header in headers {
        for part in [&header.name[..], b": ", &header.value, line_end] {
            text.extend_from_slice(part);
        }
    }
}

/// The phrase of a status; RFC 9110 lets it be empty, people read it.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        503 => "Service Unavailable",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_gets_a_length_unless_it_declares_one() {
        let wire = Reply::new(200)
            .header("X-A", "1")
            .body("hi")
            .to_wire(b"GET");
        assert_eq!(
            wire,
            b"HTTP/1.1 200 OK\r\nX-A: 1\r\ncontent-length: 2\r\n\r\nhi"
        );
        let declared = Reply::new(200)
            .header("Content-Length", "9")
            .body("hi")
            .to_wire(b"GET");
        assert_eq!(declared, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi");
    }

    #[test]
    fn trailers_make_a_reply_chunked() {
        let wire = Reply::new(200).body("hi").trailer("t", "v").to_wire(b"GET");
        assert_eq!(
            wire,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nt: v\r\n\r\n"
        );
    }

    #[test]
    fn the_answer_to_head_has_a_length_and_no_body() {
        let wire = Reply::new(200).body("hi").to_wire(b"HEAD");
        assert_eq!(wire, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
        assert_eq!(
            Reply::new(204).to_wire(b"GET"),
            b"HTTP/1.1 204 No Content\r\n\r\n"
        );
    }
}
