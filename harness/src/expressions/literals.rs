//! Strings and bytes as they are written.

use std::sync::Arc;

use super::lexer::Token;
use super::parser::Refused;
use super::value::Value;

/// How a string is written.
#[derive(Clone, Copy)]
struct Kind {
    bytes: bool,
    raw: bool,
    quote: char,
    /// In three quotes, which may hold single ones and line ends.
    long: bool,
}

/// The string that a text begins with, and how much of the text it takes; none if it begins with
/// something else.
pub(super) fn quoted(text: &str) -> Result<Option<(Token, usize)>, Refused> {
    let Some((kind, opening)) = opening(text) else {
        return Ok(None);
    };
    let closing: String = std::iter::repeat_n(kind.quote, if kind.long { 3 } else { 1 }).collect();
    let mut written = Vec::new();
    let mut at = opening;
    loop {
        let rest = &text[at..];
        if rest.starts_with(&closing) {
            let shared: Arc<[u8]> = written.into();
            let value = if kind.bytes {
                Value::Bytes(shared)
            } else {
                Value::String(shared)
            };
            return Ok(Some((Token::Literal(value), at + closing.len())));
        }
        let next = rest.chars().next().ok_or(Refused::Syntax)?;
        if !kind.long && matches!(next, '\n' | '\r') {
            return Err(Refused::Syntax);
        }
        at += if next == '\\' && !kind.raw {
            escape(&rest[1..], kind.bytes, &mut written)? + 1
        } else {
            let size = next.len_utf8();
            written.extend_from_slice(&rest.as_bytes()[..size]);
            size
        };
    }
}

/// `b`, then `r`, then quotes.
fn opening(text: &str) -> Option<(Kind, usize)> {
    let mut at = 0;
    let mut prefix = |letters: [char; 2]| {
        let found = text[at..].starts_with(letters);
        at += usize::from(found);
        found
    };
    let (bytes, raw) = (prefix(['b', 'B']), prefix(['r', 'R']));
    let rest = &text[at..];
    let quote = rest
        .chars()
        .next()
        .filter(|next| matches!(next, '"' | '\''))?;
    let long = rest.starts_with("\"\"\"") || rest.starts_with("'''");
    let kind = Kind {
        bytes,
        raw,
        quote,
        long,
    };
    Some((kind, at + if long { 3 } else { 1 }))
}

/// Writes what stands behind a backslash, and gives its length.
fn escape(text: &str, bytes: bool, written: &mut Vec<u8>) -> Result<usize, Refused> {
    let first = text.chars().next().ok_or(Refused::Syntax)?;
    let plain = match first {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' | '?' | '"' | '\'' | '`' => first as u8,
        'x' | 'X' => return coded(text, (1, 2, 16), bytes, written),
        'u' if !bytes => return coded(text, (1, 4, 16), bytes, written),
        'U' if !bytes => return coded(text, (1, 8, 16), bytes, written),
        '0'..='3' => return coded(text, (0, 3, 8), bytes, written),
        _ => return Err(Refused::Syntax),
    };
    written.push(plain);
    Ok(1)
}

/// A code point, or a byte, by its number: where the digits begin, how many there are, their base.
fn coded(
    text: &str,
    (start, count, radix): (usize, usize, u32),
    bytes: bool,
    written: &mut Vec<u8>,
) -> Result<usize, Refused> {
    let digits = text.get(start..start + count).ok_or(Refused::Syntax)?;
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(Refused::Syntax);
    }
    let number = u32::from_str_radix(digits, radix).map_err(|_| Refused::Syntax)?;
    if bytes {
        written.push(u8::try_from(number).map_err(|_| Refused::Syntax)?);
    } else {
        let character = char::from_u32(number).ok_or(Refused::Syntax)?;
        written.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(start + count)
}
