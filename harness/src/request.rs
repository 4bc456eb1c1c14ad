//! What a downstream client sends.

use std::net::SocketAddr;
use std::time::Duration;

use crate::arrival::{self, Piece};
use crate::attributes::{Field, Metadata};
use crate::codec::Codec;
use crate::downstream::Downstream;
use crate::exchange::StreamId;
use crate::filter_state::{FilterState, Object};
use crate::headers::{Headers, Kind};
use crate::upstream_failure::UpstreamFailure;

/// A request to send through the chain.
///
/// Names and values are anything made of bytes. As in Envoy, names are lower-cased, and repeated
/// headers kept, but for those that Envoy joins by a comma (`authorization` and `accept` among them). `:authority` is `example.com` and `:scheme` `http` unless set.
///
/// ```
/// use attache_harness::Request;
///
/// let request = Request::post("/orders").header("X-Tenant", "acme").body("{}");
/// assert_eq!(request.headers().get("content-length"), Some(&b"2"[..]));
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) headers: Headers,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) trailers: Option<Headers>,
    pub(crate) codec: Codec,
    pub(crate) downstream: Option<Box<Downstream>>,
    pub(crate) dynamic_metadata: Option<Box<Metadata>>,
    pub(crate) filter_state: FilterState,
    /// A stream whose connection it comes on.
    pub(crate) after: Option<StreamId>,
}

impl Request {
    /// A request of any method, without a body.
    #[must_use]
    pub fn new(method: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Self {
        let headers = Headers::of(
            Kind::Request,
            &[
                (b":authority", b"example.com"),
                (b":path", path.as_ref()),
                (b":method", method.as_ref()),
                (b":scheme", b"http"),
            ],
        );
        Self {
            headers,
            pieces: Vec::new(),
            trailers: None,
            codec: Codec::Http1,
            downstream: None,
            dynamic_metadata: None,
            filter_state: FilterState::default(),
            after: None,
        }
    }

    /// `GET path`.
    #[must_use]
    pub fn get(path: impl AsRef<[u8]>) -> Self {
        Self::new("GET", path)
    }

    /// `HEAD path`.
    #[must_use]
    pub fn head(path: impl AsRef<[u8]>) -> Self {
        Self::new("HEAD", path)
    }

    /// `POST path`.
    #[must_use]
    pub fn post(path: impl AsRef<[u8]>) -> Self {
        Self::new("POST", path)
    }

    /// `PUT path`.
    #[must_use]
    pub fn put(path: impl AsRef<[u8]>) -> Self {
        Self::new("PUT", path)
    }

    /// `DELETE path`.
    #[must_use]
    pub fn delete(path: impl AsRef<[u8]>) -> Self {
        Self::new("DELETE", path)
    }

    /// Adds a header; a name that is there already gets a second entry. A pseudo header, or `host`,
    /// replaces the one that the constructor chose.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        if name.starts_with(b":") {
            self.headers.set(name, value);
        } else if name.eq_ignore_ascii_case(b"host") {
            self.headers.set(b":authority", value);
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

    /// Adds a piece to the body. Without a `content-length` of the test's own the body is chunked.
    #[must_use]
    pub fn chunk(mut self, piece: impl AsRef<[u8]>) -> Self {
        self.pieces.push(Piece::Chunk(piece.as_ref().to_vec()));
        self
    }

    /// Lets time pass before what comes next: a chunk, the trailers or the end.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pieces.push(Piece::Pause(pause));
        self
    }

    /// Lets the client go away instead of sending the rest.
    #[must_use]
    pub fn disconnect(mut self) -> Self {
        self.pieces.push(Piece::Cut(UpstreamFailure::Closed));
        self
    }

    /// Adds a trailer.
    #[must_use]
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let trailers = self
            .trailers
            .get_or_insert_with(|| Headers::new(Kind::Trailers));
        trailers.add(name.as_ref(), value.as_ref());
        self
    }

    /// Sends the request over HTTP/2: the end of a body comes with its last piece, unless that is
    /// empty, and cookies arrive in one line.
    #[must_use]
    pub fn http2(mut self) -> Self {
        self.codec = Codec::Http2;
        self
    }

    /// Sends the request on the connection of an earlier one, which has ended: filters see the same
    /// connection, and filter state that lives as long. A stream that the host has forgotten, as
    /// those of [`Host::send`](crate::Host::send) that ended, leaves nothing behind.
    #[must_use]
    pub fn on_connection_of(mut self, earlier: StreamId) -> Self {
        self.after = Some(earlier);
        self
    }

    /// Says who sends it, and over which connection; by default as [`Downstream`] says.
    #[must_use]
    pub fn downstream(mut self, downstream: Downstream) -> Self {
        self.downstream = Some(Box::new(downstream));
        self
    }

    /// Sends it from an address: `source.address`. The rest of the connection is as by default.
    #[must_use]
    pub fn client(self, address: impl Into<SocketAddr>) -> Self {
        self.downstream(Downstream::default().client(address))
    }

    /// Adds fields to a namespace of the dynamic metadata, as a filter before the plugins would:
    /// `metadata.filter_metadata.<namespace>`.
    #[must_use]
    pub fn dynamic_metadata(
        mut self,
        namespace: impl Into<String>,
        fields: impl IntoIterator<Item = Field<impl Into<String>>>,
    ) -> Self {
        let metadata = self.dynamic_metadata.get_or_insert_default();
        metadata.extend(namespace, fields);
        self
    }

    /// Adds a text object to the filter state, as a filter before the plugins would:
    /// `filter_state.<name>`.
    #[must_use]
    pub fn filter_state(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let object = Object::Text(value.as_ref().to_vec());
        self.filter_state.set(name.as_ref(), object);
        self
    }

    /// The headers, with the pseudo headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Whether the headers are all there is.
    pub(crate) fn ends_with_headers(&self) -> bool {
        self.pieces.is_empty() && self.trailers.is_none()
    }
}
