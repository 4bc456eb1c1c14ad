//! What stands before and behind the filters: Envoy's connection manager, router and codec, as far
//! as filters and the two peers see them.

use std::collections::VecDeque;

use crate::abi::Direction;
use crate::agenda::Event;
use crate::codec::{self, Codec};
use crate::error::HostError;
use crate::exchange::{DownstreamResponse, Message, Outcome, UpstreamRequest};
use crate::filter_chain::Data;
use crate::headers::Headers;
use crate::proxy::{Moved, Proxy};
use crate::request::Request;
use crate::response::has_no_body;
use crate::stream::{Flow, Reply, Stream};

/// The response flags `NR` and `DPE` as bits.
const NO_ROUTE: u64 = 1 << 8;
const DOWNSTREAM_PROTOCOL_ERROR: u64 = 1 << 18;

impl Proxy {
    /// The stream of a request that has arrived, before any filter has seen it.
    pub(crate) fn accept(&self, request: Request) -> Stream {
        let reading = !request.ends_with_headers();
        let mut headers = codec::arrived(request.codec, request.headers);
        if !headers.contains_key("x-forwarded-proto") {
            headers.add(b"x-forwarded-proto", b"http");
        }
        if !headers.contains_key("x-request-id") {
            let number = self.world.next_number();
            headers.add(
                b"x-request-id",
                format!("00000000-0000-4000-8000-{number:012x}").as_bytes(),
            );
        }
        let content_type = headers.get("content-type").unwrap_or_default();
        let grpc =
            content_type == b"application/grpc" || content_type.starts_with(b"application/grpc+");
        let head = headers.get(":method") == Some(b"HEAD");
        Stream {
            request: Flow {
                headers: Some(headers),
                unread: VecDeque::from(request.chunks),
                unread_trailers: request.trailers,
                reading,
                end_with_data: request.codec == Codec::Http2,
                ..Flow::default()
            },
            codec: request.codec,
            started: self.world.clock.now(),
            head,
            grpc,
            ..Stream::default()
        }
    }

    /// Reads what a peer has sent, until a filter or a watermark stops it.
    pub(crate) fn read_on(&mut self, slot: usize, direction: Direction) -> Moved {
        let limit = self.world.buffer_limit;
        while !self.world.streams[slot].finished
            && self.world.streams[slot].flow(direction).can_read(limit)
        {
            let stream = &mut self.world.streams[slot];
            let flow = stream.flow(direction);
            if let Some(chunk) = flow.unread.pop_front() {
                if direction == Direction::Request {
                    stream.request_bytes += chunk.len() as u64;
                }
                let flow = stream.flow(direction);
                let end =
                    flow.end_with_data && flow.unread.is_empty() && flow.unread_trailers.is_none();
                flow.reading = !end;
                self.data(slot, direction, None, Data::Fresh(chunk), end)?;
                continue;
            }
            flow.reading = false;
            flow.observed_end = true;
            match flow.unread_trailers.take() {
                Some(trailers) => {
                    flow.trailers = Some(trailers);
                    self.trailers(slot, direction, None)?;
                }
                None => self.data(slot, direction, None, Data::Fresh(Vec::new()), true)?,
            }
        }
        Ok(())
    }

    /// The router: finds a route, or replies.
    pub(crate) fn route(&mut self, slot: usize, end: bool) -> Moved {
        let stream = &mut self.world.streams[slot];
        let Some(headers) = &mut stream.request.headers else {
            return Ok(());
        };
        if let Some((reply, flags)) = unroutable(headers) {
            stream.flags |= flags;
            return self.send_local_reply(slot, reply);
        }
        headers.replace(b"x-envoy-expected-rq-timeout-ms", b"15000");
        let mut sent = Headers::default();
        for (name, value) in headers.iter() {
            if !name.starts_with(b":")
                || matches!(name, b":authority" | b":path" | b":method" | b":scheme")
            {
                sent.add(name, value);
            }
        }
        let http1 = self.upstream_codec == Codec::Http1;
        if http1 && !end && !sent.contains_key("content-length") {
            // The codec writes its own line, also beside one that a filter added.
            sent.add_line(b"transfer-encoding", b"chunked");
        }
        stream
            .exchange
            .timeline
            .note("the request's headers reach the upstream");
        stream.exchange.upstream = Some(UpstreamRequest {
            message: Message::new(sent),
        });
        if end { self.ask(slot) } else { Ok(()) }
    }

