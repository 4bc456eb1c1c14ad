//! Replies that Envoy makes itself: for a guest, after a failure, at a limit.

use crate::abi::Direction;
use crate::codec::Codec;
use crate::exchange::LocalReply;
use crate::filter_chain::Data;
use crate::headers::{Headers, Kind};
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::stream::Reply;
use crate::world::World;

impl World {
    /// Whether a response that takes the place of a reply on its way is over later: HTTP/1 ends the stream as soon as
    /// it is written, HTTP/2 when the frames are sent, which waits for what the client has sent to be read. Until
    /// then the body of the reply goes on to the filters.
    pub(crate) fn is_overtaken(&self, slot: usize) -> bool {
        let stream = &self.streams[slot];
        stream.reply_has_body
            && stream.codec == Codec::Http2
            && stream.request.observed_end
            && (stream.arriving || self.mutated(Rule::ReplacedReplyNeverEndsAtOnce))
            && !self.mutated(Rule::ReplacedReplyIsOverAtOnce)
    }

    /// Notes a reply. One to a stream whose request callback runs is made when that has returned, and
    /// a second one then never; any other is handed back, to be made at once.
    pub(crate) fn prepare(&mut self, slot: usize, reply: Reply) -> Option<Reply> {
        let stream = &mut self.streams[slot];
        if stream.prepared.is_some() {
            let what = format!("a second local reply, {}, is ignored", reply.status);
            stream.exchange.timeline.note(what.clone());
            // Envoy notes the details before it looks whether there is a reply.
            if !self.mutated(Rule::SecondReplyHasNoDetails) {
                let stream = &mut self.streams[slot];
                stream.exchange.details = Some(reply.details.clone().into());
            }
            if self.mutated(Rule::SecondReplyWins) {
                let stream = &mut self.streams[slot];
                stream.prepared = Some(reply.clone());
            }
            if let Some(plugin) = reply.plugin {
                self.lint(Some(slot), plugin, LintKind::SecondLocalReply, what);
            }
            return None;
        }
        stream.abort_callback();
        stream.exchange.details = Some(reply.details.clone().into());
        stream.exchange.local_reply = Some(LocalReply {
            status: reply.status,
            body: reply.body.clone(),
            details: reply.details.clone(),
            plugin: reply
                .plugin
                .map(|plugin| self.plugins[plugin].name.to_string()),
        });
        if stream.response.headers.is_none() && stream.request.in_callback {
            let note = format!("local reply {} ({})", reply.status, reply.details);
            stream.exchange.timeline.note(note);
            stream.response_code = Some(reply.status);
            stream.prepared = Some(reply);
            return None;
        }
        Some(reply)
    }
}

impl Proxy {
    /// Makes a reply, in the way that the state of the response leaves open: through the filters'
    /// response callbacks, directly, or not at all by cutting the connection.
    pub(crate) fn send_local_reply(&mut self, slot: usize, reply: Reply) -> Moved {
        if let Some(bare) = &mut self.world.streams[slot].bare {
            bare.note(reply);
            return Ok(());
        }
        if self.world.streams[slot].is_answered_behind_a_reset() {
            return self.reply_behind_a_reset(slot, reply);
        }
        let Some(reply) = self.world.prepare(slot, reply) else {
            return Ok(());
        };
        let stream = &mut self.world.streams[slot];
        if stream.response.headers.is_none() {
            stream
                .exchange
                .timeline
                .note(format!("local reply {} ({})", reply.status, reply.details));
            return self.reply_through_chain(slot, reply);
        }
        if stream.headers_sent {
            let note = format!(
                "local reply {} comes too late, the connection is cut",
                reply.status
            );
            stream.exchange.timeline.note(note.clone());
            if let Some(plugin) = reply.plugin {
                self.world
                    .lint(Some(slot), plugin, LintKind::LateLocalReply, note);
            }
            if self.world.mutated(Rule::LateReplyIsIgnored) {
                return Ok(());
            }
            return self.reset(slot);
        }
        let note = format!(
            "local reply {} replaces the response ({})",
            reply.status, reply.details
        );
        stream.exchange.timeline.note(note);
        self.world.streams[slot].overtaken |= self.world.is_overtaken(slot);
        self.reply_directly(slot, &reply)
    }

