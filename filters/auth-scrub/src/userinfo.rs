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
    let front = text.get(..first)?;
    let before_scheme = front.strip_suffix(b":");
    let last = |text: &[u8]| text.iter().rposition(|&byte| byte == b'@');
    if let Some(sign) = last(front) {
        // Without them, what is left could be a URL, with others; its query and fragment have none.
        let is_url = slashes > 1 || (slashes == 1 && before_scheme.is_some());
        let query = text.iter().position(|byte| b"?#".contains(byte));
        let path = text.get(..query.unwrap_or(text.len()))?;
        let sign = if is_url { last(path)? } else { sign };
        return Some(text.get(sign + 1..)?.to_vec());
    }
    // They take any number of slashes behind a scheme for two.
    let behind_scheme = before_scheme.is_some_and(|scheme| {
        let sign = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        scheme.first().is_some_and(u8::is_ascii_alphabetic) && scheme.iter().all(sign)
    });
    if slashes < 2 && !(slashes == 1 && behind_scheme) {
        return None;
    }
    let start = first + slashes;
    let host = text.get(start..)?.split(|byte| ends(byte)).next()?;
    let sign = last(host).filter(|sign| *sign > 0)?;
    // Without a host behind it the sign stays: what follows would be one.
    let behind = start + sign + usize::from(sign + 1 < host.len());
    Some([text.get(..start)?, text.get(behind..)?].concat())
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
            ("//u:s@/b@c", Some("//@/b@c")),
            ("//@a", None),
            ("u@//h/?x=a@y&token=s", Some("//h/?x=a@y&token=s")),
            ("u@//v:s@h/#x@y", Some("h/#x@y")),
            ("u:s@a//b", Some("a//b")),
            ("u:s@a/b@c", Some("a/b@c")),
            ("u:s@a//b@c", Some("c")),
            ("u@http://u:s@a/b", Some("a/b")),
            ("u@http:/u:s@a:/u@b/c", Some("b/c")),
            ("u@a?b//c@d", Some("a?b//c@d")),
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
