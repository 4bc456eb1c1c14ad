//! A user and a password in front of a host (RFC 3986, 3.2.1): `authorization: Basic` by another way.

/// A host, or a URL, without them; `None` where there are none.
///
/// Envoy takes them from a URL in the request line, and leaves them in `host`. Hosts that are repeated it
/// joins by a comma; of those, the ones before a password go with it.
pub(crate) fn without(text: &[u8]) -> Option<Vec<u8>> {
    // Browsers take a backslash for a slash.
    let ends = |byte: &u8| b"/\\?#".contains(byte);
    let first = text.iter().position(ends).unwrap_or(text.len());
    let rest = text.get(first..).unwrap_or_default();
    let slashes = rest
        .iter()
        .take_while(|&byte| b"/\\".contains(byte))
        .count();
    // They take any number of slashes behind a scheme for two.
    let behind_scheme = text.get(..first)?.strip_suffix(b":").is_some_and(|scheme| {
        let sign = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(sign)
    });
    let start = match slashes {
        0 => 0,
        1 if !behind_scheme => 0,
        _ => first + slashes,
    };
    let host = text.get(start..)?.split(|byte| ends(byte)).next()?;
    let sign = host.iter().rposition(|&byte| byte == b'@')?;
    Some([text.get(..start)?, text.get(start + sign + 1..)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_other_byte_stays() {
        for (text, left) in [
            ("user:secret@a:80", Some("a:80")),
            ("secret@[::1]:80", Some("[::1]:80")),
            ("u:s@t@a", Some("a")),
            ("u:s@", Some("")),
            ("a,u:s@b,c", Some("b,c")),
            ("https://u:s@a/b?c@d#e@f", Some("https://a/b?c@d#e@f")),
            ("//u@a", Some("//a")),
            ("HTTP:\\\\u:s@a\\b", Some("HTTP:\\\\a\\b")),
            ("https:///u:s@a/", Some("https:///a/")),
            ("https://u:s@a?b", Some("https://a?b")),
            ("https:/u:s@a/b", Some("https:/a/b")),
            ("a:80/u:s@b", None),
            ("1:/u:s@b", None),
            ("a:80", None),
            ("a%40b", None),
            ("https://a/u:s@b", None),
            ("https://a?u:s@b", None),
            ("/a/u@b", None),
            ("/a?u=//c@d", None),
            ("", None),
        ] {
            let found = without(text.as_bytes());
            assert_eq!(found.as_deref(), left.map(str::as_bytes), "{text}");
        }
    }
}
