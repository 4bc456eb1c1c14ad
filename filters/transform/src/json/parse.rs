use std::fmt;
use std::rc::Rc;

use super::{Array, Element, Member, Object, Text, Value};

/// How deeply arrays and objects may be nested.
pub const MAX_DEPTH: usize = 128;

/// A text of JSON: the value with what stands around it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Document<'a> {
    pub(crate) before: &'a str,
    /// The value.
    pub value: Value<'a>,
    pub(crate) after: &'a str,
}

/// Why a text is not JSON (RFC 8259), or too deep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// It breaks the grammar at this byte.
    Syntax(usize),
    /// It is nested deeper than [`MAX_DEPTH`].
    Depth,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(at) => write!(formatter, "not JSON at byte {at}"),
            Self::Depth => write!(formatter, "nested deeper than {MAX_DEPTH}"),
        }
    }
}

impl std::error::Error for Fault {}

/// Reads a text of JSON. A byte order mark before it is kept, as white space is.
///
/// # Errors
///
/// A [`Fault`].
pub fn parse(text: &str) -> Result<Document<'_>, Fault> {
    let mut reader = Reader { text, at: 0 };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    reader.blank();
    let before = reader.since(0);
    let value = reader.value(0)?;
    let end = reader.at;
    reader.blank();
    if reader.at < text.len() {
        return Err(reader.fault());
    }
    Ok(Document {
        before,
        value,
        after: reader.since(end),
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn fault(&self) -> Fault {
        Fault::Syntax(self.at)
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// White space.
    fn blank(&mut self) -> &'a str {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.since(start)
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Fault> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.fault());
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.fault()),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.at += 1;
        let mut before = self.blank();
        let mut array = Array::default();
        if self.take(b']') {
            array.blank = before;
            return Ok(Value::Array(Rc::new(array)));
        }
        loop {
            let value = self.value(depth)?;
            let after = self.blank();
            array.elements.push(Element {
                before,
                value,
                after,
            });
            if self.take(b']') {
                return Ok(Value::Array(Rc::new(array)));
            }
            if !self.take(b',') {
                return Err(self.fault());
            }
            before = self.blank();
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.at += 1;
        let mut before = self.blank();
        let mut object = Object::default();
        if self.take(b'}') {
            object.blank = before;
            return Ok(Value::Object(Rc::new(object)));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault());
            }
            let key = self.string()?;
            let start = self.at;
            self.blank();
            if !self.take(b':') {
                return Err(self.fault());
            }
            self.blank();
            let between = self.since(start);
            let value = self.value(depth)?;
            let after = self.blank();
            object.members.push(Member {
                before,
                key,
                between,
                value,
                after,
            });
            if self.take(b'}') {
                return Ok(Value::Object(Rc::new(object)));
            }
            if !self.take(b',') {
                return Err(self.fault());
            }
            before = self.blank();
        }
    }

    fn string(&mut self) -> Result<Text<'a>, Fault> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text::Source(self.since(start)));
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) | None => return Err(self.fault()),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.fault());
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.fault()),
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.fault());
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        Ok(Value::Number(Text::Source(self.since(start))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::print_document;

    #[test]
    fn what_is_read_is_written_byte_by_byte() {
        for text in [
            "null",
            " [ ] ",
            "\u{feff}{ }\n",
            "{ \"a\" : 1.0 ,\n\t\"a\":[ 1 , 2e+05 ,-0 ], \"\\ud800\" : \"\\u00E9\\/\" }\r\n",
            "123456789012345678901234567890.10",
        ] {
            let document = parse(text).expect("the text is JSON");
            let printed = print_document(&document, usize::MAX).expect("it is small");
            assert_eq!(printed, text);
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for (text, at) in [
            ("", 0),
            ("nul", 0),
            ("[1,]", 3),
            ("{\"a\":1,}", 7),
            ("{a:1}", 1),
            ("01", 1),
            ("1.", 2),
            ("-", 1),
            ("1e", 2),
            ("+1", 0),
            ("\"\n\"", 1),
            ("\"\\x\"", 2),
            ("\"\\u12g4\"", 5),
            ("\"", 1),
            ("[1 2]", 3),
            ("{} {}", 3),
            ("NaN", 0),
            ("[\u{a0}1]", 1),
            ("\u{feff}\u{feff}1", 3),
        ] {
            assert_eq!(parse(text).err(), Some(Fault::Syntax(at)), "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(parse(&nested(MAX_DEPTH + 1)).err(), Some(Fault::Depth));
        assert_eq!(parse(&"[".repeat(1_000_000)).err(), Some(Fault::Depth));
        assert_eq!(parse(&"{\"a\":".repeat(200)).err(), Some(Fault::Depth));
    }
}