    pub(crate) fn send_upstream(&mut self, slot: usize, bytes: Vec<u8>, end: bool) -> Moved {
        if let Some(request) = &mut self.world.streams[slot].exchange.upstream {
            request.message.push(bytes);
        }
        if end { self.ask(slot) } else { Ok(()) }
    }

    pub(crate) fn ask_with_trailers(&mut self, slot: usize) -> Moved {
        let stream = &mut self.world.streams[slot];
        if let Some(request) = &mut stream.exchange.upstream {
            request
                .message
                .trailers
                .clone_from(&stream.request.trailers);
        }
        self.ask(slot)
    }

    /// The whole request is at the upstream, which answers when Envoy comes to it.
    fn ask(&mut self, slot: usize) -> Moved {
        let stream = &mut self.world.streams[slot];
        if let Some(request) = &stream.exchange.upstream
            && let Some(why) = wrong_length("request", request)
        {
            return Err(HostError::BodyLength {
                why,
                timeline: stream.exchange.timeline.clone(),
            });
        }
        if !std::mem::replace(&mut stream.upstream_asked, true) {
            stream.asked_at = self.world.clock.now();
            stream
                .exchange
                .timeline
                .note("the request is complete at the upstream");
            self.asked.push_back(slot);
        }
        Ok(())
    }

    /// Asks the upstream's double, which answers now or later.
    pub(crate) fn answer(&mut self, slot: usize) -> Moved {
        let stream = &mut self.world.streams[slot];
        if stream.finished || stream.response.headers.is_some() {
            return Ok(());
        }
        let Some(request) = &stream.exchange.upstream else {
            return Ok(());
        };
        let response = (self.upstream)(request);
        let latency = response.latency;
        stream.answer = Some(Box::new(response));
        if latency.is_zero() {
            return self.respond(slot);
        }
        let event = Event::Answer {
            slot,
            stream: stream.exchange.id,
        };
        let now = self.world.clock.now();
        self.world.agenda.schedule(now + latency, event);
        Ok(())
    }