    /// The reply goes past the filters that have seen the request.
    pub(crate) fn reply_through_chain(&mut self, slot: usize, reply: Reply) -> Moved {
        self.look_for_a_route_again(slot);
        let stream = &mut self.world.streams[slot];
        stream.upstream_left = reply.plugin.is_some() && stream.exchange.upstream.is_some();
        self.leave_upstream(slot);
        if self.world.mutated(Rule::ReplyPassesNoFilter) {
            self.world.streams[slot].request.aborted = true;
            return self.reply_directly(slot, &reply);
        }
        let (headers, body) = self.compose(slot, &reply);
        let closed = self.world.mutated(Rule::RepliedRequestsAreNotResumed);
        let stream = &mut self.world.streams[slot];
        stream.request.aborted |= closed;
        stream.response.headers = Some(headers);
        stream.response_code = Some(reply.status);
        let from = self.behind_own(slot, &reply);
        let ends_later = body.is_empty() && self.world.mutated(Rule::EmptyReplyHasABodyCallback);
        self.world.streams[slot].reply_has_body = !body.is_empty();
        self.headers(
            slot,
            Direction::Response,
            from,
            body.is_empty() && !ends_later,
        )?;
        let stream = &mut self.world.streams[slot];
        // Until the reply's end nothing keeps a filter from resuming a request whose callback did not reply.
        stream.request.aborted = true;
        let aborted = stream.response.aborted && !stream.overtaken;
        if (body.is_empty() && !ends_later) || stream.finished || aborted {
            return Ok(());
        }
        let body = Data::Fresh(body);
        if self.world.mutated(Rule::ReplyBodyEndsLater) {
            self.data(slot, Direction::Response, from, body, false)?;
            let nothing = Data::Fresh(Vec::new());
            return self.data(slot, Direction::Response, from, nothing, true);
        }
        self.data(slot, Direction::Response, from, body, true)?;
        let stream = &self.world.streams[slot];
        if stream.overtaken && !stream.finished {
            // A filter holds the body back, or asked for the other reply: what was written is all there is.
            return self.complete(slot);
        }
        Ok(())
    }

    /// A reply of a filter that is told that its stream is over, where that was reset before anything was answered.
    ///
    /// Envoy does not look whether the stream is: the reply goes past the filters, whose contexts may be deleted,
    /// behind the request callback in which the stream was closed, or at once.
    fn reply_behind_a_reset(&mut self, slot: usize, reply: Reply) -> Moved {
        if self.world.mutated(Rule::ReplyBehindAResetIsNone) {
            return Ok(());
        }
        let waits = !self.world.mutated(Rule::ReplyBehindAResetDoesNotWait);
        let stream = &mut self.world.streams[slot];
        let in_request = stream.request.in_callback && waits;
        stream.request.aborted |= in_request;
        stream.response.aborted |= stream.response.in_callback && !in_request;
        match stream.logs {
            true => stream.exchange.details = Some(reply.details.clone().into()),
            false => stream.late_details = Some(reply.details.clone()),
        }
        if stream.headers_sent {
            // That is one more reset.
            return match stream.survives_a_close() {
                true => Ok(()),
                false => Err(self.ended_twice(slot, "proxy_send_local_response")),
            };
        }
        if stream.response.headers.is_some() {
            stream.response_code = Some(reply.status);
            // What the log replied goes on to the filter that is next, as over HTTP/2.
            stream.overtaken |= stream.logs && stream.reply_has_body && stream.response.in_callback;
            self.reply_directly(slot, &reply)?;
            let stream = &mut self.world.streams[slot];
            if stream.logs {
                stream.exchange.response_code = stream.response_code.unwrap_or(0);
            }
            return Ok(());
        }
        if stream.logs && stream.prepared.is_none() {
            stream.exchange.response_code = reply.status;
        }
        if !in_request {
            return self.answer_behind_a_reset(slot, &reply);
        }
        if stream.prepared.is_none() {
            stream.prepared = Some(reply);
        }
        Ok(())
    }

