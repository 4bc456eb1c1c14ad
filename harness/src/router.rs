//! The router: what Envoy's `router.cc` does between the last filter and the upstream.

mod connections;
mod headers;
mod retries;

pub(crate) use connections::{IdleConnections, UpstreamConnection};

use self::headers::milliseconds;
pub(crate) use self::headers::{
    Timeouts, Written, are_unreadable, give_scheme, is_forbidden, is_header_value, is_token,
    is_unreadable, on_the_wire, refusal, route_timeout, take_what_is_asked, timeout_details,
    unacceptable,
};
pub(crate) use self::retries::{Next, Retries, Try};
use crate::abi::Direction;
use crate::agenda::Event;
use crate::arrival::{self, Piece};
use crate::calls::{CallEvent, CallId};
use crate::clusters::UPSTREAM;
use crate::codec::{self, Codec};
use crate::envoy_version::VersionDifference;
use crate::error::HostError;
use crate::exchange::Message;
use crate::headers::{Headers, Kind};
use crate::known_difference::KnownDifference;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::response::{Fault, Response, has_no_body};
use crate::response_flags::ResponseFlags;
use crate::stream::Reply;
use crate::upstream_failure::UpstreamFailure;

/// Who waits for an answer of a cluster.
#[derive(Debug)]
pub(crate) enum Asked {
    Stream(usize),
    Call {
        vm: usize,
        token: u32,
        id: CallId,
        event: CallEvent,
    },
}

impl Proxy {
    pub(crate) fn send_upstream(&mut self, slot: usize, bytes: Vec<u8>, end: bool) -> Moved {
        if self.is_early(slot, &bytes) || self.world.streams[slot].finished {
            let now = self.world.clock.now();
            let stream = &mut self.world.streams[slot];
            if end && !stream.finished && stream.asked_at.is_none() {
                // The answer decides what becomes of it, but the client has said all.
                stream.asked_at = Some(now);
                stream.tried_at = Some(now);
                self.watch(slot);
            }
            return Ok(());
        }
        let stream = &self.world.streams[slot];
        if stream.has_lost_its_upstream() && !self.world.mutated(Rule::LostUpstreamsReceive) {
            return Ok(());
        }
        if stream.upstream_left && !self.world.mutated(Rule::LeftUpstreamsReceive) {
            return self.reply_to_lost_data(slot);
        }
        let length = bytes.len();
        let refused_tunnel = stream.refused_tunnel;
        // What a request declares does not bound what goes through the tunnel that it opens.
        let bounded = stream.tunnel.is_none();
        let answered =
            stream.response.headers.is_some() && !self.world.mutated(Rule::SurplusIsReceived);
        let Some(request) = &mut self.world.streams[slot].exchange.upstream else {
            return if end { self.ask(slot) } else { Ok(()) };
        };
        // A server that has answered all that was declared takes no more of it.
        let surplus = answered && request.complete && has_declared_length(&request.message);
        let surplus = surplus || refused_tunnel;
        if !surplus {
            request.message.push(bytes);
        }
        self.tunnelled(slot, length);
        self.keep_for_retries(slot);
        let Some(request) = &mut self.world.streams[slot].exchange.upstream else {
            return Ok(());
        };
        if end {
            return self.ask(slot);
        }
        if !surplus && bounded && exceeds_declared_length(&request.message) {
            return self.look_at_length(slot);
        }
        // A server of HTTP/1.1 knows by the length that it has all, though a filter may hold the end.
        if self.upstream_codec == Codec::Http1 && has_declared_length(&request.message) {
            request.complete = true;
            if !self.world.streams[slot].upstream_asked {
                self.ask_upstream(slot);
            }
        }
        Ok(())
    }

