//! What a gRPC server answers.

use std::time::Duration;

use crate::arrival::Piece;
use crate::exchange::UpstreamRequest;
use crate::grpc_calls::frames;
use crate::headers::{Headers, Kind};
use crate::response::Response;
use crate::upstream_failure::UpstreamFailure;

/// What a gRPC server sends: initial metadata, messages, and a status with trailing metadata.
///
/// Without a status the call stays open: the answer to an event of a stream, see
/// [`Answer::grpc`](crate::Answer::grpc).
///
/// ```
/// use attache_harness::{Answer, GrpcReply};
///
/// let allowed: Answer = GrpcReply::ok("\x08\x01").initial("x-cell", "eu").into();
/// let denied: Answer = GrpcReply::error(7, "not yours").into();
/// # let _ = (allowed, denied);
/// ```
#[derive(Clone, Debug, Default)]
pub struct GrpcReply {
    latency: Duration,
    initial: Vec<(Vec<u8>, Vec<u8>)>,
    pieces: Vec<Piece>,
    status: Option<(u32, String)>,
    trailing: Vec<(Vec<u8>, Vec<u8>)>,
    trailers_only: bool,
}

impl GrpcReply {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One message and the status 0.
    #[must_use]
    pub fn ok(message: impl AsRef<[u8]>) -> Self {
        Self::new().message(message).status(0, "")
    }

    /// A status without a message, in one header block: the reply that is called trailers-only.
    #[must_use]
    pub fn error(status: u32, message: impl Into<String>) -> Self {
        let mut reply = Self::new().status(status, message);
        reply.trailers_only = true;
        reply
    }

    /// Adds a message.
    #[must_use]
    pub fn message(mut self, message: impl AsRef<[u8]>) -> Self {
        let message = frames::framed(message.as_ref());
        self.pieces.push(Piece::Chunk(message));
        self
    }

    /// Adds initial metadata. It goes out with the first reply of a call that is not empty.
    #[must_use]
    pub fn initial(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let pair = (name.as_ref().to_vec(), value.as_ref().to_vec());
        self.initial.push(pair);
        self
    }

    /// Adds trailing metadata, behind status and message.
    #[must_use]
    pub fn trailing(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let pair = (name.as_ref().to_vec(), value.as_ref().to_vec());
        self.trailing.push(pair);
        self
    }

    /// Ends the call with a status. The message goes out as it is: a server encodes what is not
    /// printable with percent signs, and Envoy hands them on.
    #[must_use]
    pub fn status(mut self, status: u32, message: impl Into<String>) -> Self {
        self.status = Some((status, message.into()));
        self
    }

    /// Lets time pass before anything is sent.
    #[must_use]
    pub fn after(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Lets time pass before what comes next.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pieces.push(Piece::Pause(pause));
        self
    }

    /// Resets the stream instead of sending the rest. Where nothing was sent before, no headers are either.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.pieces.push(Piece::Cut(UpstreamFailure::Reset));
        self
    }

    /// Whether nothing is sent.
    pub(crate) fn is_empty(&self) -> bool {
        self.initial.is_empty() && self.pieces.is_empty() && self.status.is_none()
    }

    /// After which time a reset comes, if nothing comes before it that would send the headers.
    fn reset_after(&self) -> Option<Duration> {
        let mut latency = self.latency;
        for piece in &self.pieces {
            match piece {
                Piece::Pause(pause) => latency += *pause,
                Piece::Cut(_) if self.initial.is_empty() => return Some(latency),
                _ => return None,
            }
        }
        None
    }

    /// Whether nothing can follow.
    pub(crate) fn has_ended(&self) -> bool {
        let cut = |piece: &Piece| matches!(piece, Piece::Cut(_));
        self.status.is_some() || self.pieces.iter().any(cut)
    }

    /// What it is behind another one: initial metadata goes out once.
    pub(crate) fn without_initial(mut self) -> Self {
        self.initial.clear();
        self
    }

    /// Both, one after the other.
    pub(crate) fn then(mut self, next: Self) -> Self {
        if self.is_empty() {
            self.initial = next.initial;
        }
        if !next.latency.is_zero() {
            self.pieces.push(Piece::Pause(next.latency));
        }
        self.pieces.extend(next.pieces);
        self.trailing.extend(next.trailing);
        self.trailers_only |= next.trailers_only;
        self.status = next.status.or(self.status);
        self
    }
}

/// What a gRPC server learns of a call, one after the other.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum GrpcEvent<'a> {
    /// A call begins: its headers are here.
    Opened(&'a UpstreamRequest),
    /// A message.
    Message(&'a [u8]),
    /// No more messages follow.
    HalfClosed,
    /// The guest gave up; an answer is of no use.
    Cancelled,
}

impl From<GrpcReply> for Response {
    fn from(reply: GrpcReply) -> Self {
        if let Some(latency) = reply.reset_after() {
            return Self::reset().after(latency);
        }
        let mut headers = Headers::new(Kind::Response);
        headers.add(b":status", b"200");
        headers.add(b"content-type", b"application/grpc");
        for (name, value) in &reply.initial {
            headers.add(name, value);
        }
        let mut trailers = Headers::new(Kind::Trailers);
        if let Some((status, message)) = &reply.status {
            let trailers = if reply.trailers_only && reply.pieces.is_empty() {
                &mut headers
            } else {
                &mut trailers
            };
            trailers.add(b"grpc-status", status.to_string().as_bytes());
            if !message.is_empty() {
                trailers.add(b"grpc-message", message.as_bytes());
            }
            for (name, value) in &reply.trailing {
                trailers.add(name, value);
            }
        }
        let mut response = Self::with_headers(headers).after(reply.latency);
        response.pieces = reply.pieces;
        if reply.status.is_none() {
            response.pieces.push(Piece::Stall);
        } else if !trailers.is_empty() {
            response.trailers = Some(trailers);
        }
        response
    }
}