    /// The filters see the headers of such a reply. Its body is only sent by the log: Envoy looks before it whether they
    /// are there still.
    pub(crate) fn answer_behind_a_reset(&mut self, slot: usize, reply: &Reply) -> Moved {
        let (headers, body) = self.compose(slot, reply);
        let stream = &mut self.world.streams[slot];
        let note = format!("local reply {} to a stream that was reset", reply.status);
        stream.exchange.timeline.note(note);
        stream.response.headers = Some(headers);
        stream.response_code = Some(reply.status);
        // The end that a close has told of is what is left to resume.
        stream.response.observed_end |= !stream.abandoned;
        stream.response.open_behind_the_end = true;
        stream.reply_has_body = stream.logs && !body.is_empty();
        let lost = !stream.logs || self.world.mutated(Rule::ReplyOfTheLogHasNoBody);
        self.headers(slot, Direction::Response, None, body.is_empty())?;
        if lost || body.is_empty() {
            return Ok(());
        }
        self.data(slot, Direction::Response, None, Data::Fresh(body), true)?;
        if std::mem::take(&mut self.world.streams[slot].overtaken) {
            return self.complete(slot);
        }
        Ok(())
    }

    /// From where a reply goes, for a host that does not show it to the filter that made it.
    fn behind_own(&self, slot: usize, reply: &Reply) -> Option<usize> {
        let plugin = reply.plugin?;
        let filters = &self.world.streams[slot].filters;
        let maker = filters
            .iter()
            .rev()
            .position(|filter| filter.plugin == plugin);
        maker.filter(|_| self.world.mutated(Rule::ReplyPassesOwnFilter))
    }

    pub(crate) fn reply_directly(&mut self, slot: usize, reply: &Reply) -> Moved {
        self.leave_upstream(slot);
        let (headers, body) = self.compose(slot, reply);
        let kept = !self.world.mutated(Rule::ReplacedTrailersAreGone);
        let stream = &mut self.world.streams[slot];
        // Filters that have the response's headers in view keep those.
        stream.response.overwritten = stream.response.headers.replace(headers);
        for filter in &mut stream.filters {
            filter.response.sees_overwritten = filter.response.headers_visible;
        }
        stream.response.overwritten_trailers = stream.response.trailers.take().filter(|_| kept);
        let seen = std::mem::replace(&mut stream.response.observed_end, true);
        stream.request.open_behind_the_end = !seen;
        self.write_headers(slot, body.is_empty())?;
        let stream = &self.world.streams[slot];
        let filters_are_gone = stream.finished && !stream.logs;
        if body.is_empty() || filters_are_gone {
            Ok(())
        } else {
            let end = !self.world.streams[slot].overtaken;
            self.send_data(slot, body, end)
        }
    }

    /// More was held back than the buffer limit allows.
    pub(crate) fn buffer_overflow(&mut self, slot: usize, direction: Direction) -> Moved {
        let mut reply = match direction {
            Direction::Request => Reply::own(413, "Payload Too Large", "request_payload_too_large"),
            Direction::Response => {
                Reply::own(500, "Internal Server Error", "response_payload_too_large")
            }
        };
        let (status, body, details) = match direction {
            Direction::Request => (
                Rule::RequestOverflowHasAnotherStatus,
                Rule::RequestOverflowHasAnotherBody,
                Rule::RequestOverflowHasNoDetails,
            ),
            Direction::Response => (
                Rule::ResponseOverflowHasAnotherStatus,
                Rule::ResponseOverflowHasAnotherBody,
                Rule::ResponseOverflowHasNoDetails,
            ),
        };
        self.garble(&mut reply, status, body, details);
        self.send_local_reply(slot, reply)
    }