    /// A filter lets go of a body for whose request there is no upstream any more, in a callback of the reply that
    /// left it. The router looks for that, and replies itself.
    fn reply_to_lost_data(&mut self, slot: usize) -> Moved {
        let text = "upstream is closed prematurely during decoding data from downstream";
        let reply = Reply::own(503, text, "upstream_reset_before_response_started");
        let stream = &mut self.world.streams[slot];
        // It is the request that this ends: the reply's headers go on.
        let inside = std::mem::replace(&mut stream.request.in_callback, true);
        stream.reply_replaced = true;
        let moved = self.send_local_reply(slot, reply);
        self.world.streams[slot].request.in_callback = inside;
        moved
    }

    pub(crate) fn ask_with_trailers(&mut self, slot: usize) -> Moved {
        let codec = self.upstream_codec;
        let mutated = self.world.mutated(Rule::RequestTrailersAreCarriedOtherwise);
        let stream = &mut self.world.streams[slot];
        if stream.finished || stream.upstream_left {
            return Ok(());
        }
        if stream.asked_at.is_some() && stream.response.headers.is_none() {
            return Err(HostError::Misuse {
                call: "proxy_continue_stream(0)".to_owned(),
                why: "resumes a request that is complete: Envoy sends its trailers a second time, which \
                      the upstream takes for the next request; resume only what was paused, and once"
                    .to_owned(),
                timeline: self.timeline(Some(slot)),
            });
        }
        if let Some(request) = &mut stream.exchange.upstream
            && codec.carries_trailers(&request.message) != mutated
        {
            request
                .message
                .trailers
                .clone_from(&stream.request.trailers);
            let trailers = &request.message.trailers;
            if trailers
                .as_ref()
                .is_some_and(|all| are_unreadable(all, codec))
            {
                self.world
                    .comes_to(Some(slot), KnownDifference::UnreadableMessage);
            }
        } else {
            let note = "the request has a content-length, so its trailers are dropped";
            stream.exchange.timeline.note(note);
        }
        self.ask(slot)
    }

    /// A request that is not as long as it declares ends the exchange: see [`wrong_length`].
    fn look_at_length(&self, slot: usize) -> Moved {
        let stream = &self.world.streams[slot];
        if let Some(request) = &stream.exchange.upstream
            && let Some(why) = wrong_length("request", request)
            && !self.world.mutated(Rule::RequestLengthIsNotLookedAt)
        {
            return Err(HostError::BodyLength {
                why,
                timeline: stream.exchange.timeline.clone(),
            });
        }
        Ok(())
    }

    /// The whole request is at the upstream, which answers when Envoy comes to it.
    fn ask(&mut self, slot: usize) -> Moved {
        let now = self.world.clock.now();
        self.look_at_length(slot)?;
        let stream = &mut self.world.streams[slot];
        if let Some(request) = &mut stream.exchange.upstream {
            request.complete = true;
        }
        stream.tried_at = Some(now);
        if stream.asked_at.replace(now).is_none() {
            stream
                .exchange
                .timeline
                .note("the request is complete at the upstream");
            if stream.upstream_asked {
                self.watch(slot);
            } else {
                self.ask_upstream(slot);
            }
        }
        Ok(())
    }

    fn ask_upstream(&mut self, slot: usize) {
        self.world.streams[slot].upstream_asked = true;
        self.world.asked.push_back(Asked::Stream(slot));
    }

    /// Asks the upstream's double, which answers now or later.
    pub(crate) fn answer(&mut self, slot: usize) -> Moved {
        let stream = &mut self.world.streams[slot];
        if stream.finished || stream.has_its_answer() || self.refuse_unacceptable(slot)? {
            return Ok(());
        }
        let Some(request) = &self.world.streams[slot].exchange.upstream else {
            return Ok(());
        };
        let taken = self.world.mutated(Rule::ForbiddenLinesAreTaken);
        if is_forbidden(request.headers(), self.upstream_codec)
            && !taken
            && !self.world.clusters.refuses(UPSTREAM)
        {
            self.world.streams[slot].exchange.upstream = None;
            return self.upstream_failed(slot, UpstreamFailure::Malformed);
        }
        let response = self.world.clusters.answer(UPSTREAM, request);
        if response.fault != Some(Fault::Failed(UpstreamFailure::Refused)) {
            self.world.streams[slot].upstream_connection = UpstreamConnection::Connected;
        }
        if response.latency.is_zero() {
            self.respond(slot, response)?;
        } else {
            let stream = &mut self.world.streams[slot];
            let event = Event::Answer {
                slot,
                stream: stream.exchange.id,
            };
            let time = self.world.clock.now().saturating_add(response.latency);
            stream.answer = Some(Box::new(response));
            let due = self.world.schedule(time, event);
            self.world.streams[slot].answer_due = Some(due);
        }
        self.watch(slot);
        Ok(())
    }

