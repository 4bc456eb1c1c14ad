//! What stands before the filters: Envoy's connection manager and codec, as far as filters and the
//! two peers see them.

mod resets;

use std::time::Duration;

use crate::abi::Direction;
use crate::agenda::Event;
use crate::arrival::{self, Piece};
use crate::calls::Pending;
use crate::codec::{self, Codec, refusal};
use crate::decimal;
use crate::envoy_version::VersionDifference;
use crate::error::HostError;
use crate::exchange::{DownstreamResponse, Message, Outcome};
use crate::filter_chain::Data;
use crate::headers::Headers;
use crate::known_difference::KnownDifference;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::request::Request;
use crate::response::has_no_body;
use crate::response_flags::ResponseFlags;
use crate::router::{
    are_unreadable, exceeds_declared_length, is_unreadable, other_length, status, wrong_length,
};
use crate::stream::{Reply, Routing, Stream};
use crate::tcp_streams::CloseType;
use crate::tunnel::is_upgrade;
use crate::upstream_failure::UpstreamFailure;
use crate::vm::Vm;

impl Proxy {
    /// The stream of a request that has arrived, before any filter has seen it.
    pub(crate) fn accept(&mut self, request: Request) -> usize {
        let whole = request.ends_with_headers();
        let version = self.world.version;
        let head = request.headers.get(":method") == Some(b"HEAD");
        let arrived = refusal::read(request.codec, request.headers, whole, version);
        let (is_absolute, closes) = (arrived.is_absolute, arrived.closes);
        let (mut headers, refusal) = match arrived.headers {
            Some(headers) => (headers, arrived.refused),
            None => (Headers::empty(), arrived.refused),
        };
        let unread = refusal.is_some_and(|refused| refused.protocol_error);
        // That comes before anything is added or taken out.
        let refused = refusal.is_some();
        if !refused {
            codec::strip_request(&mut headers, request.codec);
        }
        let endless = request.codec == Codec::Http1 && is_upgrade(&headers);
        let mut trailers = request.trailers;
        match request.codec {
            Codec::Http1 => trailers.iter_mut().for_each(Headers::trim),
            Codec::Http2 => trailers.iter_mut().for_each(codec::join_cookies),
        }
        // Envoy says 100 itself, before any filter, and nobody behind it is asked.
        let expected = headers.get("expect");
        if expected.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
            && !self.world.mutated(Rule::ExpectReachesFilters)
        {
            headers.remove(b"expect");
        }
        if !refused
            && headers
                .iter()
                .any(|(name, _)| name.starts_with(b"x-envoy-"))
            && !self.world.mutated(Rule::InternalHeadersStay)
        {
            codec::INTERNAL.iter().for_each(|name| headers.remove(name));
        }
        if !refused
            && !headers.contains_key("x-forwarded-proto")
            && !self.world.mutated(Rule::NoForwardedProto)
        {
            headers.add_own(b"x-forwarded-proto", b"http");
        }
        if !refused && !self.world.mutated(Rule::CertificatesAreForwarded) {
            headers.remove(b"x-forwarded-client-cert");
        }
        // Over HTTP/1.1 a target without a scheme has that of the proxy before.
        if request.codec == Codec::Http1
            && !refused
            && !is_absolute
            && headers
                .get("x-forwarded-proto")
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
            && !self.world.mutated(Rule::SchemeIsThatOfTheConnection)
        {
            headers.set(b":scheme", b"https");
        }
        let unnamed = headers.get("x-request-id").is_none_or(<[u8]>::is_empty);
        if !refused && unnamed && !self.world.mutated(Rule::NoRequestId) {
            let mut id = *b"00000000-0000-4000-8000-000000000000";
            decimal::fill_hexadecimal(&mut id[24..], self.world.next_number());
            headers.set_own(b"x-request-id", &id);
        }
        let content_type = headers.get("content-type").unwrap_or_default();
        let grpc =
            content_type == b"application/grpc" || content_type.starts_with(b"application/grpc+");
        let suffixed = content_type.starts_with(b"application/grpc+");
        let grpc = grpc && !(suffixed && self.world.mutated(Rule::GrpcHasOneType));
        let stays_open = closes && self.world.mutated(Rule::CloseIsNotHeard);
        let slot = self.world.open();
        let earlier = request.after.and_then(|id| self.world.find(id));
        let earlier = earlier.map(|slot| &self.world.streams[slot]);
        let connection = earlier.map(Stream::connection);
        let mut filter_state = request.filter_state;
        if let Some(earlier) = earlier {
            filter_state.inherit(&earlier.exchange.filter_state);
        }
        let end_with_data = match request.codec {
            Codec::Http1 => self.world.mutated(Rule::Http1EndsWithTheLastPiece),
            Codec::Http2 => !self.world.mutated(Rule::Http2EndsAfterTheLastPiece),
        };
        let now = self.world.clock.now();
        let first = endless && !self.world.mutated(Rule::UpgradeBringsNoPiece);
        let stream = &mut self.world.streams[slot];
        stream.exchange.filter_state = filter_state;
        let flow = &mut stream.request;
        flow.length_declared =
            request.codec == Codec::Http1 && headers.contains_key("content-length");
        flow.headers = (!unread).then_some(headers);
        flow.unread = arrival::arriving(request.pieces, now);
        flow.endless = endless;
        if first {
            Self::behind_upgrade(&mut flow.unread);
        }
        flow.length_declared &= !endless;
        flow.unread_trailers = trailers;
        flow.reading = endless || !whole;
        flow.end_with_data = end_with_data;
        stream.codec = request.codec;
        stream.refused = refusal;
        stream.closes = closes && !stays_open;
        stream.connection = connection;
        stream.dynamic_metadata = request.dynamic_metadata;
        stream.downstream = request.downstream;
        stream.started = now;
        stream.active_at = now;
        stream.head = head;
        stream.exchange.head = head;
        stream.grpc = grpc;
        slot
    }

