//! A request's headers between the last filter and the upstream.

use std::time::Duration;

use crate::clusters::{Decides, UPSTREAM};
use crate::codec::{Codec, gather_cookies, is_hop_by_hop};
use crate::decimal::Decimal;
use crate::envoy_version::{EnvoyVersion, VersionDifference};
use crate::error::HostError;
use crate::exchange::{Message, UpstreamRequest};
use crate::headers::Headers;
use crate::known_difference::KnownDifference;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::response_flags::ResponseFlags;
use crate::router::{Asked, Retries, UpstreamConnection};
use crate::stream::{Reply, Routing};
use crate::tunnel::is_upgrade;
use crate::upstream_failure::UpstreamFailure;
use crate::world::World;

impl Proxy {
    /// A reply looks for the route anew, where a filter has changed the headers of a request that the router has not
    /// seen: there may be none by now.
    pub(crate) fn look_for_a_route_again(&mut self, slot: usize) {
        let stays = self.world.mutated(Rule::RepliesKeepTheRoute);
        let stream = &mut self.world.streams[slot];
        let unsent = stream.exchange.upstream.is_none() && !stays;
        let lost = stream.request.headers.as_ref().is_some_and(is_unroutable);
        if unsent && lost && stream.routing == Routing::Route {
            stream.routing = Routing::VirtualHost;
        }
    }

    /// Finds a route, or replies.
    pub(crate) fn route(&mut self, slot: usize, end: bool) -> Moved {
        let stream = &mut self.world.streams[slot];
        stream.asked_behind_a_reply = stream.response.headers.is_some();
        let Some(headers) = &mut stream.request.headers else {
            return Ok(());
        };
        if is_unroutable(headers) {
            let flagged = !self.world.mutated(Rule::NoRouteHasNoFlag);
            let stream = &mut self.world.streams[slot];
            if flagged {
                stream.exchange.flags.set(ResponseFlags::NO_ROUTE_FOUND);
            }
            stream.routing = Routing::VirtualHost;
            let mut reply = Reply::own(404, "", "route_not_found");
            let (status, body) = (Rule::NoRouteHasAnotherStatus, Rule::NoRouteHasABody);
            self.garble(&mut reply, status, body, Rule::NoRouteHasNoDetails);
            return self.send_local_reply(slot, reply);
        }
        let decides = self.world.clusters.decides(UPSTREAM);
        if decides == Decides::AtOnce {
            stream
                .exchange
                .flags
                .set(ResponseFlags::NO_HEALTHY_UPSTREAM);
            let reply = Reply::own(503, "no healthy upstream", "no_healthy_upstream");
            return self.send_local_reply(slot, reply);
        }
        let overrules = headers.contains_key("x-envoy-upstream-rq-timeout-ms");
        let untold = self.world.mutated(Rule::UpstreamIsToldNoTimeout);
        let overruled = !(overrules && self.world.mutated(Rule::TimeoutIsNotOverruled));
        let asked_of_envoy = !self.world.mutated(Rule::WhatIsAskedOfEnvoyGoesOn);
        let schemes = !self.world.mutated(Rule::AnySchemeGoesOn);
        let connects = !self.world.mutated(Rule::ConnectNeedsNoProtocol);
        let tries = !self.world.mutated(Rule::TriesHaveNoTimeout);
        let stream = &mut self.world.streams[slot];
        let Some(headers) = &mut stream.request.headers else {
            return Ok(());
        };
        if !overruled {
            headers.remove(b"x-envoy-upstream-rq-timeout-ms");
        }
        stream.retries = Retries::asked(headers);
        if asked_of_envoy {
            take_what_is_asked(headers);
        }
        stream.timeouts = route_timeout(headers, self.world.route_timeout);
        if !tries {
            stream.timeouts.of_try = Duration::ZERO;
        }
        if untold {
            headers.remove(b"x-envoy-expected-rq-timeout-ms");
        }
        if schemes {
            give_scheme(headers);
        }
        if let Some(why) = unacceptable(headers, connects) {
            return self.refuse_once_connected(slot, why);
        }
        stream
            .exchange
            .timeline
            .note("the request's headers reach the upstream");
        if connects && headers.get(":method") == Some(b"CONNECT") {
            return Err(HostError::NotAnswered {
                what: "CONNECT with `:protocol`, which is another request over each protocol,"
                    .to_owned(),
                timeline: self.timeline(Some(slot)),
            });
        }
        let mut sent = on_the_wire(headers, end, self.upstream_codec, self.world.version);
        let forbidden = is_forbidden(&sent, self.upstream_codec);
        if !forbidden && is_unreadable(&sent, self.upstream_codec) {
            self.world
                .comes_to(Some(slot), KnownDifference::UnreadableMessage);
        }
        if self.world.mutator.is_some() {
            self.send_otherwise(slot, &mut sent);
        }
        let tunnel = self.asks_for_tunnel(slot, &sent);
        self.connect_upstream(slot);
        let codec = self.upstream_codec;
        let stream = &mut self.world.streams[slot];
        stream.written = Some(Written { end, codec });
        stream.exchange.upstream = Some(UpstreamRequest {
            cut: false,
            message: Message::new(sent),
            complete: false,
        });
        if end {
            self.ask(slot)
        } else {
            if decides == Decides::WithHeaders || tunnel || forbidden {
                self.ask_upstream(slot);
            }
            Ok(())
        }
    }

