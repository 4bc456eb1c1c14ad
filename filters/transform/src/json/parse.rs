use std::borrow::Cow;
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
    read(text, Wanted::All)
}

/// The same, where nobody will ask for anything but what these pointers name: arrays and objects beside
/// their ways are [`Value::Unread`], which takes a tenth of the time.
///
/// # Errors
///
/// A [`Fault`], wherever [`parse`] has one.
pub(crate) fn parse_for<'a>(text: &'a str, pointers: &[&[String]]) -> Result<Document<'a>, Fault> {
    read(text, Wanted::Below(pointers))
}

/// What of a value will be asked for.
#[derive(Clone, Copy)]
enum Wanted<'w> {
    All,
    /// What these pointers name, from here on.
    Below(&'w [&'w [String]]),
}

impl<'w> Wanted<'w> {
    fn is_nothing(self) -> bool {
        matches!(self, Self::Below([]))
    }

    /// Where a pointer ends, everything is.
    fn here(self) -> Self {
        match self {
            Self::Below(pointers) if pointers.iter().any(|it| it.is_empty()) => Self::All,
            other => other,
        }
    }

    /// What of it is wanted of a part whose token passes; `room` is where that is kept.
    fn of<'r>(self, room: &'r mut Vec<&'w [String]>, is_named: impl Fn(&str) -> bool) -> Wanted<'r>
    where
        'w: 'r,
    {
        let Self::Below(pointers) = self else {
            return Wanted::All;
        };
        room.clear();
        let ways = pointers.iter().filter_map(|pointer| pointer.split_first());
        room.extend(ways.filter_map(|(token, rest)| is_named(token).then_some(rest)));
        Wanted::Below(room)
    }
}

