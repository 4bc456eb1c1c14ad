//! What became of one request.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use crate::abi::Direction;
use crate::budgets::Cost;
use crate::calls::CallOut;
use crate::filter_state::{FilterState, Object};
use crate::headers::Headers;
use crate::lints::Lint;
use crate::response_flags::ResponseFlags;
use crate::router::status;
use crate::timeline::{Event, HostCall, LogLine, Timeline};

/// Names a stream of a [`Host`](crate::Host).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub(crate) u64);

/// How a stream stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Downstream got a whole response.
    Completed,
    /// The connection was cut: nothing, or not all of the response, went out.
    Reset,
    /// The stream waits. Nothing moves it but a call of a guest, or the client that gives up.
    Paused {
        /// The way on which it waits.
        direction: Direction,
        /// The plugin that returned a pause.
        plugin: String,
    },
    /// The stream is under way: a peer takes its time, and the clock has to move.
    #[default]
    Running,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Reset => f.write_str("the connection was cut"),
            Self::Paused { direction, plugin } => write!(f, "`{plugin}` holds the {direction}"),
            Self::Running => f.write_str("under way"),
        }
    }
}

/// A message: headers, body, trailers.
#[derive(Clone, Debug)]
pub struct Message {
    pub(crate) headers: Headers,
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) trailers: Option<Headers>,
}

impl Message {
    pub(crate) fn new(headers: Headers) -> Self {
        Self {
            headers,
            chunks: Vec::new(),
            trailers: None,
        }
    }

    /// The headers, with the pseudo headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The whole body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The pieces in which the body went out; none of them is empty.
    #[must_use]
    pub fn chunks(&self) -> &[Vec<u8>] {
        &self.chunks
    }

    /// The trailers, if there are any.
    #[must_use]
    pub fn trailers(&self) -> Option<&Headers> {
        self.trailers.as_ref()
    }

    pub(crate) fn push(&mut self, data: Vec<u8>) {
        if !data.is_empty() {
            self.chunks.push(data);
        }
    }
}

/// The request as the upstream received it. The `host` line of HTTP/1.1 stands as `:authority`.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    pub(crate) message: Message,
    pub(crate) complete: bool,
    pub(crate) cut: bool,
}

impl UpstreamRequest {
    /// Whether Envoy has given it up before its end: the stream is over, or was answered by a local reply.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Whether its end has arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// `:method`.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.message.headers.get(":method").unwrap_or_default()
    }

    /// `:path`, with the query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        self.message.headers.get(":path").unwrap_or_default()
    }
}

impl Deref for UpstreamRequest {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

/// The response as downstream received it.
#[derive(Clone, Debug)]
pub struct DownstreamResponse {
    pub(crate) message: Message,
}

impl DownstreamResponse {
    /// The status code; 0 where `:status` is no number of 16 bits.
    #[must_use]
    pub fn status(&self) -> u16 {
        let status = status(&self.message.headers);
        status.map_or(0, |status| status.try_into().unwrap_or(0))
    }
}

impl Deref for DownstreamResponse {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

/// A reply that Envoy made instead of the upstream, for a guest or of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocalReply {
    /// The status code. Envoy does not check it.
    pub status: u32,
    /// The body that was asked for.
    pub body: Vec<u8>,
    /// The response code details.
    pub details: String,
    /// The plugin that asked for it; none where Envoy did, as after a trap.
    pub plugin: Option<String>,
}

/// One request and all that came of it.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    pub(crate) head: bool,
    pub(crate) id: StreamId,
    pub(crate) outcome: Outcome,
    pub(crate) upstream: Option<UpstreamRequest>,
    pub(crate) response: Option<DownstreamResponse>,
    pub(crate) local_reply: Option<LocalReply>,
    pub(crate) details: Option<Cow<'static, str>>,
    pub(crate) flags: ResponseFlags,
    pub(crate) response_code: u32,
    pub(crate) filter_state: FilterState,
    pub(crate) calls: Vec<CallOut>,
    pub(crate) log: Vec<LogLine>,
    pub(crate) log_bytes: usize,
    pub(crate) lints: Vec<Lint>,
    pub(crate) timeline: Timeline,
    pub(crate) cost: Cost,
}