    /// The upstream's answer arrives.
    pub(crate) fn respond(&mut self, slot: usize) -> Moved {
        let stream = &mut self.world.streams[slot];
        if stream.finished || stream.response.headers.is_some() {
            return Ok(());
        }
        let Some(response) = stream.answer.take() else {
            return Ok(());
        };
        let latency = self.world.clock.now() - stream.asked_at;
        let mut headers = response.headers;
        let status = status(&headers);
        let bodiless =
            stream.head || status.is_some_and(|status| has_no_body(status.try_into().unwrap_or(0)));
        let end = bodiless || (response.chunks.is_empty() && response.trailers.is_none());
        let http1 = self.upstream_codec == Codec::Http1;
        // Filters see the framing of a response, other than that of a request.
        if http1
            && !end
            && !headers.contains_key("content-length")
            && !headers.contains_key("transfer-encoding")
        {
            headers.add(b"transfer-encoding", b"chunked");
        }
        headers.replace(
            b"x-envoy-upstream-service-time",
            latency.as_millis().to_string().as_bytes(),
        );
        let code = status.map_or_else(|| "?".to_owned(), |status| status.to_string());
        stream
            .exchange
            .timeline
            .note(format!("the upstream answers {code}"));
        stream.exchange.details = Some("via_upstream".to_owned());
        stream.latency = Some(latency);
        stream.response_code = status;
        let flow = &mut stream.response;
        flow.end_with_data = !http1;
        flow.headers = Some(headers);
        flow.reading = !end;
        flow.unread = VecDeque::from(response.chunks);
        flow.unread_trailers = response.trailers;
        self.headers(slot, Direction::Response, None, end)?;
        self.read_on(slot, Direction::Response)
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
            return self.send_local_reply(slot, Reply::own(502, why, details));
        }
        self.write_headers(slot, end)
    }

    /// The codec writes the headers of whatever response it is.
    pub(crate) fn write_headers(&mut self, slot: usize, end: bool) -> Moved {
        let date = self.world.clock.http_date();
        let stream = &mut self.world.streams[slot];
        let Some(headers) = &mut stream.response.headers else {
            return Ok(());
        };
        codec::strip_response(headers);
        if !headers.contains_key("date") {
            headers.add(b"date", date.as_bytes());
        }
        headers.set(b"server", b"envoy");
        let http1 = stream.codec == Codec::Http1;
        if http1 && !stream.request.observed_end {
            // HTTP/1.1 cannot tell the rest of the request from the next one.
            headers.set(b"connection", b"close");
        }
        stream.headers_sent = true;
        let code = status(headers);
        stream.response_code = code;
        let mut sent = headers.clone();
        if http1 && !sent.contains_key("content-length") && !stream.head {
            let bodiless = code.is_some_and(|code| has_no_body(code.try_into().unwrap_or(0)));
            match end {
                true if !bodiless => sent.add(b"content-length", b"0"),
                true => {}
                false => sent.add(b"transfer-encoding", b"chunked"),
            }
        }
        let shown = code.map_or_else(|| "?".to_owned(), |code| code.to_string());
        stream
            .exchange
            .timeline
            .note(format!("response headers go downstream: {shown}"));
        stream.exchange.response = Some(DownstreamResponse {
            message: Message::new(sent),
        });
        if end { self.complete(slot) } else { Ok(()) }
    }

    pub(crate) fn send_data(&mut self, slot: usize, bytes: Vec<u8>, end: bool) -> Moved {
        if let Some(response) = &mut self.world.streams[slot].exchange.response {
            response.message.push(bytes);
        }
        if end { self.complete(slot) } else { Ok(()) }
    }

    pub(crate) fn send_trailers(&mut self, slot: usize) -> Moved {
        let stream = &mut self.world.streams[slot];
        if let Some(response) = &mut stream.exchange.response {
            response
                .message
                .trailers
                .clone_from(&stream.response.trailers);
        }
        self.complete(slot)
    }

    /// Downstream has the whole response.
    fn complete(&mut self, slot: usize) -> Moved {
        let stream = &self.world.streams[slot];
        if let Some(response) = &stream.exchange.response
            && !stream.head
            && let Some(why) = wrong_length("response", response)
        {
            return Err(HostError::BodyLength {
                why,
                timeline: stream.exchange.timeline.clone(),
            });
        }
        self.finish(slot, Outcome::Completed)
    }

    /// The connection is cut.
    pub(crate) fn reset(&mut self, slot: usize) -> Moved {
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
        stream.exchange.outcome = outcome;
        stream.prepared = None;
        self.end_contexts(slot)
    }
}

/// Why the router replies instead of asking the upstream.
fn unroutable(headers: &Headers) -> Option<(Reply, u64)> {
    if !headers.contains_key(":path") {
        return Some((Reply::own(404, "", "route_not_found"), NO_ROUTE));
    }
    let why = if !headers.contains_key(":method") {
        "missing required header: :method".to_owned()
    } else {
        let (name, _) = headers.iter().find(|(name, _)| !is_header_name(name))?;
        format!("invalid header name: {}", String::from_utf8_lossy(name))
    };
    let details = format!(
        "filter_removed_required_request_headers{{{}}}",
        why.replace(' ', "_")
    );
    Some((Reply::own(503, &why, details), DOWNSTREAM_PROTOCOL_ERROR))
}

/// A token ([RFC 9110, 5.6.2]), after the colon of a pseudo header; Envoy lets the empty name pass.
///
/// [RFC 9110, 5.6.2]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
fn is_header_name(name: &[u8]) -> bool {
    let name = name.strip_prefix(b":").unwrap_or(name);
    name.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

fn status(headers: &Headers) -> Option<u32> {
    str::from_utf8(headers.get(":status")?).ok()?.parse().ok()
}

/// Envoy never corrects a `content-length`: the peer waits for the missing bytes, or takes the
/// surplus for the next message.
fn wrong_length(what: &str, message: &Message) -> Option<String> {
    let declared = message.headers().get("content-length")?;
    let declared: usize = str::from_utf8(declared).ok()?.parse().ok()?;
    let actual: usize = message.chunks().iter().map(Vec::len).sum();
    let status = status(message.headers()).and_then(|status| u16::try_from(status).ok());
    if declared == actual || status.is_some_and(has_no_body) {
        return None;
    }
    Some(format!(
        "the {what} declares `content-length: {declared}` and carries {actual} bytes; remove the \
         header in the headers callback before a body is changed"
    ))
}