    /// Answers a request whose target is none, before any filter sees it.
    pub(crate) fn refuse_target(&mut self, slot: usize) -> Result<bool, HostError> {
        let spared = self.world.mutated(Rule::RefusedRequestsAreNotGone);
        let stream = &mut self.world.streams[slot];
        let whole = !stream.request.reading;
        let http1 = stream.codec == Codec::Http1;
        let upgrades = &self.world.upgrades;
        let upgrade = || {
            let headers = stream.request.headers.as_ref()?;
            refusal::refused_upgrade(headers, http1, upgrades)
        };
        let refused = stream.refused.take().or_else(upgrade);
        let Some(refused) = refused else {
            return Ok(false);
        };
        if refused.protocol_error {
            stream
                .exchange
                .flags
                .set(ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR);
        }
        let Some(status) = refused.status else {
            stream.exchange.details = Some(refused.details.into());
            self.reset(slot)?;
            return Ok(true);
        };
        stream.routing = match refused.protocol_error {
            true => Routing::Nothing,
            false if refused.details == refusal::NO_UPGRADE => Routing::Route,
            false => Routing::VirtualHost,
        };
        let closes = refused.closes || !whole;
        stream.request.observed_end |= !closes;
        // The codec waits for the rest of a body.
        stream.is_gone_below = closes && whole && !spared;
        stream.request.aborted = true;
        stream.exchange.details = Some(refused.details.into());
        let reply = Reply::own(status, refused.body, refused.details);
        self.reply_directly(slot, &reply)?;
        Ok(true)
    }

    /// Reads what a peer has sent, until a filter or a watermark stops it.
    pub(crate) fn read_on(&mut self, slot: usize, direction: Direction) -> Moved {
        let moved = self.read_pieces(slot, direction);
        self.world.streams[slot].arriving = false;
        moved
    }

