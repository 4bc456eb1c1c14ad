//! What the protocol of a peer changes about a message.

pub(crate) mod http2;
mod nominated;
pub(crate) mod refusal;
pub(crate) mod target;

use crate::envoy_version::{EnvoyVersion, VersionDifference};
use crate::exchange::Message;
use crate::headers::{Headers, Kind};
use crate::tunnel;

/// What reads and writes HTTP on a connection, by the names of Envoy's `codec_type`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Codec {
    /// HTTP/1.1: the end of a body comes after its last piece.
    #[default]
    Http1,
    /// HTTP/2: the end of a body comes with its last piece.
    Http2,
}

impl Codec {
    /// The protocol as Envoy names it, such as in `request.protocol` and `%PROTOCOL%`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }

    /// Whether trailers can follow a body: in HTTP/1.1 only after chunks.
    pub(crate) fn carries_trailers(self, message: &Message) -> bool {
        self == Self::Http2 || !message.headers().contains_key("content-length")
    }
}

/// What the connection manager takes out of a message: of a request before the filters see it, of a
/// response when they are done (`ConnectionManagerUtility::mutateRequestHeaders` and
/// `mutateResponseHeaders` in Envoy's `conn_manager_utility.cc`).
const HOP_BY_HOP: [&[u8]; 5] = [
    b"connection",
    b"upgrade",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
];

/// Whether a name is of a connection, which HTTP/2 has no place for.
pub(crate) fn is_hop_by_hop(name: &[u8]) -> bool {
    HOP_BY_HOP.contains(&name)
}

/// What stays of these where both messages are of an upgrade.
const OF_UPGRADE: [&[u8]; 2] = [b"connection", b"upgrade"];

/// What is taken out of a request from outside: only filters may set these
/// (`ConnectionManagerUtility::cleanInternalHeaders`). `x-envoy-original-path` and its like go at the
/// edge only, where Envoy uses the client's address.
pub(crate) const INTERNAL: [&[u8]; 15] = [
    b"x-envoy-retriable-status-codes",
    b"x-envoy-retriable-header-names",
    b"x-envoy-retry-on",
    b"x-envoy-retry-grpc-on",
    b"x-envoy-max-retries",
    b"x-envoy-upstream-alt-stat-name",
    b"x-envoy-upstream-rq-timeout-ms",
    b"x-envoy-upstream-rq-per-try-timeout-ms",
    b"x-envoy-upstream-rq-timeout-alt-response",
    b"x-envoy-expected-rq-timeout-ms",
    b"x-envoy-force-trace",
    b"x-envoy-internal",
    b"x-envoy-ip-tags",
    b"x-envoy-original-url",
    b"x-envoy-hedge-on-per-try-timeout",
];

/// Takes out of a response what is between two hops only, but for `keep-alive` over HTTP/1.1: the upstream's is
/// gone then, and one that a filter added goes out.
pub(crate) fn strip_response(
    headers: &mut Headers,
    codec: Codec,
    envoy: EnvoyVersion,
    upgraded: bool,
) {
    let stays =
        codec == Codec::Http1 && !envoy.is_before(VersionDifference::KeepAliveIsOfTheUpstream);
    let kept = |name: &[u8]| match name {
        b"keep-alive" => stays,
        name => upgraded && OF_UPGRADE.contains(&name),
    };
    let names = HOP_BY_HOP.iter().filter(|name| !kept(name));
    names.for_each(|name| headers.remove(name));
}

/// Takes out of an upstream's response what its connection alone was told; `connection` itself stays.
pub(crate) fn strip_keep_alive(headers: &mut Headers) {
    headers.remove(b"keep-alive");
}

/// Takes out of a request what is between two hops only, and what Envoy does not forward
/// (`ConnectionManagerUtility::mutateRequestHeaders`).
pub(crate) fn strip_request(headers: &mut Headers, codec: Codec) {
    let upgrade = codec == Codec::Http1 && tunnel::is_upgrade(headers);
    let stays = |name: &&&[u8]| upgrade && OF_UPGRADE.contains(*name);
    let names = HOP_BY_HOP.iter().filter(|name| !stays(name));
    names.for_each(|name| headers.remove(name));
    // Envoy forwards no other transfer coding than trailers, but with an upgrade.
    if let Some(te) = headers.get("te").filter(|_| !upgrade) {
        let trailers = te
            .split(|byte| *byte == b',')
            .any(|coding| coding.trim_ascii() == b"trailers");
        if trailers {
            headers.set(b"te", b"trailers");
        } else {
            headers.remove(b"te");
        }
    }
    if headers
        .get("referer")
        .is_some_and(|referer| !target::is_referer(referer))
    {
        headers.remove(b"referer");
    }
}

