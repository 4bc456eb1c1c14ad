//! Percent-encoding (RFC 3986, 2.1).

use std::borrow::Cow;
use std::fmt::Write;

/// All bytes but the unreserved ones as `%XX`: what comes out is one segment of a path, or one name or
/// value of a query.
pub(crate) fn percent(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// What stands in a query or a form, where `+` is a blank; what is no escape stays.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(bytes);
    }
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match behind {
                [high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    rest = behind;
                    digit(*high) << 4 | digit(*low)
                }
                _ => b'%',
            },
            other => other,
        });
    }
    Cow::Owned(decoded)
}

fn digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        other => (other | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_one_part() {
        assert_eq!(
            percent("a/b?c&d=é\r\n".as_bytes()),
            "a%2Fb%3Fc%26d%3D%C3%A9%0D%0A"
        );
        assert_eq!(
            decode(percent(&[0, 255, b'%']).as_bytes()),
            &[0, 255, b'%'][..]
        );
    }

    #[test]
    fn what_is_no_escape_stays() {
        for (encoded, decoded) in [
            ("a+b%20c", "a b c"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("%%41", "%A"),
        ] {
            assert_eq!(decode(encoded.as_bytes()), decoded.as_bytes(), "{encoded}");
        }
    }
}