    fn read_pieces(&mut self, slot: usize, direction: Direction) -> Moved {
        let limit = self.world.buffer_limit_of(slot);
        if self.world.streams[slot].flow(direction).aborted {
            return self.discard(slot, direction);
        }
        let (mut first, mut notifications) = (true, 0);
        while !self.world.streams[slot].finished
            && self.world.streams[slot].flow(direction).can_read(limit)
        {
            // Pieces come one by one, so that what is posted comes between them; a body of a declared
            // length comes with its end, and the first piece with the headers.
            self.world.streams[slot].arriving = false;
            let together = std::mem::take(&mut first)
                || self.world.streams[slot].flow(direction).length_declared
                || (self.world.shared_queues.wait() && self.world.mutated(Rule::QueuesAreToldLast));
            if !together && self.notify_posted(&mut notifications)? {
                continue;
            }
            // The connection is there before the next piece.
            if !together && self.refuse_unacceptable(slot)? {
                return self.discard(slot, direction);
            }
            let stream = &mut self.world.streams[slot];
            stream.arriving = direction == Direction::Request;
            let flow = stream.flow(direction);
            let Some(piece) = flow.unread.pop_front() else {
                flow.reading = false;
                flow.observed_end = true;
                match flow.unread_trailers.take() {
                    Some(trailers) => match self.refused_trailers(slot, direction, &trailers) {
                        Some(details) => self.break_off(slot, details)?,
                        None => {
                            self.world.streams[slot].flow(direction).trailers = Some(trailers);
                            self.trailers(slot, direction, None)?;
                        }
                    },
                    None => self.data(slot, direction, None, Data::Fresh(Vec::new()), true)?,
                }
                continue;
            };
            match piece {
                Piece::Chunk(chunk) => {
                    if direction == Direction::Request {
                        stream.active_at = self.world.clock.now();
                        stream.request_bytes += chunk.len() as u64;
                    }
                    let flow = stream.flow(direction);
                    let end = flow.end_with_data
                        && flow.unread.is_empty()
                        && flow.unread_trailers.is_none();
                    flow.reading = !end;
                    self.data(slot, direction, None, Data::Fresh(chunk), end)?;
                }
                Piece::Pause(_) => {}
                Piece::Until(time) => self.wait_for_peer(slot, direction, time),
                Piece::Stall => flow.waiting = true,
                Piece::Cut(_) if direction == Direction::Request => self.disconnect(slot)?,
                Piece::Cut(UpstreamFailure::Closed) if flow.endless => self.close_tunnel(slot)?,
                Piece::Cut(UpstreamFailure::Closed) if self.upstream_codec == Codec::Http1 => {
                    // HTTP/1.1 has no word for it: its codec takes the end for a broken message.
                    self.upstream_failed(slot, UpstreamFailure::Malformed)?;
                }
                Piece::Cut(failure) => self.upstream_failed(slot, failure)?,
            }
        }
        Ok(())
    }

    /// Reads what is left of a message that was answered already, for nobody; of an answer nothing, since
    /// the upstream was left.
    fn discard(&mut self, slot: usize, direction: Direction) -> Moved {
        let now = self.world.clock.now();
        if direction == Direction::Response {
            let flow = self.world.streams[slot].flow(direction);
            flow.reading = false;
            flow.unread.clear();
            flow.unread_trailers = None;
            flow.observed_end = true;
            return Ok(());
        }
        while !self.world.streams[slot].finished && !self.world.streams[slot].request.waiting {
            let stream = &mut self.world.streams[slot];
            let Some(piece) = stream.request.unread.pop_front() else {
                stream.request.reading = false;
                stream.request.unread_trailers = None;
                stream.request.observed_end = true;
                return Ok(());
            };
            match piece {
                Piece::Chunk(chunk) => {
                    stream.active_at = now;
                    stream.request_bytes += chunk.len() as u64;
                }
                Piece::Pause(_) => {}
                Piece::Until(time) => self.wait_for_peer(slot, direction, time),
                Piece::Stall => stream.request.waiting = true,
                Piece::Cut(_) => return self.disconnect(slot),
            }
        }
        Ok(())
    }

