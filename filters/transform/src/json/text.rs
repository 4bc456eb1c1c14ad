//! Strings as JSON spells them.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` in quotes.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut spelt = String::with_capacity(text.len() + 2);
    spelt.push('"');
    encode_into(&mut spelt, text);
    spelt.push('"');
    spelt
}

/// `text` as it stands between quotes.
pub fn encode_into(spelt: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => spelt.push_str("\\\""),
            '\\' => spelt.push_str("\\\\"),
            '\n' => spelt.push_str("\\n"),
            '\r' => spelt.push_str("\\r"),
            '\t' => spelt.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a `String` cannot fail.
                let _ = write!(spelt, "\\u{:04x}", u32::from(control));
            }
            other => spelt.push(other),
        }
    }
}

/// What a string that was read, in its quotes, says.
pub(super) fn decode(spelt: &str) -> Cow<'_, str> {
    let inner = spelt
        .get(1..spelt.len().saturating_sub(1))
        .unwrap_or_default();
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        text.push_str(plain);
        let (character, length) = unescape(escape);
        text.push(character);
        rest = escape.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character that the escape at the start of `text` stands for, and the escape's length.
fn unescape(text: &str) -> (char, usize) {
    let plain = |character| (character, 2);
    match text.as_bytes().get(1) {
        Some(b'b') => plain('\u{8}'),
        Some(b'f') => plain('\u{c}'),
        Some(b'n') => plain('\n'),
        Some(b'r') => plain('\r'),
        Some(b't') => plain('\t'),
        Some(b'u') => {
            let first = unit(text);
            if let 0xd800..0xdc00 = first
                && let Some(second @ 0xdc00..0xe000) = text.get(6..).map(unit)
            {
                let scalar = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return (char::from_u32(scalar).unwrap_or('\u{fffd}'), 12);
            }
            (char::from_u32(first).unwrap_or('\u{fffd}'), 6)
        }
        Some(other) => plain(char::from(*other)),
        None => ('\\', 1),
    }
}

/// The number behind `\u`; 0 where there is none.
fn unit(text: &str) -> u32 {
    let digits = text.strip_prefix("\\u").and_then(|digits| digits.get(..4));
    digits
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read() {
        for (spelt, text) in [
            (r#""""#, ""),
            (r#""a\/b\\c\"d""#, "a/b\\c\"d"),
            (r#""\b\f\n\r\t""#, "\u{8}\u{c}\n\r\t"),
            (r#""\u00e9\ud83d\ude00""#, "é😀"),
            (r#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        ] {
            assert_eq!(decode(spelt), text, "{spelt}");
        }
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        let text = "a\"\\\u{0}\u{1f}\n\r\té😀/";
        assert_eq!(decode(&encode(text)), text);
        assert_eq!(encode("\u{1}"), r#""\u0001""#);
    }
}