    /// The codec refuses a request when it is to write it, which is when there is a connection.
    fn refuse_once_connected(&mut self, slot: usize, why: String) -> Moved {
        self.connect_upstream(slot);
        let at_once = self
            .world
            .mutated(Rule::RequestIsRefusedBeforeItsConnection);
        let stream = &mut self.world.streams[slot];
        stream.unacceptable = Some(why);
        if at_once || stream.upstream_connection == UpstreamConnection::Connected {
            self.refuse_unacceptable(slot)?;
        } else {
            self.ask_upstream(slot);
        }
        Ok(())
    }

    /// There is a connection: replies where the codec does not take the request; false if it does.
    pub(crate) fn refuse_unacceptable(&mut self, slot: usize) -> Result<bool, HostError> {
        let Some(why) = self.world.streams[slot].unacceptable.take() else {
            return Ok(false);
        };
        self.world.streams[slot].exchange.upstream = None;
        if self.world.streams[slot].response.headers.is_some() {
            return Ok(true);
        }
        if self.world.clusters.refuses(UPSTREAM) {
            self.upstream_failed(slot, UpstreamFailure::Refused)?;
            return Ok(true);
        }
        let stream = &mut self.world.streams[slot];
        stream.upstream_connection = UpstreamConnection::Connected;
        if !self.world.mutated(Rule::NoRouteHasNoFlag) {
            let stream = &mut self.world.streams[slot];
            let flag = ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR;
            stream.exchange.flags.set(flag);
        }
        let details = refusal(&why);
        let mut reply = Reply::own(503, &why, details);
        let (status, body) = (
            Rule::BadHeadersHaveAnotherStatus,
            Rule::BadHeadersHaveAnotherBody,
        );
        self.garble(&mut reply, status, body, Rule::BadHeadersHaveNoDetails);
        self.send_local_reply(slot, reply)?;
        Ok(true)
    }

    /// What else the codec could write of a request.
    fn send_otherwise(&self, slot: usize, sent: &mut Headers) {
        let headers = self.world.streams[slot].request.headers.as_ref();
        let given = |name: &str| headers.is_some_and(|headers| headers.contains_key(name));
        let chunked = sent.contains_key("transfer-encoding");
        if chunked && self.world.mutated(Rule::RequestChunksAreNotDeclared) {
            sent.remove(b"transfer-encoding");
        }
        if chunked && given("transfer-encoding") && self.world.mutated(Rule::ChunksAreDeclaredOnce)
        {
            sent.remove(b"transfer-encoding");
            sent.add_line(b"transfer-encoding", b"chunked");
        }
        let sized = sent.get("content-length") == Some(b"0") && !given("content-length");
        if sized && self.world.mutated(Rule::EmptyRequestHasNoLength) {
            sent.remove(b"content-length");
        }
    }
}

