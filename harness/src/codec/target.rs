//! Targets of requests, and what Envoy makes of those, and of headers, that it does not route.

use crate::envoy_version::{EnvoyVersion, VersionDifference};
use crate::headers::Headers;
use crate::tunnel::is_upgrade;

/// Why a request is answered before any filter sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refused {
    pub(crate) status: u32,
    pub(crate) body: &'static str,
    pub(crate) details: &'static str,
    /// Whether the peer broke the protocol.
    pub(crate) protocol_error: bool,
    /// Whether the connection is closed behind the answer.
    pub(crate) closes: bool,
}

/// The details of a path that Envoy does not normalize.
pub(crate) const NOT_NORMAL: &str = "path_normalization_failed";

/// What Envoy answers to a target that it takes for none, as the filters would see it.
pub(crate) fn refused(headers: &Headers, http1: bool, envoy: EnvoyVersion) -> Option<Refused> {
    let target = headers.get(":path")?;
    let method = headers.get(":method").unwrap_or_default();
    let codec = |details| Refused {
        status: 400,
        body: "Bad Request",
        details,
        protocol_error: true,
        closes: true,
    };
    let query = method == b"QUERY";
    let unknown = query && envoy.is_before(VersionDifference::QueryIsKnown);
    if http1 && (!target.is_ascii() || unknown || !is_method(method)) {
        return Some(codec("http1.codec_error"));
    }
    let is_control = |&byte: &u8| byte < b' ' && byte != b'\t' || byte == 0x7f;
    if http1
        && !headers.are_free_of_controls()
        && headers
            .iter()
            .any(|(name, value)| name != b":path" && value.iter().any(is_control))
    {
        return Some(codec("http1.invalid_characters"));
    }
    if query && !unknown && !headers.contains_key("content-type") {
        return Some(Refused {
            status: 400,
            body: "",
            details: "query_missing_content_type",
            protocol_error: false,
            closes: true,
        });
    }
    match target {
        b"" => None,
        b"*" if http1 && method != b"OPTIONS" => Some(codec("http1.invalid_url")),
        [b'/', ..] if target.contains(&b'#') => Some(Refused {
            status: 400,
            body: "",
            details: NOT_NORMAL,
            protocol_error: false,
            closes: true,
        }),
        [b'/', ..] => None,
        _ if http1 && (target == b"*" || after_scheme(target).is_some()) => Some(Refused {
            status: 404,
            body: "",
            details: "absolute_path_rejected",
            protocol_error: false,
            closes: false,
        }),
        _ if http1 => Some(codec("http1.codec_error")),
        _ => None,
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
        status: 403,
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

/// What follows the scheme of a URL.
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"]
        .into_iter()
        .find_map(|scheme| {
            let (begin, rest) = target.split_at_checked(scheme.len())?;
            begin.eq_ignore_ascii_case(scheme).then_some(rest)
        })
}

/// Takes a URL as the target apart: its host becomes the request's ([RFC 9112, 3.2.2]). One whose path
/// does not begin with a slash stays whole, and is refused.
///
/// [RFC 9112, 3.2.2]: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2
pub(crate) fn absolute(headers: &mut Headers) {
    let target = headers.get(":path").unwrap_or_default();
    let Some(rest) = after_scheme(target) else {
        return;
    };
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let (host, path) = rest.split_at(end.unwrap_or(rest.len()));
    let path = if path.is_empty() { b"/" } else { path };
    if !path.starts_with(b"/") {
        return;
    }
    let scheme = &target[..target.len() - rest.len() - b"://".len()];
    let (scheme, host, path) = (scheme.to_ascii_lowercase(), host.to_vec(), path.to_vec());
    let method = headers.get(":method").unwrap_or_default().to_vec();
    headers.set(b":authority", &host);
    for (name, value) in [
        (&b":scheme"[..], scheme),
        (b":path", path),
        (b":method", method),
    ] {
        headers.replace(name, &value);
    }
}

/// Whether Envoy keeps this as the `referer` of a request
/// (`ConnectionManagerUtility::mutateRequestHeaders`): one that reads as a URL, whole or relative,
/// without a fragment.
pub(crate) fn is_referer(value: &[u8]) -> bool {
    let printed = |byte: &u8| (0x21..=0x7e).contains(byte) && *byte != b'#';
    if !value.iter().all(printed) {
        return false;
    }
    let Some(end) = value
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b':'))
    else {
        return is_relative(value);
    };
    match value.split_at(end) {
        ([], [b':', ..]) => false,
        ([], _) => true,
        (scheme, [b':', rest @ ..]) => {
            scheme.iter().all(u8::is_ascii_alphabetic)
                && rest.strip_prefix(b"//").is_some_and(is_authority)
        }
        (first, _) => is_relative(first),
    }
}

/// What may stand before the first slash of a path.
fn is_relative(first: &[u8]) -> bool {
    !first.iter().any(|byte| {
        matches!(
            byte,
            b'|' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'}' | b'\\'
        )
    })
}

/// Whether a URL goes on with a host, and a port if there is a colon.
fn is_authority(rest: &[u8]) -> bool {
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    let authority = &rest[..end.unwrap_or(rest.len())];
    let (host, port) = match authority {
        [b'[', rest @ ..] => match rest.iter().position(|byte| *byte == b']') {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => return false,
        },
        _ => {
            let colon = authority.iter().position(|byte| *byte == b':');
            authority.split_at(colon.unwrap_or(authority.len()))
        }
    };
    let in_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':');
    let port = match port {
        [] => true,
        [b':', digits @ ..] => std::str::from_utf8(digits)
            .is_ok_and(|digits| !digits.is_empty() && digits.parse::<u16>().is_ok()),
        _ => false,
    };
    !host.is_empty() && host.iter().all(in_host) && port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_referer_is_kept_where_envoy_keeps_it() {
        for kept in [
            "",
            "v",
            "/x",
            "//a",
            "?x",
            "x?y",
            "*",
            "%zz",
            "http://a/b",
            "HTTP://a",
            "ftp://a",
            "x://y",
            "http://[::1]/",
            "http://a:0/",
            "http://a?x",
            "http://a/:x",
            "http://a/\\x",
        ] {
            assert!(is_referer(kept.as_bytes()), "{kept}");
        }
        for gone in [
            "a, b",
            "http://a,http://b",
            "http://",
            "http:///x",
            "http://a:99999/",
            "http://a b/",
            "http://a/ b",
            "http://a#f",
            "http://\u{e9}/",
            "/x#f",
            "http://a:b/",
            "http://user@a/",
            "http://a_b/",
            "1http://x",
            "a:b",
            "mailto:x",
            "http://a:/",
            "http:/a",
            "http:a",
            "#f",
            "a|b",
            "a\"b",
            "a<b",
            "http://%zz/",
            "http://a:80:80/",
            "://a",
        ] {
            assert!(!is_referer(gone.as_bytes()), "{gone}");
        }
    }
}
