//! Requests that Envoy answers before any filter sees them.

use super::{Codec, as_frame, http2, nominated, target};
use crate::envoy_version::{EnvoyVersion, VersionDifference};
use crate::headers::Headers;
use crate::router::is_header_value;
use crate::tunnel::{self, is_upgrade};

/// Why a request is answered before any filter sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refused {
    /// None where the stream is reset instead.
    pub(crate) status: Option<u32>,
    pub(crate) body: &'static str,
    pub(crate) details: &'static str,
    /// Whether the peer broke the protocol.
    pub(crate) protocol_error: bool,
    /// Whether the connection is closed behind the answer.
    pub(crate) closes: bool,
}

impl Refused {
    /// One by the codec, which has nobody see the headers.
    fn by_codec(details: &'static str) -> Self {
        Self {
            status: Some(400),
            body: "Bad Request",
            details,
            protocol_error: true,
            closes: true,
        }
    }

    /// One by the codec of HTTP/2.
    fn by_reset(details: &'static str) -> Self {
        Self {
            status: None,
            body: "",
            details,
            protocol_error: true,
            closes: true,
        }
    }

    /// One by the connection manager.
    fn by_manager(status: u32, details: &'static str) -> Self {
        Self {
            status: Some(status),
            body: "",
            details,
            protocol_error: false,
            closes: status != 404,
        }
    }
}

/// A request as the connection manager gets it.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// None where the codec has refused them.
    pub(crate) headers: Option<Headers>,
    pub(crate) refused: Option<Refused>,
    /// Whether its target is a URL.
    pub(crate) is_absolute: bool,
    /// Whether its client wants the connection closed behind the answer.
    pub(crate) closes: bool,
}

/// Reads the headers of a request as codec and connection manager do before these change any; `whole` if
/// there is no body.
pub(crate) fn read(
    codec: Codec,
    mut headers: Headers,
    whole: bool,
    envoy: EnvoyVersion,
) -> Arrived {
    let read = match codec {
        Codec::Http1 => read_http1(&mut headers, envoy).map_err(Refused::by_codec),
        Codec::Http2 => {
            headers = as_frame(&headers);
            http2::request(&headers)
                .map_err(Refused::by_reset)
                .map(|()| false)
        }
    };
    let is_absolute = match read {
        Ok(is_absolute) => is_absolute,
        Err(refused) => {
            return Arrived {
                headers: None,
                refused: Some(refused),
                is_absolute: false,
                closes: false,
            };
        }
    };
    let closes = codec == Codec::Http1 && asks_for_close(&headers);
    let refused = refused_by_manager(&headers, codec, envoy);
    if refused.is_some() && codec == Codec::Http1 {
        // A scheme is added, and the framing taken away, behind that.
        if !is_absolute {
            headers.remove(b":scheme");
        }
        let framed =
            headers.contains_key("content-length") || headers.contains_key("transfer-encoding");
        if !whole && !framed {
            headers.add(b"transfer-encoding", b"chunked");
        }
    }
    Arrived {
        headers: Some(headers),
        refused,
        is_absolute,
        closes,
    }
}

/// What the codec of HTTP/1.1 makes of a request: whether its target is a URL, or why it refuses it.
fn read_http1(headers: &mut Headers, envoy: EnvoyVersion) -> Result<bool, &'static str> {
    headers.trim();
    let method = headers.get(":method").unwrap_or_default();
    let path = headers.get(":path").unwrap_or_default();
    let unknown = method == b"QUERY" && envoy.is_before(VersionDifference::QueryIsKnown);
    if unknown || !is_method(method) || !target::is_target(path) {
        return Err("http1.codec_error");
    }
    if !headers.are_free_of_controls() && headers.iter().any(|(_, value)| !is_header_value(value)) {
        return Err("http1.invalid_characters");
    }
    tunnel::ignore_http2(headers);
    if !is_upgrade(headers) {
        nominated::strip(headers)
            .map_err(|nominated::Rejected| "http1.connection_header_rejected")?;
    }
    let is_absolute = absolute(headers)?;
    let host = headers.get(":authority");
    if host.is_some_and(|host| !is_host(host)) {
        return Err("http.invalid_authority");
    }
    Ok(is_absolute)
}

