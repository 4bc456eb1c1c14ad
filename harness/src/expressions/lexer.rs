//! Words of an expression, by CEL's lexical grammar.
//!
//! Reference: <https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax>.

use super::literals;
use super::parser::Refused;
use super::value::Value;

/// A word.
#[derive(Clone, Debug)]
pub(super) enum Token {
    Name(String),
    /// A name in backquotes, which may stand behind a point.
    Quoted(String),
    /// A whole number, whose sign decides what it may be.
    Int(u64),
    Literal(Value<'static>),
    Sign(&'static str),
    End,
}

/// Longest first.
const SIGNS: [&str; 24] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

/// The words of a text; Envoy refuses a text that has anything else.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Refused> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(['\t', ' ', '\r', '\n', '\u{c}']);
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.find('\n').map_or("", |end| &comment[end..]);
            continue;
        }
        let Some(first) = rest.chars().next() else {
            tokens.push(Token::End);
            return Ok(tokens);
        };
        let (token, size) = if let Some(found) = literals::quoted(rest)? {
            found
        } else if first.is_ascii_digit() || (first == '.' && digit(&rest.as_bytes()[1..])) {
            number(rest)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            word(rest)
        } else if let Some(inside) = rest.strip_prefix('`') {
            let end = inside.find('`').ok_or(Refused::Syntax)?;
            let name = &inside[..end];
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/ ".contains(&byte);
            if name.is_empty() || !name.bytes().all(fits) {
                return Err(Refused::Syntax);
            }
            (Token::Quoted(name.to_owned()), end + 2)
        } else {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            let sign = sign.ok_or(Refused::Syntax)?;
            (Token::Sign(sign), sign.len())
        };
        tokens.push(token);
        rest = &rest[size..];
    }
}

fn word(text: &str) -> (Token, usize) {
    let size = text
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count();
    let token = match &text[..size] {
        "in" => Token::Sign("in"),
        "true" => Token::Literal(Value::Bool(true)),
        "false" => Token::Literal(Value::Bool(false)),
        "null" => Token::Literal(Value::Null),
        name => Token::Name(name.to_owned()),
    };
    (token, size)
}

fn digit(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_digit)
}

fn digits(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count()
}

fn number(text: &str) -> Result<(Token, usize), Refused> {
    let bytes = text.as_bytes();
    let hexadecimal = bytes.starts_with(b"0x") && bytes.get(2).is_some_and(u8::is_ascii_hexdigit);
    if hexadecimal {
        let count = bytes[2..]
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        let number = u64::from_str_radix(&text[2..2 + count], 16);
        return whole(number.ok(), bytes, 2 + count);
    }
    let mut size = digits(bytes);
    let mut float = false;
    if bytes.get(size) == Some(&b'.') && digit(&bytes[size + 1..]) {
        float = true;
        size += 1 + digits(&bytes[size + 1..]);
    }
    if matches!(bytes.get(size), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(size + 1), Some(b'+' | b'-')));
        let exponent = digits(&bytes[(size + 1 + sign).min(bytes.len())..]);
        if exponent > 0 {
            float = true;
            size += 1 + sign + exponent;
        }
    }
    if float {
        let number = text[..size].parse().map_err(|_| Refused::Syntax)?;
        return Ok((Token::Literal(Value::Double(number)), size));
    }
    whole(text[..size].parse().ok(), bytes, size)
}

/// A whole number, which a `u` behind it makes unsigned.
fn whole(number: Option<u64>, bytes: &[u8], size: usize) -> Result<(Token, usize), Refused> {
    let number = number.ok_or(Refused::Syntax)?;
    Ok(match bytes.get(size) {
        Some(b'u' | b'U') => (Token::Literal(Value::Uint(number)), size + 1),
        _ => (Token::Int(number), size),
    })
}