    /// Reads no further until a time, unless it is over.
    fn wait_for_peer(&mut self, slot: usize, direction: Direction, time: Duration) {
        if time <= self.world.clock.now() {
            let id = self.world.streams[slot].exchange.id;
            self.world.came_unread(id, time);
            return;
        }
        let stream = &mut self.world.streams[slot];
        stream.flow(direction).waiting = true;
        let event = Event::Arrival {
            slot,
            stream: stream.exchange.id,
            direction,
        };
        self.world.schedule(time, event);
    }

    /// Nothing has moved on a stream for too long: a reply, or a cut where the response has begun.
    pub(crate) fn end_idle(&mut self, slot: usize) -> Moved {
        let stream = &mut self.world.streams[slot];
        stream.active_at = self.world.clock.now();
        let exchange = &mut stream.exchange;
        exchange.timeline.note("nothing has moved for too long");
        exchange.flags.set(ResponseFlags::STREAM_IDLE_TIMEOUT);
        let status = if stream.request.observed_end {
            504
        } else {
            408
        };
        let reply = Reply::own(status, "stream timeout", "stream_idle_timeout");
        self.send_local_reply(slot, reply)
    }

    /// Response headers have passed every filter.
    pub(crate) fn send_headers(&mut self, slot: usize, end: bool) -> Moved {
        let headers = self.world.streams[slot].response.headers.as_ref();
        if headers.and_then(status).is_none() {
            let why = "missing required header: :status";
            let details = format!(
                "filter_removed_required_response_headers{{{}}}",
                why.replace(' ', "_")
            );
            let mut reply = Reply::own(502, why, details);
            let (status, body) = (Rule::NoStatusHasAnotherStatus, Rule::NoStatusHasAnotherBody);
            self.garble(&mut reply, status, body, Rule::NoStatusHasNoDetails);
            self.world.streams[slot].overtaken = self.world.is_overtaken(slot);
            return self.send_local_reply(slot, reply);
        }
        self.write_headers(slot, end)
    }