impl World {
    /// A filter has changed the headers of a request that has gone on: where its connection is still made, they are
    /// not written yet.
    pub(crate) fn write_anew(&mut self, slot: usize) {
        let connecting = UpstreamConnection::Connecting(self.clock.now());
        let at_once = self.mutated(Rule::HeadersAreWrittenBeforeTheConnection);
        let stream = &mut self.streams[slot];
        if at_once || stream.upstream_connection != connecting {
            return;
        }
        if let (Some(Written { end, codec }), Some(headers), Some(sent)) = (
            stream.written,
            &stream.request.headers,
            &mut stream.exchange.upstream,
        ) {
            sent.message.headers = on_the_wire(headers, end, codec, self.version);
            let unsent = !sent.complete;
            let before = std::mem::replace(&mut stream.unacceptable, unacceptable(headers, true));
            match (before, &stream.unacceptable) {
                (None, Some(_)) if !stream.upstream_asked => {
                    stream.upstream_asked = true;
                    self.asked.push_back(Asked::Stream(slot));
                }
                // It can be written again, and is not whole.
                (Some(_), None) if unsent => {
                    stream.upstream_asked = false;
                    let is_own = |asked: &Asked| matches!(asked, Asked::Stream(of) if *of == slot);
                    self.asked.retain(|asked| !is_own(asked));
                }
                _ => {}
            }
        }
    }
}

/// What a request's headers were written with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// Whether the request ends with them.
    end: bool,
    codec: Codec,
}

/// How long a request may take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeouts {
    /// Until the whole response is there; for ever if zero.
    pub(crate) whole: Duration,
    /// Until its headers are there, where that is less; zero if it is not.
    pub(crate) of_try: Duration,
}

impl Timeouts {
    /// What is over first while there are no headers.
    pub(crate) fn first(self) -> Duration {
        match self.of_try.is_zero() {
            true => self.whole,
            false => self.of_try,
        }
    }
}

/// What the details of a reply name when the response, or that of a try, is not there in time.
pub(crate) fn timeout_details(is_of_try: bool) -> &'static str {
    match is_of_try {
        true => "upstream_per_try_timeout",
        false => "response_timeout",
    }
}

/// The timeouts of a request: `x-envoy-upstream-rq-timeout-ms` overrules the route's. Envoy drops that header, and the
/// one for each try, and tells the upstream what came of them.
pub(crate) fn route_timeout(headers: &mut Headers, of_route: Duration) -> Timeouts {
    let timeout = take_number(headers, "x-envoy-upstream-rq-timeout-ms");
    let timeout = timeout.map_or(of_route, Duration::from_millis);
    let of_try = take_number(headers, "x-envoy-upstream-rq-per-try-timeout-ms");
    let of_try = of_try.map_or(Duration::ZERO, Duration::from_millis);
    // A try that may take as long as all of them has no timeout of its own.
    let own = !of_try.is_zero() && (timeout.is_zero() || of_try < timeout);
    let told = if own { of_try } else { timeout };
    if !told.is_zero() {
        headers.remove(b"x-envoy-expected-rq-timeout-ms");
        headers.add_own(
            b"x-envoy-expected-rq-timeout-ms",
            milliseconds(told).as_bytes(),
        );
    }
    Timeouts {
        whole: timeout,
        of_try: if own { of_try } else { Duration::ZERO },
    }
}

/// Takes a header out, and reads it as `absl::SimpleAtoi` does.
fn take_number(headers: &mut Headers, name: &str) -> Option<u64> {
    let text = str::from_utf8(headers.get(name)?.trim_ascii());
    let number = text.ok().and_then(|text| text.parse().ok());
    headers.remove(name.as_bytes());
    number
}

/// What a filter asks Envoy's router for by headers that go no further.
const ASKED: [&[u8]; 8] = [
    b"x-envoy-retry-on",
    b"x-envoy-retry-grpc-on",
    b"x-envoy-max-retries",
    b"x-envoy-retriable-status-codes",
    b"x-envoy-retriable-header-names",
    b"x-envoy-hedge-on-per-try-timeout",
    b"x-envoy-upstream-alt-stat-name",
    b"x-envoy-upstream-stream-duration-ms",
];

