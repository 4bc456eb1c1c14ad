//! Names and values in a request: its cookies, and the parameters of its query.

use std::borrow::Cow;

/// The values of the cookie `name` in lines of `cookie` (RFC 6265, 4.2.1).
pub(super) fn cookies<'a>(lines: Vec<&'a [u8]>, name: &[u8]) -> Vec<&'a [u8]> {
    let pairs = lines.into_iter().flat_map(|line| line.split(is(b';')));
    pairs
        .filter_map(|pair| {
            let (own, value) = cut(pair.trim_ascii());
            // What is empty is no cookie of any name.
            let is_meant = own.trim_ascii_end() == name && (value.is_some() || !own.is_empty());
            is_meant.then(|| value.unwrap_or_default().trim_ascii())
        })
        .collect()
}

/// The values of the parameter `name` in a query, as the form of a browser writes it.
pub(super) fn parameters<'a>(query: Option<&'a [u8]>, name: &[u8]) -> Vec<Cow<'a, [u8]>> {
    let pairs = query.into_iter().flat_map(|query| query.split(is(b'&')));
    pairs
        .filter_map(|pair| {
            let (own, value) = cut(pair);
            let is_meant = !pair.is_empty() && *decoded(own) == *name;
            is_meant.then(|| decoded(value.unwrap_or_default()))
        })
        .collect()
}

fn is(separator: u8) -> impl Fn(&u8) -> bool {
    move |&byte| byte == separator
}

/// What stands before the first `=`, and what behind it; `None` without one.
fn cut(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut parts = pair.splitn(2, is(b'='));
    (parts.next().unwrap_or_default(), parts.next())
}

/// Without percent-encoding, and with blanks for `+`. A `%` that begins no such byte stays.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => match encoded(behind) {
                Some(byte) => {
                    rest = behind.get(2..).unwrap_or_default();
                    byte
                }
                None => b'%',
            },
            byte => byte,
        });
    }
    Cow::Owned(bytes)
}

/// The byte that two hexadecimal digits at the front are.
fn encoded(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_of_a_cookie_is_found_in_every_line() {
        let lines = || vec![&b"a=1; b=2;a=\"3\"; A=4"[..], b" a = 5 ;a; aa=6; =7; ;a="];
        let found = cookies(lines(), b"a");
        assert_eq!(found, [&b"1"[..], b"\"3\"", b"5", b"", b""]);
        assert_eq!(cookies(lines(), b""), [b"7"]);
        assert!(cookies(lines(), b"c").is_empty());
        assert_eq!(cookies(vec![b"\xff=\xfe=x"], b"\xff"), [b"\xfe=x"]);
    }

    #[test]
    fn each_value_of_a_parameter_is_decoded() {
        let query = b"a=1&b=2&%61=a%2Bb+c&a&&a=%f&a=%zz%C3%A9&A=3&a=%";
        let found = parameters(Some(query), b"a");
        let expected: [&[u8]; 6] = [b"1", b"a+b c", b"", b"%f", "%zz\u{e9}".as_bytes(), b"%"];
        assert_eq!(found, expected);
        assert!(parameters(Some(b""), b"").is_empty());
        assert!(parameters(None, b"a").is_empty());
        assert_eq!(parameters(Some(b"x y=1"), b"x y").len(), 1);
    }
}
