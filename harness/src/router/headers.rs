//! A request's headers between the last filter and the upstream.

use std::time::Duration;

use crate::clusters::{Decides, UPSTREAM};
use crate::codec::{Codec, gather_cookies};
use crate::decimal::Decimal;
use crate::envoy_version::{EnvoyVersion, VersionDifference};
use crate::error::HostError;
use crate::exchange::{Message, UpstreamRequest};
use crate::headers::Headers;
use crate::known_difference::KnownDifference;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::response_flags::ResponseFlags;
use crate::router::UpstreamConnection;
use crate::stream::{Reply, Routing};
use crate::tunnel::is_upgrade;
use crate::upstream_failure::UpstreamFailure;

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
        if let Some(why) = unacceptable(headers) {
            return self.refuse_once_connected(slot, why);
        }
        let overrules = headers.contains_key("x-envoy-upstream-rq-timeout-ms");
        let untold = self.world.mutated(Rule::UpstreamIsToldNoTimeout);
        let overruled = !(overrules && self.world.mutated(Rule::TimeoutIsNotOverruled));
        let stream = &mut self.world.streams[slot];
        let Some(headers) = &mut stream.request.headers else {
            return Ok(());
        };
        if !overruled {
            headers.remove(b"x-envoy-upstream-rq-timeout-ms");
        }
        stream.timeout = route_timeout(headers, self.world.route_timeout);
        if untold {
            headers.remove(b"x-envoy-expected-rq-timeout-ms");
        }
        stream
            .exchange
            .timeline
            .note("the request's headers reach the upstream");
        let mut sent = on_the_wire(headers, end, self.upstream_codec, self.world.version);
        if is_unreadable(&sent, self.upstream_codec) {
            self.world
                .comes_to(Some(slot), KnownDifference::UnreadableMessage);
        }
        if self.world.mutator.is_some() {
            self.send_otherwise(slot, &mut sent);
        }
        let tunnel = self.asks_for_tunnel(slot, &sent);
        self.connect_upstream(slot);
        let stream = &mut self.world.streams[slot];
        stream.exchange.upstream = Some(UpstreamRequest {
            cut: false,
            message: Message::new(sent),
            complete: false,
        });
        if end {
            self.ask(slot)
        } else {
            if decides == Decides::WithHeaders || tunnel {
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
        let details = format!(
            "filter_removed_required_request_headers{{{}}}",
            why.replace(' ', "_")
        );
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

/// The timeout of a request, none if zero: `x-envoy-upstream-rq-timeout-ms` overrules the route's.
/// Envoy drops that header and tells the upstream what came of it.
pub(crate) fn route_timeout(headers: &mut Headers, of_route: Duration) -> Duration {
    const OVERRULES: &str = "x-envoy-upstream-rq-timeout-ms";
    let mut timeout = of_route;
    if let Some(value) = headers.get(OVERRULES) {
        let value = str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok());
        timeout = value.map_or(timeout, Duration::from_millis);
        headers.remove(OVERRULES.as_bytes());
    }
    if !timeout.is_zero() {
        headers.replace(
            b"x-envoy-expected-rq-timeout-ms",
            milliseconds(timeout).as_bytes(),
        );
    }
    timeout
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

/// Why the codec does not write the request of a stream.
fn unacceptable(headers: &Headers) -> Option<String> {
    if headers.contains_key(":method") {
        return unsendable(headers);
    }
    Some("missing required header: :method".to_owned())
}

/// Why the codec does not send a request, which is known once there is a connection.
pub(crate) fn unsendable(headers: &Headers) -> Option<String> {
    let sane = headers.are_free_of_controls();
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

/// Whether Envoy sends a message that peers refuse: over HTTP/2 a header has no name or the authority is
/// none, or the target holds what no URL does.
pub(crate) fn is_unreadable(headers: &Headers, codec: Codec) -> bool {
    let target = headers.get(":path").unwrap_or_default();
    match codec {
        Codec::Http1 => target.iter().any(|byte| *byte <= b' ' || *byte == 0x7f),
        Codec::Http2 => {
            let authority = headers.get(":authority");
            headers.contains_key("")
                || authority.is_some_and(|authority| !is_authority(authority))
                || !target.iter().all(|byte| (0x21..=0x7e).contains(byte))
        }
    }
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
    let name = name.strip_prefix(b":").unwrap_or(name);
    name.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// No control character but a tab ([RFC 9110, 5.5]).
///
/// [RFC 9110, 5.5]: https://www.rfc-editor.org/rfc/rfc9110#section-5.5
fn is_header_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}
