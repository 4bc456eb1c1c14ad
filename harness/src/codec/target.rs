//! Targets of requests, and what reads as a URL in a header.

use std::net::IpAddr;

/// What `balsa_parser.cc` takes for a target that is not of CONNECT: a path, an asterisk, or a URL.
pub(super) fn is_target(target: &[u8]) -> bool {
    let of_path = |byte: &u8| matches!(byte, 0x0c | b'!'..=b'~');
    if let [b'/' | b'*', rest @ ..] = target {
        return rest.iter().all(of_path);
    }
    let of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let end = target.iter().position(|byte| !of_scheme(byte));
    let (scheme, rest) = target.split_at(end.unwrap_or(target.len()));
    let Some(rest) = rest.strip_prefix(b"://") else {
        return false;
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    let (host, path) = rest.split_at(end.unwrap_or(rest.len()));
    let of_host =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=@[]_~".contains(byte);
    scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && host.iter().all(of_host)
        && !host.windows(2).any(|pair| pair == b"@@")
        && path.iter().all(of_path)
}

/// What a URL as the target is made of.
pub(super) struct Url<'a> {
    pub(super) scheme: &'a [u8],
    /// Host and port.
    pub(super) host: &'a [u8],
    /// Path and query; nothing if there is neither.
    pub(super) path: &'a [u8],
}

/// Takes a URL apart. None if its scheme, its host or its port is none.
pub(super) fn url(target: &[u8]) -> Option<Url<'_>> {
    let end = target.iter().position(|byte| *byte == b':')?;
    let (scheme, rest) = target.split_at(end);
    let rest = rest.strip_prefix(b"://")?;
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?'));
    let (host, path) = rest.split_at(end.unwrap_or(rest.len()));
    let mut users = host.splitn(2, |byte| *byte == b'@');
    let (first, second) = (users.next()?, users.next());
    let host = second.unwrap_or(first);
    let is_url =
        !scheme.is_empty() && scheme.iter().all(u8::is_ascii_alphabetic) && is_authority(host);
    is_url.then_some(Url { scheme, host, path })
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
    let is_host = match authority.starts_with(b"[") {
        true => std::str::from_utf8(host).is_ok_and(|host| host.parse::<IpAddr>().is_ok()),
        false => {
            let in_host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
            !host.is_empty() && host.iter().all(in_host)
        }
    };
    let port = match port {
        [] => true,
        [b':', digits @ ..] => std::str::from_utf8(digits)
            .is_ok_and(|digits| !digits.is_empty() && digits.parse::<u16>().is_ok()),
        _ => false,
    };
    is_host && port
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
            "http://[a]/",
            "://a",
        ] {
            assert!(!is_referer(gone.as_bytes()), "{gone}");
        }
    }
}
