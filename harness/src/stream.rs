//! One HTTP stream: the messages under way and how each filter stands to them.
//!
//! The names of the states are those of Envoy's filter manager, whose rules `filter_chain.rs` plays.

use std::collections::VecDeque;
use std::time::Duration;

use crate::abi::Direction;
use crate::agenda::Moment;
use crate::arrival::Piece;
use crate::attributes::Metadata;
use crate::bare_streams::Bare;
use crate::body::Body;
use crate::codec::Codec;
use crate::codec::refusal::Refused;
use crate::downstream::Downstream;
use crate::exchange::{Exchange, Outcome, StreamId};
use crate::headers::Headers;
use crate::http_streams::one_by_one;
use crate::response::Response;
use crate::router::{Retries, Timeouts, UpstreamConnection, Written};
use crate::tcp_streams::TcpStream;
use crate::tunnel::Tunnel;

/// A stream and its filters.
#[derive(Default)]
pub(crate) struct Stream {
    /// What the test sees of it.
    pub(crate) exchange: Exchange,
    /// The filter chain, and the thread, where 0 is the main one.
    pub(crate) chain: usize,
    pub(crate) thread: usize,
    pub(crate) filters: Vec<Filter>,
    pub(crate) request: Flow,
    pub(crate) response: Flow,
    /// What it is where it is a TCP connection and no HTTP exchange.
    pub(crate) tcp: Option<Box<TcpStream>>,
    /// What it has instead of peers, where a test makes its callbacks one by one.
    pub(crate) bare: Option<Box<Bare>>,
    pub(crate) codec: Codec,
    /// What its connections become where it asks for an upgrade.
    pub(crate) tunnel: Option<Box<Tunnel>>,
    /// Whether its upstream has answered otherwise.
    pub(crate) refused_tunnel: bool,
    /// The stream that began its connection; none if that is itself.
    pub(crate) connection: Option<u64>,
    /// What filters that are not Wasm said of it.
    pub(crate) dynamic_metadata: Option<Box<Metadata>>,
    /// Why it is answered before any filter sees it.
    pub(crate) refused: Option<Refused>,
    /// How far a route was found for it.
    pub(crate) routing: Routing,
    /// Who sends the request; none if it is whom the host has by default.
    pub(crate) downstream: Option<Box<Downstream>>,
    pub(crate) started: Duration,
    /// When the upstream had the whole request.
    pub(crate) asked_at: Option<Duration>,
    /// When it had it for the present try; not while one waits.
    pub(crate) tried_at: Option<Duration>,
    /// Whether a try before has come to the upstream.
    pub(crate) arrived: bool,
    /// How often it was tried before.
    pub(crate) retried: u64,
    /// When it is tried again.
    pub(crate) retries: Option<Retries>,
    /// What the upstream is about to answer.
    pub(crate) answer: Option<Box<Response>>,
    /// When that is.
    pub(crate) answer_due: Option<Moment>,
    /// Bytes of the request's body that Envoy has read.
    pub(crate) request_bytes: u64,
    /// Whether the original request was a HEAD or a gRPC request: decides on local replies.
    pub(crate) head: bool,
    pub(crate) grpc: bool,
    /// A local reply that waits for the callback to return.
    pub(crate) prepared: Option<Reply>,
    /// Whether a local reply goes through the filters and its body is still to come.
    pub(crate) reply_has_body: bool,
    /// Whether another took that reply's place on the way, which HTTP/2 has not sent yet.
    pub(crate) overtaken: bool,
    /// Whether what its client has sent is being read. HTTP/2 sends nothing meanwhile.
    pub(crate) arriving: bool,
    /// Whether response headers went downstream.
    pub(crate) headers_sent: bool,
    /// Whether its client asked for the connection to be closed.
    pub(crate) closes: bool,
    /// Whether a local reply said 400, for which Envoy gives up the connection.
    pub(crate) is_malformed: bool,
    /// How its request goes to the upstream.
    pub(crate) upstream_connection: UpstreamConnection,
    /// What its request's headers were written with, if they were.
    pub(crate) written: Option<Written>,
    /// Whether a filter's reply ended its request to the upstream.
    pub(crate) upstream_left: bool,
    /// Whether the router replied in the place of a reply that was on its way, in one of the callbacks of that.
    pub(crate) reply_replaced: bool,
    /// Whether a host of the upstream was chosen for it.
    pub(crate) host_is_chosen: bool,
    /// Whether a filter resumed its request when a local reply was on its way.
    pub(crate) asked_behind_a_reply: bool,
    /// Whether the upstream was asked for its answer.
    pub(crate) upstream_asked: bool,
    /// Why the codec will not write the request, once there is a connection.
    pub(crate) unacceptable: Option<String>,
    /// How long the upstream may take.
    pub(crate) timeouts: Timeouts,
    /// When something moved between Envoy and the client.
    pub(crate) active_at: Duration,
    /// When it has taken too long.
    pub(crate) timer: Option<Moment>,
    /// The response's code, once there is one.
    pub(crate) response_code: Option<u32>,
    /// How long the upstream took.
    pub(crate) latency: Option<Duration>,
    /// Whether the stream is over: logged, done, deleted.
    pub(crate) finished: bool,
    /// Whether something of a response had gone downstream by then.
    pub(crate) answered: bool,
    /// Whether its filters are logging, and whether they are being done and deleted.
    pub(crate) logs: bool,
    /// Whether there were headers and trailers of a response when the first of them did.
    pub(crate) had_response: bool,
    pub(crate) had_trailers: bool,
    pub(crate) ends: bool,
    /// Whether it is so because its client went away.
    pub(crate) abandoned: bool,
    /// The details of a reply that came when the access log was written.
    pub(crate) late_details: Option<String>,
    /// The details of replies that are no text.
    pub(crate) bare_details: Vec<Vec<u8>>,
    /// Whether its codec has closed it, and a reply goes past its filters all the same.
    pub(crate) closed_below: bool,
    /// Whether the codec was told of its end; not so where the codec has told of it.
    pub(crate) codec_knows_its_end: bool,
    /// Whether the codec has nothing left of it that could be reset, though its request was never looked at.
    pub(crate) is_gone_below: bool,
}