    /// Makes a reply of Envoy's own another.
    pub(crate) fn garble(&self, reply: &mut Reply, status: Rule, body: Rule, details: Rule) {
        if self.world.mutated(status) {
            reply.status += 1;
        }
        if self.world.mutated(body) {
            reply.body.push(b'.');
        }
        if self.world.mutated(details) {
            reply.details.clear();
        }
    }

    fn compose(&mut self, slot: usize, reply: &Reply) -> (Headers, Vec<u8>) {
        let closes = reply.status == 400 && !self.world.mutated(Rule::BadRequestDoesNotClose);
        let stream = &mut self.world.streams[slot];
        stream.is_malformed |= closes;
        let (mut headers, mut body) = compose(reply, stream.grpc, stream.head);
        if self.world.mutator.is_some() {
            self.break_reply(slot, reply, &mut headers, &mut body);
        }
        (headers, body)
    }

    /// What the rules of a reply would make of it if they were others.
    fn break_reply(&self, slot: usize, reply: &Reply, headers: &mut Headers, body: &mut Vec<u8>) {
        let stream = &self.world.streams[slot];
        let mutated = |rule| self.world.mutated(rule);
        let given = |name: &[u8]| {
            let mut given = reply.headers.iter().rev();
            given
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        };
        if let Some(status) = given(b":status").filter(|_| mutated(Rule::ReplyTakesAGivenStatus)) {
            headers.set(b":status", status);
        }
        if reply.status < 200 && mutated(Rule::ReplyStatusIsChecked) {
            headers.set(b":status", b"500");
        }
        if reply.headers.len() > 1 && mutated(Rule::ReplyHeadersAreReversed) {
            let pairs: Vec<_> = reply.headers.iter().rev().cloned().collect();
            pairs.iter().for_each(|(name, _)| headers.remove(name));
            pairs
                .iter()
                .for_each(|(name, value)| headers.add_line(name, value));
        }
        if stream.grpc {
            self.break_grpc_reply(reply, headers);
            return;
        }
        if stream.head && mutated(Rule::ReplyToHeadHasABody) {
            body.clone_from(&reply.body);
        }
        if reply.body.is_empty() {
            if let Some(given) =
                given(b"content-type").filter(|_| mutated(Rule::EmptyReplyKeepsItsType))
            {
                headers.set(b"content-type", given);
            }
            return;
        }
        let length = given(b"content-length");
        if let Some(length) = length.filter(|_| mutated(Rule::ReplyKeepsAGivenLength)) {
            headers.set(b"content-length", length);
        }
        if mutated(Rule::ReplyHasNoLength) {
            headers.remove(b"content-length");
        }
        match given(b"content-type") {
            Some(_) if mutated(Rule::ReplyTypeIsOverwritten) => {
                headers.set(b"content-type", b"text/plain")
            }
            None if mutated(Rule::ReplyHasNoType) => headers.remove(b"content-type"),
            _ => {}
        }
    }

    fn break_grpc_reply(&self, reply: &Reply, headers: &mut Headers) {
        let mutated = |rule| self.world.mutated(rule);
        if mutated(Rule::GrpcReplyHasTheStatus) {
            headers.set(b":status", reply.status.to_string().as_bytes());
        }
        if mutated(Rule::GrpcReplyHasAnotherType) {
            headers.set(b"content-type", b"text/plain");
        }
        let own = reply.grpc_status;
        if let Some(status) = own.filter(|_| mutated(Rule::GrpcReplyDropsAGivenStatus)) {
            headers.set(b"grpc-status", status.to_string().as_bytes());
        }
        if reply.grpc_status.is_some() && mutated(Rule::GrpcReplyStatusIsDerived) {
            let status = grpc_status_of(reply.status);
            headers.set(b"grpc-status", status.to_string().as_bytes());
        }
        if reply.grpc_status.is_none() && mutated(Rule::GrpcStatusIsUnknown) {
            headers.set(b"grpc-status", b"2");
        }
        if headers.contains_key("grpc-message") && mutated(Rule::GrpcMessageIsNotEncoded) {
            headers.set(b"grpc-message", &reply.body);
        }
        if mutated(Rule::GrpcReplyHasNoMessage) {
            headers.remove(b"grpc-message");
        }
    }
}