    /// The answer that took its time arrives.
    pub(crate) fn respond_late(&mut self, slot: usize) -> Moved {
        let stream = &mut self.world.streams[slot];
        let Some(response) = stream.answer.take() else {
            return Ok(());
        };
        if stream.has_its_answer() {
            return Ok(());
        }
        self.respond(slot, *response)
    }

    /// The upstream's answer arrives, or Envoy learns that none comes.
    fn respond(&mut self, slot: usize, mut response: Response) -> Moved {
        let now = self.world.clock.now();
        let stream = &mut self.world.streams[slot];
        match response.fault {
            None => {}
            Some(Fault::Never) => return Ok(()),
            Some(Fault::Failed(failure)) => {
                if self.retry(slot, Try::Failed(failure))? {
                    return Ok(());
                }
                let stream = &mut self.world.streams[slot];
                // What a try before it had sent has arrived.
                if failure == UpstreamFailure::Refused && !stream.arrived {
                    stream.exchange.upstream = None;
                }
                return self.upstream_failed(slot, failure);
            }
        }
        let none = Headers::new(Kind::Response);
        let mut headers = std::mem::replace(&mut response.headers, none);
        let mut trailers = response.trailers.take();
        match self.upstream_codec {
            Codec::Http1 => {
                headers.trim();
                trailers.iter_mut().for_each(Headers::trim);
            }
            Codec::Http2 => {
                codec::join_cookies(&mut headers);
                trailers.iter_mut().for_each(codec::join_cookies);
            }
        }
        let status = status(&headers);
        let timeline = &mut stream.exchange.timeline;
        timeline.note_code("the upstream answers ", status);
        if self.retry(slot, Try::Answered(&headers))? {
            return Ok(());
        }
        if !self.world.mutated(Rule::AnswersHaveNoDetails) {
            let stream = &mut self.world.streams[slot];
            stream.exchange.details = Some("via_upstream".into());
        }
        let had_body = !response.pieces.is_empty() || trailers.is_some();
        let had_body = had_body && !headers.contains_key("content-length");
        let tunnel = self.answer_tunnel(slot, status, &mut headers, &mut response);
        let keeps_alive = self
            .world
            .is_before(VersionDifference::KeepAliveIsOfTheUpstream);
        let methods = !self.world.mutated(Rule::AnswersAreToTheClientsMethod);
        let framed = !self.world.mutated(Rule::FiltersSeeNoChunking);
        let timed = !self.world.mutated(Rule::FiltersSeeNoServiceTime);
        let ends_early = self.world.mutated(match self.upstream_codec {
            Codec::Http1 => Rule::Http1AnswerEndsWithTheLastPiece,
            Codec::Http2 => Rule::Http2AnswerEndsAfterTheLastPiece,
        });
        let stream = &mut self.world.streams[slot];
        stream.response_code = status;
        // What was asked for on the way up, whatever the client asked for.
        let asked = stream.exchange.upstream.as_ref();
        let head = asked.map_or(stream.head, |asked| asked.method() == b"HEAD");
        let head = if methods { head } else { stream.head };
        let bodiless =
            head || status.is_some_and(|status| has_no_body(status.try_into().unwrap_or(0)));
        let empty = response.pieces.is_empty() && trailers.is_none();
        let http1 = self.upstream_codec == Codec::Http1;
        let cut = bodiless && !http1 && cut_behind_headers(&mut response, head);
        let end = tunnel.unwrap_or(!cut && (bodiless || empty));
        if !keeps_alive {
            codec::strip_keep_alive(&mut headers);
        }
        // Filters see the framing of a response, other than that of a request.
        let chunked = match tunnel {
            Some(end) => end && had_body,
            None => !end || (head && !empty),
        };
        if http1
            && framed
            && chunked
            && !headers.contains_key("content-length")
            && !headers.contains_key("transfer-encoding")
        {
            headers.add(b"transfer-encoding", b"chunked");
        }
        if let Some(asked_at) = stream.asked_at {
            let latency = now - asked_at;
            stream.latency = Some(latency);
            // What is no handshake goes on with its status alone.
            if timed && tunnel != Some(true) {
                headers.set(
                    b"x-envoy-upstream-service-time",
                    milliseconds(latency).as_bytes(),
                );
            }
        }
        let flow = &mut stream.response;
        flow.observed_end = false;
        flow.end_with_data = http1 == ends_early;
        flow.length_declared = http1 && headers.contains_key("content-length");
        flow.headers = Some(headers);
        flow.reading = !end;
        flow.unread = arrival::arriving(response.pieces, now);
        if flow.endless {
            Self::behind_upgrade(&mut flow.unread);
        }
        flow.unread_trailers = trailers;
        self.headers(slot, Direction::Response, None, end)?;
        self.read_on(slot, Direction::Response)
    }