impl Stream {
    /// The bytes that a filter gave as these details, which are no text maybe.
    pub(crate) fn details_as_given<'a>(&'a self, details: &'a str) -> &'a [u8] {
        let mut given = self.bare_details.iter();
        let same = |bare: &&Vec<u8>| one_by_one(bare) == details;
        given.find(same).map_or(details.as_bytes(), Vec::as_slice)
    }

    /// The number of its connection.
    pub(crate) fn connection(&self) -> u64 {
        self.connection.unwrap_or(self.exchange.id.0)
    }

    /// Whether it is a stream, and not over.
    pub(crate) fn is_open(&self) -> bool {
        self.exchange.id != StreamId::default() && !self.finished
    }

    /// An end that comes in a callback: the direction of the callback goes through no further filter.
    pub(crate) fn abort_callback(&mut self) {
        if self.request.in_callback {
            self.request.aborted = true;
        } else if self.response.in_callback {
            self.response.aborted = true;
        }
    }

    /// Whether Envoy would take one more `proxy_close_stream` for the end of a stream that is under way: it
    /// resets what its codec was not told of or whose request is not whole, and a second reset does nothing.
    /// Any other stream it ends for good a second time.
    pub(crate) fn survives_a_close(&self) -> bool {
        !self.is_gone_below && (!self.codec_knows_its_end || !self.request.observed_end)
    }

    /// Whether Envoy makes a reply to it although it is over: it was reset, by its client or a filter, before anything
    /// was answered, and its filters are being told.
    pub(crate) fn is_answered_behind_a_reset(&self) -> bool {
        let told = self.logs || self.ends || self.closed_below;
        let reset = self.exchange.outcome == Outcome::Reset;
        self.finished && told && reset && !self.answered
    }

    /// Whether its request went to an upstream that is lost: what is let on behind the reply to that goes nowhere.
    pub(crate) fn has_lost_its_upstream(&self) -> bool {
        let asked = self.exchange.upstream.is_some() && self.asked_at.is_some();
        asked
            && self.response.headers.is_some()
            && self.upstream_connection == UpstreamConnection::Returned
    }