/// Headers and body of a reply. A `:status` of the guest's own is ignored, a `content-length`
/// recomputed, a `content-type` kept where there is a body, and a `grpc-status` where gRPC is answered.
fn compose(reply: &Reply, grpc: bool, head: bool) -> (Headers, Vec<u8>) {
    let mut headers = Headers::new(Kind::Response);
    headers.add(b":status", reply.status.to_string().as_bytes());
    for (name, value) in &reply.headers {
        if !name.eq_ignore_ascii_case(b":status") {
            headers.add(name, value);
        }
    }
    if grpc {
        headers.set(b":status", b"200");
        headers.set(b"content-type", b"application/grpc");
        let given = headers.get("grpc-status").unwrap_or_default();
        if given.is_empty() {
            let status = reply
                .grpc_status
                .unwrap_or_else(|| grpc_status_of(reply.status));
            headers.set(b"grpc-status", status.to_string().as_bytes());
        }
        if !reply.body.is_empty() && !head {
            headers.set(b"grpc-message", &percent_encode(&reply.body));
        }
        headers.remove(b"content-length");
        return (headers, Vec::new());
    }
    if reply.body.is_empty() {
        headers.remove(b"content-length");
        headers.remove(b"content-type");
        return (headers, Vec::new());
    }
    headers.set(b"content-length", reply.body.len().to_string().as_bytes());
    if !headers.contains_key("content-type") {
        headers.add(b"content-type", b"text/plain");
    }
    (headers, if head { Vec::new() } else { reply.body.clone() })
}

/// The gRPC status of an HTTP status ([the mapping of gRPC]).
///
/// [the mapping of gRPC]: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
pub(crate) fn grpc_status_of(status: u32) -> u32 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// gRPC's `Percent-Encoded`: everything but printable ASCII, and `%`.
fn percent_encode(text: &[u8]) -> Vec<u8> {
    text.iter()
        .fold(Vec::with_capacity(text.len()), |mut encoded, byte| {
            match byte {
                b' '..=b'~' if *byte != b'%' => encoded.push(*byte),
                _ => encoded.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            }
            encoded
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(body: &str, headers: &[(&str, &str)], grpc: bool) -> String {
        let mut reply = Reply::own(403, body, "why");
        reply.headers = headers
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect();
        let (headers, body) = compose(&reply, grpc, false);
        format!("{headers:?} {}", body.escape_ascii())
    }

    #[test]
    fn a_body_gets_its_length_and_a_type_unless_the_guest_gave_one() {
        let headers = [
            ("X-A", "1"),
            (":status", "200"),
            ("content-length", "99"),
            ("x-a", "2"),
        ];
        assert_eq!(
            composed("no\n", &headers, false),
            r#"[(":status", "403"), ("x-a", "1"), ("content-length", "3"), ("x-a", "2"), ("content-type", "text/plain")] no\n"#
        );
        let own = composed("{}", &[("content-type", "application/json")], false);
        assert_eq!(
            own,
            r#"[(":status", "403"), ("content-type", "application/json"), ("content-length", "2")] {}"#
        );
    }

    #[test]
    fn an_empty_reply_has_neither_length_nor_type() {
        assert_eq!(
            composed("", &[("content-type", "text/html")], false),
            r#"[(":status", "403")] "#
        );
    }

    #[test]
    fn a_grpc_request_is_answered_in_headers_only() {
        assert_eq!(
            composed("50% ü", &[], true),
            r#"[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "7"), ("grpc-message", "50%25 %C3%BC")] "#
        );
    }
}