    /// The upstream is lost: a reply, or a cut where the response has begun.
    pub(crate) fn upstream_failed(&mut self, slot: usize, failure: UpstreamFailure) -> Moved {
        let stream = &mut self.world.streams[slot];
        stream.exchange.timeline.note(format!(
            "the upstream is lost: {}",
            failure.details_before()
        ));
        let unflagged = self.world.mutated(Rule::LostUpstreamHasNoFlag);
        let undetailed = self.world.mutated(Rule::CutAnswerHasNoDetails);
        let stream = &mut self.world.streams[slot];
        if !unflagged {
            stream.exchange.flags.set(failure.flag());
        }
        let begun = stream.response.headers.is_some();
        if stream.headers_sent {
            if !undetailed {
                stream.exchange.details = Some(failure.details_after().into());
            }
            return self.reset(slot);
        }
        // A filter may hold the headers: then nothing is sent yet.
        let details = match begun {
            true if undetailed => String::new(),
            true => failure.details_after(),
            false => failure.details_before(),
        };
        let retried = self.world.streams[slot].retried > 0;
        let body = failure.body(self.world.version, retried);
        let mut reply = Reply::own(failure.status().into(), &body, details);
        let (status, body) = (
            Rule::LostUpstreamHasAnotherStatus,
            Rule::LostUpstreamHasAnotherBody,
        );
        self.garble(&mut reply, status, body, Rule::LostUpstreamHasNoDetails);
        self.send_local_reply(slot, reply)
    }

    /// Starts the route's timeout for a request that is complete and has no whole response, or that of a try, which
    /// is over first.
    fn watch(&mut self, slot: usize) {
        let stream = &mut self.world.streams[slot];
        let received = stream.response.headers.is_some() && !stream.response.reading;
        let ends = stream.ends_of_time();
        let first = ends.into_iter().flatten().min();
        if stream.asked_at.is_some()
            && !stream.finished
            && !received
            && let Some(time) = first
            && stream.timer.is_none()
        {
            let event = Event::RouteTimeout {
                slot,
                stream: stream.exchange.id,
            };
            let timer = self.world.schedule(time, event);
            self.world.streams[slot].timer = Some(timer);
        }
    }