    /// The codec writes the headers of whatever response it is.
    pub(crate) fn write_headers(&mut self, slot: usize, end: bool) -> Moved {
        let stream = &self.world.streams[slot];
        let crashes = stream.closed_below && stream.codec == Codec::Http1 && end;
        if crashes && !self.world.mutated(Rule::ReplyBehindACloseIsSurvived) {
            return Err(HostError::EnvoyWouldCrash {
                call: "proxy_send_local_response".to_owned(),
                why: "may not be called without a body when a stream is over that was closed in a request \
                      callback; reply instead of closing it"
                    .to_owned(),
                timeline: self.timeline(Some(slot)),
            });
        }
        if stream.abandoned || stream.closed_below {
            let stream = &mut self.world.streams[slot];
            stream.headers_sent |= stream.logs;
            return Ok(());
        }
        let date = self.world.last_date.at(self.world.clock);
        let envoy = self.world.version;
        let hops_stay = self.world.mutated(Rule::ResponseKeepsHopByHopHeaders);
        let dated = !self.world.mutated(Rule::ResponseHasNoDate);
        let served = !self.world.mutated(Rule::ResponseHasNoServer);
        let stream = &self.world.streams[slot];
        let named = stream
            .response
            .headers
            .as_ref()
            .is_some_and(|headers| headers.contains_key("server"));
        let server_stays = named && self.world.mutated(Rule::ResponseKeepsItsServer);
        let unread = !stream.request.observed_end;
        let closes = !(unread && self.world.mutated(Rule::UnreadRequestDoesNotClose));
        let sized = !self.world.mutated(Rule::EmptyResponseHasNoLength);
        let coded = !self.world.mutated(Rule::ChunksAreNotDeclared);
        let stream = &mut self.world.streams[slot];
        let Some(headers) = &mut stream.response.headers else {
            return Ok(());
        };
        let asked = stream.request.headers.as_ref().is_some_and(is_upgrade);
        let upgraded = is_upgrade(headers);
        if !hops_stay {
            codec::strip_response(headers, stream.codec, envoy, asked && upgraded);
        }
        if dated && !headers.contains_key("date") {
            headers.add_own(b"date", &date);
        }
        if served && !(server_stays && headers.contains_key("server")) {
            headers.set_own(b"server", b"envoy");
        }
        let http1 = stream.codec == Codec::Http1;
        if http1
            && !is_upgrade(headers)
            && (unread && closes || stream.is_malformed || stream.closes)
        {
            // HTTP/1.1 cannot tell the rest of the request from the next one, and Envoy takes whatever
            // it answers 400 for such a request. A client may ask for it, too.
            headers.set_own(b"connection", b"close");
        }
        stream.headers_sent = true;
        stream.active_at = self.world.clock.now();
        let code = status(headers);
        stream.response_code = code;
        let mut sent = headers.clone();
        if !http1 && envoy.is_before(VersionDifference::CookiesStayApart) {
            codec::gather_cookies(&mut sent);
        }
        if http1 && !sent.contains_key("content-length") {
            let bodiless = code.is_some_and(|code| has_no_body(code.try_into().unwrap_or(0)));
            // A response to HEAD says how its body would come.
            match end && !stream.head {
                true if !bodiless && sized => sent.add(b"content-length", b"0"),
                false if !bodiless && coded => sent.add(b"transfer-encoding", b"chunked"),
                _ => {}
            }
        }
        let unreadable = is_unreadable(&sent, stream.codec);
        let broken = http1 && sent.iter().any(|(_, value)| value.contains(&b'\n'));
        let timeline = &mut stream.exchange.timeline;
        timeline.note_code("response headers go downstream: ", code);
        stream.exchange.response = Some(DownstreamResponse {
            message: Message::new(sent),
        });
        if unreadable {
            self.world
                .comes_to(Some(slot), KnownDifference::UnreadableMessage);
        }
        if broken {
            self.world
                .comes_to(Some(slot), KnownDifference::ResponseLineBreaks);
        }
        let ends = end && !self.world.streams[slot].overtaken;
        if ends { self.complete(slot) } else { Ok(()) }
    }

    pub(crate) fn send_data(&mut self, slot: usize, bytes: Vec<u8>, end: bool) -> Moved {
        let bodied = self.world.mutated(Rule::HeadIsAnsweredWithABody);
        let stream = &mut self.world.streams[slot];
        if stream.abandoned {
            return Ok(());
        }
        stream.active_at = self.world.clock.now();
        if stream.overtaken && end {
            let note = "the body of a reply comes behind the end of another response";
            stream.exchange.timeline.note(note);
            stream.exchange.response = None;
            return self.finish(slot, Outcome::Reset);
        }
        // To HEAD the codec of HTTP/1.1 writes no body, that of HTTP/2 any.
        let of_head = stream.head && !bytes.is_empty();
        if let Some(response) = &mut stream.exchange.response
            && (!of_head || stream.codec == Codec::Http2 || bodied)
        {
            response.message.push(bytes);
        }
        if of_head && stream.codec == Codec::Http2 {
            self.world
                .comes_to(Some(slot), KnownDifference::UnreadableMessage);
        }
        if end {
            return self.complete(slot);
        }
        // The client has all that it waits for, though a filter may hold the end.
        match &self.world.streams[slot].exchange.response {
            Some(it) if exceeds_declared_length(&it.message) => self.look_at_response_length(slot),
            _ => Ok(()),
        }
    }