/// The order in which a client of HTTP/2 sends pseudo headers, and its cookies in one line behind
/// everything else ([RFC 9113, 8.2.3]).
///
/// [RFC 9113, 8.2.3]: https://www.rfc-editor.org/rfc/rfc9113#section-8.2.3
pub(crate) fn as_frame(headers: &Headers) -> Headers {
    let mut frame = Headers::new(Kind::Request);
    for name in [&b":method"[..], b":scheme", b":authority", b":path"] {
        for value in headers.get_all(name) {
            frame.add(name, value);
        }
    }
    for (name, value) in headers.iter() {
        if !frame.contains_key(name) && name.starts_with(b":") {
            frame.add(name, value);
        }
    }
    for (name, value) in headers.iter() {
        if !name.starts_with(b":") {
            frame.add_line(name, value);
        }
    }
    join_cookies(&mut frame);
    frame
}

/// Puts the cookies of a message over HTTP/2 together, in a line behind everything else. Nothing is
/// parted from what comes behind it, and cookies without a letter are none.
pub(crate) fn join_cookies(headers: &mut Headers) {
    let mut cookies: Option<Vec<u8>> = None;
    for value in headers.get_all("cookie") {
        let joined = cookies.get_or_insert_default();
        if !joined.is_empty() {
            joined.extend(b"; ");
        }
        joined.extend(value);
    }
    let Some(cookies) = cookies else { return };
    headers.remove(b"cookie");
    if !cookies.is_empty() {
        headers.add_line(b"cookie", &cookies);
    }
}

/// Puts cookies together in the place of the first, as Envoys did that wrote them over HTTP/2.
pub(crate) fn gather_cookies(headers: &mut Headers) {
    let cookies: Vec<&[u8]> = headers.get_all("cookie").collect();
    if cookies.len() < 2 {
        return;
    }
    let mut gathered = Some(cookies.join(&b"; "[..]));
    let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    let lines: Vec<(Vec<u8>, Vec<u8>)> = headers.iter().map(owned).collect();
    headers.retain(|_| false);
    for (name, value) in lines {
        if name != b"cookie" {
            headers.add_line(&name, &value);
        } else if let Some(cookies) = gathered.take() {
            headers.add_line(&name, &cookies);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(protocol: Codec, lines: &[(&str, &str)]) -> String {
        let mut headers = Headers::new(Kind::Request);
        for (name, value) in [(":authority", "a"), (":path", "/"), (":method", "GET")] {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        for (name, value) in lines {
            headers.add(name.as_bytes(), value.as_bytes());
        }
        let version = EnvoyVersion::default();
        let mut headers = refusal::read(protocol, headers, true, version)
            .headers
            .unwrap_or_else(|| Headers::new(Kind::Request));
        strip_request(&mut headers, protocol);
        let lines = headers
            .iter()
            .map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii()));
        lines.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nominated_and_hop_by_hop_headers_do_not_reach_a_filter() {
        assert_eq!(
            shown(
                Codec::Http1,
                &[
                    ("connection", "te, keep-alive, X-Bar"),
                    ("x-bar", "1"),
                    ("x-foo", "2"),
                    ("te", "trailers, gzip"),
                    ("keep-alive", "5"),
                    ("upgrade", "foo"),
                ]
            ),
            ":authority=a :path=/ :method=GET x-foo=2 te=trailers"
        );
    }

    #[test]
    fn another_transfer_coding_than_trailers_is_dropped() {
        assert_eq!(
            shown(Codec::Http1, &[("te", "gzip")]),
            ":authority=a :path=/ :method=GET"
        );
    }

    #[test]
    fn http2_orders_pseudo_headers_and_joins_cookies_at_the_end() {
        assert_eq!(
            shown(
                Codec::Http2,
                &[("cookie", "a=1"), ("x-m", "1"), ("cookie", "b=2")]
            ),
            ":method=GET :authority=a :path=/ x-m=1 cookie=a=1; b=2"
        );
    }
}