    /// The upstream has not answered in time, or not to its end.
    pub(crate) fn time_out(&mut self, slot: usize) -> Moved {
        let now = self.world.clock.now();
        let stream = &mut self.world.streams[slot];
        stream.timer = None;
        if stream.response.headers.is_some() && !stream.response.reading {
            return Ok(());
        }
        let [of_try, whole] = stream.ends_of_time();
        let is_of_try = whole.is_none_or(|whole| now < whole);
        if is_of_try && of_try.is_none_or(|of_try| now < of_try) {
            // There were headers in time for the try. From here on the whole counts.
            self.watch(slot);
            return Ok(());
        }
        if is_of_try && self.retry(slot, Try::Late)? {
            return Ok(());
        }
        let stream = &mut self.world.streams[slot];
        let details = timeout_details(is_of_try);
        stream.answer = None;
        stream
            .exchange
            .flags
            .set(ResponseFlags::UPSTREAM_REQUEST_TIMEOUT);
        stream.exchange.timeline.note("the route's timeout is over");
        if stream.headers_sent {
            stream.exchange.details = Some("response_timeout".into());
            return self.reset(slot);
        }
        let mut reply = Reply::own(504, "upstream request timeout", details);
        let (status, body) = (Rule::TimeoutHasAnotherStatus, Rule::TimeoutHasAnotherBody);
        self.garble(&mut reply, status, body, Rule::TimeoutHasNoDetails);
        self.send_local_reply(slot, reply)
    }
}

/// Whether a response without a body, over HTTP/2, is cut behind its headers: what comes is the reset then. A body behind
/// 204 and 304 makes Envoy do so.
fn cut_behind_headers(response: &mut Response, head: bool) -> bool {
    let cut = |piece: &Piece| match piece {
        Piece::Cut(failure) => Some(*failure),
        _ => None,
    };
    let bytes = |piece: &Piece| matches!(piece, Piece::Chunk(bytes) if !bytes.is_empty());
    let surplus = !head && response.pieces.iter().any(bytes);
    let failure = match response.pieces.iter().find_map(cut) {
        _ if surplus => UpstreamFailure::Malformed,
        Some(failure) => failure,
        None => return false,
    };
    response.pieces = vec![Piece::Cut(failure)];
    true
}

pub(crate) fn status(headers: &Headers) -> Option<u32> {
    let value = headers.get(":status")?;
    if let [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = value {
        let digit = |byte: &u8| u32::from(byte - b'0');
        return Some(digit(a) * 100 + digit(b) * 10 + digit(c));
    }
    // As `absl::SimpleAtoi` reads a number.
    str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

/// Whether a message is as long as it says.
fn has_declared_length(message: &Message) -> bool {
    message.headers().contains_key("content-length") && wrong_length("", message).is_none()
}

/// Envoy never corrects a `content-length`: the peer waits for the missing bytes, or takes the
/// surplus for the next message.
pub(crate) fn wrong_length(what: &str, message: &Message) -> Option<String> {
    let wrong = other_length(what, message)?;
    let status = status(message.headers()).and_then(|status| u16::try_from(status).ok());
    (!status.is_some_and(has_no_body)).then_some(wrong)
}

/// The same where no status makes the peer take a body for none: over HTTP/2.
pub(crate) fn other_length(what: &str, message: &Message) -> Option<String> {
    let declared = declared_length(message)?;
    let actual = length(message);
    if declared == actual {
        return None;
    }
    Some(format!(
        "the {what} declares `content-length: {declared}` and carries {actual} bytes; remove the \
         header in the headers callback before a body is changed"
    ))
}

/// Whether a message is longer than it says, whatever still comes.
pub(crate) fn exceeds_declared_length(message: &Message) -> bool {
    declared_length(message).is_some_and(|declared| length(message) > declared)
}

fn declared_length(message: &Message) -> Option<usize> {
    let declared = message.headers().get("content-length")?;
    str::from_utf8(declared).ok()?.parse().ok()
}

fn length(message: &Message) -> usize {
    message.chunks().iter().map(Vec::len).sum()
}