/// Takes out what is meant for the router.
pub(crate) fn take_what_is_asked(headers: &mut Headers) {
    ASKED.iter().for_each(|name| headers.remove(name));
}

/// A scheme that Envoy does not know gives way to the one by which the request came.
pub(crate) fn give_scheme(headers: &mut Headers) {
    let is_known = |scheme: &[u8]| {
        [&b"http"[..], b"https"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    };
    if headers.get(":scheme").is_some_and(is_known) {
        return;
    }
    let forwarded = headers.get("x-forwarded-proto").unwrap_or_default();
    let scheme = match is_known(forwarded) {
        true => forwarded.to_vec(),
        false => b"http".to_vec(),
    };
    headers.set(b":scheme", &scheme);
}

pub(super) fn milliseconds(time: Duration) -> Decimal {
    let whole = time.as_secs().saturating_mul(1000);
    Decimal::of(whole.saturating_add(time.subsec_millis().into()))
}

/// The headers as the codec writes them.
pub(crate) fn on_the_wire(
    headers: &Headers,
    end: bool,
    codec: Codec,
    envoy: EnvoyVersion,
) -> Headers {
    let mut sent = headers.clone();
    sent.retain(|name| {
        !name.starts_with(b":")
            || matches!(name, b":authority" | b":path" | b":method" | b":scheme")
    });
    if codec == Codec::Http2 && envoy.is_before(VersionDifference::CookiesStayApart) {
        gather_cookies(&mut sent);
    }
    if codec == Codec::Http1 && !sent.contains_key("content-length") {
        if !end && !is_upgrade(headers) {
            // The codec writes its own line, also beside one that a filter added.
            sent.add_line(b"transfer-encoding", b"chunked");
        } else if end
            && !matches!(
                sent.get(":method"),
                Some(b"GET" | b"HEAD" | b"DELETE" | b"TRACE" | b"CONNECT")
            )
        {
            sent.add_line(b"content-length", b"0");
        }
    }
    sent
}

/// Whether there is no route for a request.
fn is_unroutable(headers: &Headers) -> bool {
    // Envoy looks for a route by the scheme, which it takes from `x-forwarded-proto`.
    let scheme = headers.get("x-forwarded-proto").unwrap_or_default();
    // The route's prefix is a slash.
    let path = headers.get(":path").unwrap_or_default();
    !path.starts_with(b"/") || scheme.is_empty()
}

/// The details of the reply to a request that the codec does not write.
pub(crate) fn refusal(why: &str) -> String {
    let why = why.replace(' ', "_");
    format!("filter_removed_required_request_headers{{{why}}}")
}

/// Whether peers refuse trailers.
pub(crate) fn are_unreadable(trailers: &Headers, codec: Codec) -> bool {
    match codec {
        Codec::Http1 => trailers.iter().any(|(name, _)| name.contains(&b':')),
        Codec::Http2 => trailers.contains_key(":status") || is_no_frame(trailers),
    }
}

/// Why the codec does not write a request.
pub(crate) fn unacceptable(headers: &Headers, connects: bool) -> Option<String> {
    let missing = |name: &str| Some(format!("missing required header: {name}"));
    match headers.get(":method") {
        None => return missing(":method"),
        // A path makes it an extended one ([RFC 8441, 4]).
        //
        // [RFC 8441, 4]: https://www.rfc-editor.org/rfc/rfc8441#section-4
        Some(b"CONNECT") if connects => {
            if !headers.contains_key(":authority") {
                return missing(":authority");
            }
            if headers.contains_key(":path") && !headers.contains_key(":protocol") {
                return missing(":protocol");
            }
        }
        Some(_) => {}
    }
    unsendable(headers)
}

/// Why the codec does not send a request, which is known once there is a connection.
fn unsendable(headers: &Headers) -> Option<String> {
    let sane = headers.are_free_of_controls();
    if sane && headers.are_plainly_named() {
        return None;
    }
    headers.iter().find_map(|(name, value)| {
        let what = if !is_header_name(name) {
            "name"
        } else if !sane && !is_header_value(value) {
            "value for"
        } else {
            return None;
        };
        let name = String::from_utf8_lossy(name);
        Some(format!("invalid header {what}: {name}"))
    })
}

/// Whether a request has what every server of HTTP/2 resets ([RFC 9113, 8.2.2]).
///
/// [RFC 9113, 8.2.2]: https://www.rfc-editor.org/rfc/rfc9113#section-8.2.2
pub(crate) fn is_forbidden(headers: &Headers, codec: Codec) -> bool {
    codec == Codec::Http2
        && headers
            .iter()
            .any(|(name, value)| is_hop_by_hop(name) || name == b"te" && value != b"trailers")
}

/// Whether Envoy sends a message that peers refuse: its target holds what no URL does, its method or a name is no token,
/// its length no number, or over HTTP/2 it has what that forbids.
pub(crate) fn is_unreadable(headers: &Headers, codec: Codec) -> bool {
    let target = headers.get(":path");
    let method = headers.get(":method");
    let length = headers.get("content-length");
    let no_method = method.is_some_and(|method| method.is_empty() || !is_token(method));
    let no_length =
        length.is_some_and(|length| length.is_empty() || !length.iter().all(u8::is_ascii_digit));
    let no_target = target.is_some_and(|target| match codec {
        Codec::Http1 => {
            target.is_empty() || target.iter().any(|byte| *byte <= b' ' || *byte == 0x7f)
        }
        Codec::Http2 => {
            !(target.starts_with(b"/") || target == b"*")
                || !target
                    .iter()
                    .all(|byte| (0x21..=0x7e).contains(byte) && *byte != b'#')
        }
    });
    let colons = |(name, _): (&[u8], &[u8])| name.iter().skip(1).any(|byte| *byte == b':');
    let no_name =
        codec == Codec::Http1 && !headers.are_plainly_named() && headers.iter().any(colons);
    no_name
        || no_method
        || no_length
        || no_target
        || (codec == Codec::Http2 && is_no_frame(headers))
}

/// Whether peers of HTTP/2 refuse the headers ([RFC 9113, 8.2 and 8.3]).
///
/// [RFC 9113, 8.2 and 8.3]: https://www.rfc-editor.org/rfc/rfc9113#section-8.2
fn is_no_frame(headers: &Headers) -> bool {
    let response = headers.contains_key(":status");
    let refused = |name: &[u8], value: &[u8]| match name {
        b":authority" => response || !is_authority(value),
        b":method" | b":scheme" | b":path" => response,
        // What ends the message is no interim response.
        b":status" => !matches!(value, [b'2'..=b'9', b'0'..=b'9', b'0'..=b'9']),
        [b':', ..] | b"" => true,
        name if is_hop_by_hop(name) => true,
        b"te" => !response && value != b"trailers",
        _ => !is_token(name) || !is_header_value(value),
    };
    headers.iter().any(|(name, value)| refused(name, value))
}

/// Whether the bytes are those of an authority ([RFC 3986, 3.2]); servers look at least for these.
///
/// [RFC 3986, 3.2]: https://www.rfc-editor.org/rfc/rfc3986#section-3.2
fn is_authority(value: &[u8]) -> bool {
    let allowed =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:@[]".contains(byte);
    !value.is_empty() && value.iter().all(allowed)
}

/// A token ([RFC 9110, 5.6.2]), after the colon of a pseudo header; Envoy lets the empty name pass.
///
/// [RFC 9110, 5.6.2]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
fn is_header_name(name: &[u8]) -> bool {
    is_token(name.strip_prefix(b":").unwrap_or(name))
}

pub(crate) fn is_token(name: &[u8]) -> bool {
    const TOKEN: [bool; 256] = {
        let bytes = b"!#$%&'*+-.^_`|~0123456789\
            ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut token = [false; 256];
        let mut at = 0;
        while at < bytes.len() {
            token[bytes[at] as usize] = true;
            at += 1;
        }
        token
    };
    name.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// No control character but a tab ([RFC 9110, 5.5]).
///
/// [RFC 9110, 5.5]: https://www.rfc-editor.org/rfc/rfc9110#section-5.5
pub(crate) fn is_header_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}