impl Exchange {
    /// The stream, to ask its host about it again.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// How the stream stands.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The request as the upstream received it.
    ///
    /// # Panics
    ///
    /// If the request never reached the upstream; the message holds the timeline.
    #[must_use]
    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "the reader is a test; `try_upstream_request` does not panic"
    )]
    pub fn upstream_request(&self) -> &UpstreamRequest {
        match &self.upstream {
            Some(request) => request,
            None => panic!("the request never reached the upstream\n{self}"),
        }
    }

    /// Whether the client asked with HEAD: over HTTP/1.1 it has the whole response with the headers.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.head
    }

    /// The request as the upstream received it, if it did.
    #[must_use]
    pub fn try_upstream_request(&self) -> Option<&UpstreamRequest> {
        self.upstream.as_ref()
    }

    /// The response as downstream received it. After a reset it may lack its end.
    ///
    /// # Panics
    ///
    /// If downstream received none; the message holds the timeline.
    #[must_use]
    #[track_caller]
    #[expect(
        clippy::panic,
        reason = "the reader is a test; `try_response` does not panic"
    )]
    pub fn response(&self) -> &DownstreamResponse {
        match &self.response {
            Some(response) => response,
            None => panic!("downstream received no response\n{self}"),
        }
    }

    /// The response as downstream received it, if it did.
    #[must_use]
    pub fn try_response(&self) -> Option<&DownstreamResponse> {
        self.response.as_ref()
    }

    /// The reply that was made instead of the upstream's; the last one if there were several.
    #[must_use]
    pub fn local_reply(&self) -> Option<&LocalReply> {
        self.local_reply.as_ref()
    }

    /// The response code details, as `%RESPONSE_CODE_DETAILS%` in an access log.
    #[must_use]
    pub fn details(&self) -> Option<&str> {
        self.details.as_deref()
    }

    /// The code of the response, as `%RESPONSE_CODE%` in an access log: of what the upstream answered
    /// even where nothing of it went downstream, and 0 where there was no response.
    #[must_use]
    pub fn response_code(&self) -> u32 {
        self.response_code
    }

    /// The response flags, as `%RESPONSE_FLAGS%` in an access log.
    #[must_use]
    pub fn flags(&self) -> ResponseFlags {
        self.flags
    }

    /// The filter state of the stream by its full name, as `%FILTER_STATE(name:PLAIN)%` in an access
    /// log: what a guest keeps by `proxy_set_property` under `key` has the name `wasm.key`.
    #[must_use]
    pub fn filter_state(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.filter_state.get(name.as_ref()).and_then(Object::bytes)
    }

    /// The call-outs that were made in the stream's callbacks, or for it in those of its root where its
    /// context was the effective one, as their clusters got them.
    #[must_use]
    pub fn calls(&self) -> &[CallOut] {
        &self.calls
    }

    /// What was logged in the stream's callbacks; the first 16 MiB of it.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.log
    }

    /// What Envoy did in the stream to the surprise of those who write filters; see [`Lint`].
    #[must_use]
    pub fn lints(&self) -> &[Lint] {
        &self.lints
    }

    /// The host calls that guests made in the stream's callbacks, as far as the timeline keeps them.
    #[must_use]
    pub fn host_calls(&self) -> Vec<&HostCall> {
        let events = self.timeline.events();
        events
            .filter_map(|event| match event {
                Event::HostCall(call) => Some(call),
                _ => None,
            })
            .collect()
    }

    /// What happened to the stream, in order.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "outcome: {}", self.outcome)?;
        writeln!(f, "timeline:")?;
        write!(f, "{}", self.timeline)?;
        if !self.log.is_empty() {
            writeln!(f, "log:")?;
            self.log
                .iter()
                .try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        Ok(())
    }
}