/// Takes a URL as the target apart: its host becomes the request's ([RFC 9112, 3.2.2]). Whether it was one.
///
/// [RFC 9112, 3.2.2]: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
fn absolute(headers: &mut Headers) -> Result<bool, &'static str> {
    let path = headers.get(":path").unwrap_or_default();
    if path.starts_with(b"/") {
        return Ok(false);
    }
    let method = headers.get(":method").unwrap_or_default();
    if method == b"OPTIONS" && path.starts_with(b"*") {
        return Ok(false);
    }
    let Some(url) = target::url(path) else {
        return Err("http1.invalid_url");
    };
    let scheme = url.scheme.to_ascii_lowercase();
    if scheme != b"http" && scheme != b"https" {
        return Err("http1.invalid_scheme");
    }
    let path = if url.path.is_empty() { b"/" } else { url.path };
    let (host, path, method) = (url.host.to_vec(), path.to_vec(), method.to_vec());
    headers.set(b":authority", &host);
    for (name, value) in [
        (&b":scheme"[..], scheme),
        (b":path", path),
        (b":method", method),
    ] {
        headers.replace(name, &value);
    }
    Ok(true)
}

/// Whether Envoy takes this for the host of a request (`HeaderUtility::authorityIsValid`).
fn is_host(host: &[u8]) -> bool {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()[]*+,;=:@".contains(byte);
    host.iter().all(valid)
}

/// Whether a client of HTTP/1.1 asks for its connection to be closed (`HeaderUtility::shouldCloseConnection`).
fn asks_for_close(headers: &Headers) -> bool {
    let close = |named: &[u8]| {
        let mut names = named.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.any(|name| name.eq_ignore_ascii_case(b"close"))
    };
    headers.get("connection").is_some_and(close)
        || headers.get("proxy-connection").is_some_and(close)
}

/// What the connection manager answers to a request that it takes for none.
fn refused_by_manager(headers: &Headers, codec: Codec, envoy: EnvoyVersion) -> Option<Refused> {
    let path = headers.get(":path")?;
    if codec == Codec::Http1 && !headers.contains_key(":authority") {
        return Some(Refused::by_manager(400, "missing_host_header"));
    }
    if headers.get(":method") == Some(b"QUERY")
        && !envoy.is_before(VersionDifference::QueryIsKnown)
        && !headers.contains_key("content-type")
    {
        return Some(Refused::by_manager(400, "query_missing_content_type"));
    }
    match path {
        [] => None,
        [b'/', ..] if path.contains(&b'#') => {
            Some(Refused::by_manager(400, "path_normalization_failed"))
        }
        [b'/', ..] => None,
        _ => Some(Refused::by_manager(404, "absolute_path_rejected")),
    }
}

/// The details of a request for an upgrade that the listener does not know.
pub(crate) const NO_UPGRADE: &str = "upgrade_failed";

/// What Envoy answers to a request for another upgrade than these.
pub(crate) fn refused_upgrade(
    headers: &Headers,
    http1: bool,
    upgrades: &[String],
) -> Option<Refused> {
    let to = headers.get("upgrade").unwrap_or_default();
    let known = |upgrade: &String| upgrade.as_bytes().eq_ignore_ascii_case(to);
    if !http1 || !is_upgrade(headers) || upgrades.iter().any(known) {
        return None;
    }
    Some(Refused {
        status: Some(403),
        body: "",
        details: NO_UPGRADE,
        protocol_error: false,
        closes: true,
    })
}

/// Whether Envoy's codec of HTTP/1.1 takes this for a method, letter for letter (`balsa_parser.cc`).
fn is_method(method: &[u8]) -> bool {
    matches!(
        method,
        b"ACL"
            | b"BIND"
            | b"CHECKOUT"
            | b"CONNECT"
            | b"COPY"
            | b"DELETE"
            | b"GET"
            | b"HEAD"
            | b"LINK"
            | b"LOCK"
            | b"MERGE"
            | b"MKACTIVITY"
            | b"MKCALENDAR"
            | b"MKCOL"
            | b"MOVE"
            | b"MSEARCH"
            | b"NOTIFY"
            | b"OPTIONS"
            | b"PATCH"
            | b"POST"
            | b"PROPFIND"
            | b"PROPPATCH"
            | b"PURGE"
            | b"PUT"
            | b"QUERY"
            | b"REBIND"
            | b"REPORT"
            | b"SEARCH"
            | b"SOURCE"
            | b"SUBSCRIBE"
            | b"TRACE"
            | b"UNBIND"
            | b"UNLINK"
            | b"UNLOCK"
            | b"UNSUBSCRIBE"
    )
}