fn read<'a>(text: &'a str, wanted: Wanted<'_>) -> Result<Document<'a>, Fault> {
    let mut reader = Reader { text, at: 0 };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    reader.blank();
    let before = reader.since(0);
    let value = reader.value(0, wanted)?;
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

/// The bytes at which a string does not just go on.
static IS_SPECIAL: [bool; 256] = {
    let mut is_special = [false; 256];
    let mut byte = 0;
    while byte < b' ' as usize {
        is_special[byte] = true;
        byte += 1;
    }
    is_special[b'"' as usize] = true;
    is_special[b'\\' as usize] = true;
    is_special
};

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
        self.pass_blank();
        self.since(start)
    }

    fn pass_blank(&mut self) {
        while let Some(byte) = self.peek()
            // Mostly it is something else, which one look tells.
            && byte <= b' '
            && matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
        {
            self.at += 1;
        }
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

    fn value(&mut self, depth: usize, wanted: Wanted<'_>) -> Result<Value<'a>, Fault> {
        match self.peek() {
            Some(b'{' | b'[') if wanted.is_nothing() => {
                let start = self.at;
                self.pass(depth)?;
                Ok(Value::Unread(self.since(start)))
            }
            Some(b'{') => self.object(depth + 1, wanted.here()),
            Some(b'[') => self.array(depth + 1, wanted.here()),
            Some(b'"') => {
                let start = self.at;
                self.pass_string()?;
                Ok(Value::String(Text::Source(self.since(start))))
            }
            Some(b'-' | b'0'..=b'9') => {
                let start = self.at;
                self.pass_number()?;
                Ok(Value::Number(Text::Source(self.since(start))))
            }
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.fault()),
        }
    }

    /// Goes past a value, which has to be one all the same.
    fn pass(&mut self, depth: usize) -> Result<(), Fault> {
        let close = match self.peek() {
            Some(b'{') => b'}',
            Some(b'[') => b']',
            Some(b'"') => return self.pass_string(),
            Some(b'-' | b'0'..=b'9') => return self.pass_number(),
            _ => return self.value(depth, Wanted::All).map(drop),
        };
        if depth >= MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.at += 1;
        self.pass_blank();
        if self.take(close) {
            return Ok(());
        }
        loop {
            if close == b'}' {
                if self.peek() != Some(b'"') {
                    return Err(self.fault());
                }
                self.pass_string()?;
                self.pass_blank();
                if !self.take(b':') {
                    return Err(self.fault());
                }
                self.pass_blank();
            }
            self.pass(depth + 1)?;
            self.pass_blank();
            if self.take(close) {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.fault());
            }
            self.pass_blank();
        }
    }

    fn array(&mut self, depth: usize, wanted: Wanted<'_>) -> Result<Value<'a>, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.at += 1;
        let mut before = self.blank();
        let mut array = Array::default();
        // Elements may yet move to any place.
        let mut room = Vec::new();
        let wanted = wanted.of(&mut room, |_| true);
        if self.take(b']') {
            array.blank = before;
            return Ok(Value::Array(Rc::new(array)));
        }
        loop {
            let value = self.value(depth, wanted)?;
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

    fn object(&mut self, depth: usize, wanted: Wanted<'_>) -> Result<Value<'a>, Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.at += 1;
        let mut before = self.blank();
        let mut object = Object::default();
        let mut room = Vec::new();
        if self.take(b'}') {
            object.blank = before;
            return Ok(Value::Object(Rc::new(object)));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.fault());
            }
            let start = self.at;
            self.pass_string()?;
            let key = Text::Source(self.since(start));
            let start = self.at;
            self.blank();
            if !self.take(b':') {
                return Err(self.fault());
            }
            self.blank();
            let between = self.since(start);
            let name = match wanted {
                Wanted::Below([_, ..]) => key.decoded(),
                _ => Cow::Borrowed(""),
            };
            let wanted = wanted.of(&mut room, |token| *name == *token);
            let value = self.value(depth, wanted)?;
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

    fn pass_string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        let bytes = self.text.as_bytes();
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|&byte| IS_SPECIAL[usize::from(byte)]);
            self.at += plain.unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(self.fault()),
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

    fn pass_number(&mut self) -> Result<(), Fault> {
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Pointer, print_document};

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
            let document = parse_for(text, &[]).expect("the text is JSON");
            assert_eq!(print_document(&document, usize::MAX).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_nobody_asks_for_is_not_read() {
        let text =
            r#"{"a": {"b": [1, {"c": [2]}, [3]], "d": {}}, "e": [4], "a": 5, "\u0061": [6]}"#;
        let is_unread = |pointer: &str, at: &str| {
            let pointer = Pointer::parse(pointer).expect("a pointer");
            let document = parse_for(text, &[pointer.tokens()]).expect("the text is JSON");
            let printed = print_document(&document, usize::MAX);
            assert_eq!(printed.as_deref(), Ok(text));
            let Value::Object(object) = &document.value else {
                panic!("{pointer:?}: an object");
            };
            // In all members of a name.
            let mut members = object.members.iter().filter(|member| member.key.says(at));
            members.all(|member| matches!(member.value, Value::Unread(_) | Value::Number(_)))
        };
        assert!(!is_unread("/a/b/1", "a"));
        assert!(is_unread("/a/b/1", "e"));
        assert!(is_unread("/x", "a"));
        let document = parse_for(text, &[&["a".to_owned(), "b".to_owned(), "1".to_owned()]]);
        let document = document.expect("the text is JSON");
        let Value::Object(object) = &document.value else {
            panic!("an object");
        };
        let inside = object.members[0].value.member("b").expect("a member");
        let kinds: Vec<bool> = inside
            .elements()
            .expect("an array")
            .map(|value| matches!(value, Value::Unread(_)))
            .collect();
        assert_eq!(kinds, [false, false, false], "elements may move");
        assert!(matches!(
            object.members[0].value.member("d"),
            Some(Value::Unread("{}"))
        ));
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
            assert_eq!(
                parse_for(text, &[]).err(),
                Some(Fault::Syntax(at)),
                "{text}"
            );
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        assert!(parse_for(&nested(MAX_DEPTH), &[]).is_ok());
        let deep = nested(MAX_DEPTH + 1);
        assert_eq!(parse_for(&deep, &[]).err(), Some(Fault::Depth));
        assert_eq!(parse(&nested(MAX_DEPTH + 1)).err(), Some(Fault::Depth));
        assert_eq!(parse(&"[".repeat(1_000_000)).err(), Some(Fault::Depth));
        assert_eq!(parse(&"{\"a\":".repeat(200)).err(), Some(Fault::Depth));
    }
}