    /// When the present try is over, if its response has no headers, and when the whole is.
    pub(crate) fn ends_of_time(&self) -> [Option<Duration>; 2] {
        let end = |from: Option<Duration>, time: Duration| {
            from.filter(|_| !time.is_zero())
                .map(|from| from.saturating_add(time))
        };
        let of_try = end(self.tried_at, self.timeouts.of_try);
        [
            of_try.filter(|_| self.response.headers.is_none()),
            end(self.asked_at, self.timeouts.whole),
        ]
    }

    /// Whether an upstream's answer comes too late: there is another one, unless the request was let on behind that one
    /// before anything of it went downstream.
    pub(crate) fn has_its_answer(&self) -> bool {
        self.response.headers.is_some() && (!self.asked_behind_a_reply || self.headers_sent)
    }

    pub(crate) fn flow(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    /// Whether a filter holds back a response whose stream was reset here.
    pub(crate) fn holds_what_was_reset(&mut self, filter: usize) -> bool {
        let reset = self.exchange.outcome == Outcome::Reset && !self.abandoned;
        let waits = self.response.buffered.is_some() || self.response.trailers.is_some();
        let answered = self.response.headers.is_some();
        let side = self.side(filter, Direction::Response);
        reset && answered && (waits || !side.headers_continued)
    }

    pub(crate) fn side(&mut self, filter: usize, direction: Direction) -> &mut Side {
        self.filters[filter].side(direction)
    }

    /// The filter that is the `step`th in this direction.
    pub(crate) fn at(&self, direction: Direction, step: usize) -> usize {
        match direction {
            Direction::Request => step,
            Direction::Response => self.filters.len() - 1 - step,
        }
    }

    /// The outcome as long as the stream is not over: who holds it?
    pub(crate) fn waiting(&self, names: impl Fn(usize) -> String) -> Outcome {
        let held = |direction, side: fn(&Filter) -> &Side| {
            let filter = self
                .filters
                .iter()
                .find(|filter| side(filter).iteration != Iteration::Continue)?;
            Some(Outcome::Paused {
                direction,
                plugin: names(filter.plugin),
            })
        };
        held(Direction::Response, |filter| &filter.response)
            .or_else(|| held(Direction::Request, |filter| &filter.request))
            .unwrap_or(Outcome::Running)
    }
}

/// Which part of a route a request has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Routing {
    #[default]
    Route,
    /// A virtual host, and no route in it.
    VirtualHost,
    Nothing,
}

/// One direction of a stream.
#[derive(Default)]
pub(crate) struct Flow {
    pub(crate) headers: Option<Headers>,
    /// Those of a response that a reply has taken the place of.
    pub(crate) overwritten: Option<Headers>,
    /// The same of its trailers: whoever has them in view keeps them, and the log sees them.
    pub(crate) overwritten_trailers: Option<Headers>,
    pub(crate) trailers: Option<Headers>,
    /// The piece that the body callback being made works on.
    pub(crate) chunk: Body,
    /// What filters hold back; one buffer for all, as in Envoy.
    pub(crate) buffered: Option<Body>,
    /// Whether the last who held back asked for a watermark instead of a limit.
    pub(crate) streaming: bool,
    /// What the peer has sent and Envoy not read: pieces of a body, then the trailers.
    pub(crate) unread: VecDeque<Piece>,
    pub(crate) unread_trailers: Option<Headers>,
    /// Whether the peer lets Envoy wait for what follows.
    pub(crate) waiting: bool,
    /// Whether more may come for as long as the connection stands: it has been upgraded.
    pub(crate) endless: bool,
    /// Whether the message has more than what was read.
    pub(crate) reading: bool,
    /// Whether the last piece carries the end of the message (HTTP/2).
    pub(crate) end_with_data: bool,
    /// Whether `content-length` declares where the message ends (HTTP/1.1).
    pub(crate) length_declared: bool,
    /// Whether the end of the message was seen.
    pub(crate) observed_end: bool,
    /// Whether a callback of this direction is being made.
    pub(crate) in_callback: bool,
    /// Whether a local reply or a close ended this direction in one of its callbacks.
    pub(crate) aborted: bool,
    /// Whether that was a close: the trailers that were on their way go on all the same.
    pub(crate) closed: bool,
    /// Whether resuming moves this direction although the stream is over. Envoy asks before it resumes whether the
    /// end of the response has gone through the filters, and it has not where a local reply took the response's
    /// place, or where the stream was reset.
    pub(crate) open_behind_the_end: bool,
}