    pub(crate) fn send_trailers(&mut self, slot: usize) -> Moved {
        if self.world.streams[slot].abandoned {
            return Ok(());
        }
        let mutated = self
            .world
            .mutated(Rule::ResponseTrailersAreCarriedOtherwise);
        let stream = &mut self.world.streams[slot];
        if let Some(response) = &mut stream.exchange.response
            && (stream.codec.carries_trailers(&response.message)
                && !(stream.head && stream.codec == Codec::Http1))
                != mutated
        {
            response
                .message
                .trailers
                .clone_from(&stream.response.trailers);
            let trailers = &response.message.trailers;
            let codec = stream.codec;
            if trailers
                .as_ref()
                .is_some_and(|all| are_unreadable(all, codec))
            {
                self.world
                    .comes_to(Some(slot), KnownDifference::UnreadableMessage);
            }
        } else {
            let note = "the response has a content-length, so its trailers are dropped";
            stream.exchange.timeline.note(note);
        }
        self.complete(slot)
    }

    /// A response that is not as long as it declares ends the exchange: see [`wrong_length`].
    fn look_at_response_length(&self, slot: usize) -> Moved {
        let stream = &self.world.streams[slot];
        let look = match stream.codec {
            Codec::Http1 => wrong_length,
            Codec::Http2 => other_length,
        };
        if let Some(response) = &stream.exchange.response
            && !stream.head
            && (stream.codec == Codec::Http1 || !matches!(stream.response_code, Some(204 | 304)))
            && let Some(why) = look("response", response)
            && !self.world.mutated(Rule::ResponseLengthIsNotLookedAt)
        {
            return Err(HostError::BodyLength {
                why,
                timeline: stream.exchange.timeline.clone(),
            });
        }
        Ok(())
    }

    /// Downstream has the whole response.
    pub(crate) fn complete(&mut self, slot: usize) -> Moved {
        let stream = &mut self.world.streams[slot];
        if stream.finished && !stream.abandoned {
            stream.exchange.outcome = Outcome::Completed;
        }
        self.look_at_response_length(slot)?;
        self.finish(slot, Outcome::Completed)
    }

    /// The connection is cut.
    pub(crate) fn reset(&mut self, slot: usize) -> Moved {
        if self.world.streams[slot].tcp.is_some() {
            return self.close_connection(slot, CloseType::Local, Outcome::Reset);
        }
        if self.world.streams[slot].overtaken {
            // All of the other reply is written.
            return self.complete(slot);
        }
        self.finish(slot, Outcome::Reset)
    }

    fn finish(&mut self, slot: usize, outcome: Outcome) -> Moved {
        let stream = &mut self.world.streams[slot];
        if std::mem::replace(&mut stream.finished, true) {
            return Ok(());
        }
        stream.exchange.timeline.note(match outcome {
            Outcome::Completed => "the stream is complete",
            _ => "the stream is reset",
        });
        let reset = outcome == Outcome::Reset;
        stream.exchange.outcome = outcome;
        stream.answered = stream.headers_sent;
        stream.response.open_behind_the_end =
            reset && stream.response.headers.is_some() && !stream.overtaken;
        stream.codec_knows_its_end = !stream.abandoned;
        self.leave_upstream(slot);
        let none = || u32::from(self.world.mutated(Rule::NoResponseHasACode));
        let code = self.world.streams[slot].response_code.unwrap_or_else(none);
        let stream = &mut self.world.streams[slot];
        stream.exchange.response_code = code;
        // A reply that waits for the end of a request callback is made all the same: see `left`.
        if !stream.request.in_callback {
            stream.prepared = None;
        }
        let id = stream.exchange.id;
        let made_here = |call: &Pending| call.maker == Some((slot, id));
        let waits = |vm: &mut Vm| vm.state().calls.pending.values().any(made_here);
        if self.world.mutator.is_some()
            && self.vms.iter_mut().any(waits)
            && self.world.mutated(Rule::CallsEndWithTheirStream)
        {
            for vm in &mut self.vms {
                vm.state().calls.pending.retain(|_, call| !made_here(call));
            }
        }
        let stream = &mut self.world.streams[slot];
        if let Some(timer) = stream.timer.take() {
            self.world.cancel(timer);
        }
        let moved = self.end_contexts(slot);
        for direction in [Direction::Request, Direction::Response] {
            self.world.streams[slot].flow(direction).open_behind_the_end = false;
        }
        moved
    }
}