impl Flow {
    /// The trailers, or those of a response that a reply has taken the place of.
    pub(crate) fn seen_trailers(&self) -> &Option<Headers> {
        match &self.trailers {
            None => &self.overwritten_trailers,
            trailers => trailers,
        }
    }

    /// Whether there is something to read, and a watermark does not forbid it.
    pub(crate) fn can_read(&self, limit: usize) -> bool {
        let full = self.streaming
            && self
                .buffered
                .as_ref()
                .is_some_and(|held| held.len() > limit);
        // The codec has read the end together with the last byte that `content-length` declares.
        let only_end = self.length_declared && self.unread.is_empty();
        let dry = self.endless && self.unread.is_empty();
        self.reading && !self.waiting && !dry && (!full || only_end)
    }
}

/// One filter of a stream.
#[derive(Default)]
pub(crate) struct Filter {
    /// Which plugin of the host.
    pub(crate) plugin: usize,
    /// Which VM; none where the filter is skipped (`FAIL_OPEN`, or a failed start on this thread).
    pub(crate) vm: Option<usize>,
    pub(crate) context: u32,
    pub(crate) root: u32,
    /// Whether the guest knows the context.
    pub(crate) created: bool,
    /// Whether its VM failed under it and the reply was sent.
    pub(crate) failure_replied: bool,
    /// Whether the last headers or body callback, of either direction, was told of an end.
    pub(crate) end_of_stream: bool,
    /// Whether its log callback is being made.
    pub(crate) logging: bool,
    pub(crate) request: Side,
    pub(crate) response: Side,
}

impl Filter {
    pub(crate) fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }
}

/// How a filter stands to one direction.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) iteration: Iteration,
    pub(crate) headers_continued: bool,
    pub(crate) iterate_from_current: bool,
    /// Whether the filter was told of the end of the message.
    pub(crate) end_stream: bool,
    /// Whether `continue_stream` moved the stream on within the callback being made.
    pub(crate) continued_inside: bool,
    /// How many resumptions are under way.
    pub(crate) resumes: u32,
    /// Whether `close_stream` was called in it.
    pub(crate) closed_inside: bool,
    pub(crate) in_callback: bool,
    /// Which maps and bytes its host calls see.
    pub(crate) headers_visible: bool,
    /// Whether they are those that a reply has taken the place of.
    pub(crate) sees_overwritten: bool,
    pub(crate) trailers_visible: bool,
    pub(crate) body: BodyView,
    /// Whether `continue_stream` came since the last body callback: no trailers can be made any more.
    pub(crate) body_forgotten: bool,
    /// Whether its last body callback returned `StopIterationAndBuffer`.
    pub(crate) buffering: bool,
}

impl Side {
    pub(crate) fn stopped_all(&self) -> bool {
        matches!(
            self.iteration,
            Iteration::StopAllBuffer | Iteration::StopAllWatermark
        )
    }

    /// What `continue_stream` does to the pointers of a context. A body that is being buffered is
    /// looked up anew each time.
    pub(crate) fn forget(&mut self) {
        self.headers_visible = false;
        self.trailers_visible = false;
        self.body_forgotten = true;
        if !self.buffering {
            self.body = BodyView::None;
        }
    }
}

/// Whether the messages run past a filter.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Iteration {
    #[default]
    Continue,
    StopSingle,
    StopAllBuffer,
    StopAllWatermark,
}

/// Which bytes the body buffer of a filter shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum BodyView {
    #[default]
    None,
    Chunk,
    Buffered,
    /// A piece that went into the stream's buffer: it is empty, and what is written to it is lost.
    Moved,
}

/// A local reply to be made.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u32,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<crate::pairs::Pair>,
    pub(crate) grpc_status: Option<u32>,
    pub(crate) details: String,
    /// Which plugin asked; none where Envoy did.
    pub(crate) plugin: Option<usize>,
}

impl Reply {
    /// A reply of Envoy's own.
    pub(crate) fn own(status: u32, body: &str, details: impl Into<String>) -> Self {
        let (body, details) = (body.as_bytes().to_vec(), details.into());
        Self {
            status,
            body,
            headers: Vec::new(),
            grpc_status: None,
            details,
            plugin: None,
        }
    }
}
