//! The grammar of JSON (RFC 8259).
//!
//! `serde_json` reads the same; its parser is 20 KB of a small module, and this 3.

use super::value::Document;
use super::{ConfigError, Quoted, pointer};
use crate::secret::Secret;

/// How deep a document may be nested, which the reader follows on the stack.
const DEPTH: usize = 128;

const ENDS: &str = "the text ends too early";

pub(super) fn read(bytes: &[u8]) -> Result<Document, ConfigError> {
    let mut reader = Reader {
        bytes,
        at: 0,
        twice: Vec::new(),
    };
    match reader.document() {
        Ok(document) => match reader.twice.first() {
            None => Ok(document),
            Some(key) => {
                let reason = format!("key {} given twice", Quoted(key));
                Err(ConfigError::at(pointer(&reader.twice), reason))
            }
        },
        Err(reason) => {
            let before = bytes.get(..reader.at).unwrap_or_default();
            let line = before.split(|&byte| byte == b'\n');
            let (lines, column) = line.fold((0, 0), |(lines, _), line| (lines + 1, line.len()));
            let reason = format!("not JSON: {reason} at line {lines} column {}", column + 1);
            Err(ConfigError::at("", reason))
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The first key that was given twice and the keys around it, innermost first.
    twice: Vec<String>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Document, &'static str> {
        let document = self.value(0)?;
        match self.peek() {
            None => Ok(document),
            Some(_) => Err("something follows the document"),
        }
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, &'static str> {
        let byte = self.byte().ok_or(ENDS)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let has = self.peek() == Some(byte);
        self.at += usize::from(has);
        has
    }

    fn expect(&mut self, byte: u8, otherwise: &'static str) -> Result<(), &'static str> {
        if self.take(byte) {
            return Ok(());
        }
        Err(if self.byte().is_none() {
            ENDS
        } else {
            otherwise
        })
    }

    fn value(&mut self, depth: usize) -> Result<Document, &'static str> {
        if depth > DEPTH {
            return Err("it is nested too deeply");
        }
        match self.peek().ok_or(ENDS)? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => Ok(Document::Text(Secret::new(self.text()?))),
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                for (word, value) in [
                    (&b"null"[..], Document::Null),
                    (b"true", Document::Bool(true)),
                    (b"false", Document::Bool(false)),
                ] {
                    if self
                        .bytes
                        .get(self.at..)
                        .is_some_and(|rest| rest.starts_with(word))
                    {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err("expected a value")
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Document, &'static str> {
        self.at += 1;
        let mut members: Vec<(String, Document)> = Vec::new();
        if self.take(b'}') {
            return Ok(Document::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(if self.byte().is_none() {
                    ENDS
                } else {
                    "key must be a string"
                });
            }
            let key = self.text()?;
            self.expect(b':', "expected `:`")?;
            let known = !self.twice.is_empty();
            let value = self.value(depth + 1)?;
            if !known && !self.twice.is_empty() {
                self.twice.push(key.clone());
            }
            if self.twice.is_empty() && members.iter().any(|(other, _)| *other == key) {
                self.twice.push(key.clone());
            }
            members.push((key, value));
            if self.take(b'}') {
                return Ok(Document::Object(members));
            }
            self.expect(b',', "expected `,` or `}`")?;
        }
    }

    fn list(&mut self, depth: usize) -> Result<Document, &'static str> {
        self.at += 1;
        let mut values = Vec::new();
        if self.take(b']') {
            return Ok(Document::List(values));
        }
        loop {
            let known = !self.twice.is_empty();
            let value = self.value(depth + 1)?;
            if !known && !self.twice.is_empty() {
                self.twice.push(values.len().to_string());
            }
            values.push(value);
            if self.take(b']') {
                return Ok(Document::List(values));
            }
            self.expect(b',', "expected `,` or `]`")?;
        }
    }

    fn number(&mut self) -> Result<Document, &'static str> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        let leading_zero = self.byte() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return Err("invalid number");
        }
        let mut is_whole = true;
        if self.byte() == Some(b'.') {
            self.at += 1;
            is_whole = false;
            if self.digits() == 0 {
                return Err("invalid number");
            }
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            is_whole = false;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err("invalid number");
            }
        }
        let text = self.bytes.get(start..self.at).unwrap_or_default();
        // It is made of ASCII.
        let text = std::str::from_utf8(text).unwrap_or_default();
        let (unsigned, signed) = (text.parse(), text.parse());
        Ok(match (unsigned, signed) {
            (Ok(number), _) if is_whole => Document::Unsigned(number),
            // That zero has a sign, which whole numbers do not tell.
            (_, Ok(number)) if is_whole && number != 0 => Document::Signed(number),
            _ => Document::Decimal(text.to_owned()),
        })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn text(&mut self) -> Result<String, &'static str> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => self.escape(&mut text)?,
                control if control < b' ' => {
                    self.at -= 1;
                    return Err("a control character stands in a string");
                }
                byte => text.push(byte),
            }
        }
        String::from_utf8(text).map_err(|_| "a string is no UTF-8")
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), &'static str> {
        const INVALID: &str = "invalid escape";
        text.push(match self.next()? {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut code = self.unit()?;
                if (0xd800..0xdc00).contains(&code) {
                    if (self.next()?, self.next()?) != (b'\\', b'u') {
                        return Err(INVALID);
                    }
                    let low = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400);
                    code = 0x10000 + ((code - 0xd800) << 10) + low.ok_or(INVALID)?;
                }
                let letter = char::from_u32(code).ok_or(INVALID)?;
                text.extend(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(INVALID),
        });
        Ok(())
    }

    fn unit(&mut self) -> Result<u32, &'static str> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = char::from(self.next()?).to_digit(16);
            unit = unit << 4 | digit.ok_or("invalid escape")?;
        }
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_json(document: &Document) -> serde_json::Value {
        match document {
            Document::Null => serde_json::Value::Null,
            Document::Bool(value) => (*value).into(),
            Document::Unsigned(value) => (*value).into(),
            Document::Signed(value) => (*value).into(),
            Document::Decimal(text) => serde_json::from_str(text).unwrap(),
            Document::Float(value) => (*value).into(),
            Document::Text(text) => text.expose().as_str().into(),
            Document::List(values) => values.iter().map(as_json).collect(),
            Document::Object(members) => {
                let member = |(key, value): &(String, Document)| (key.clone(), as_json(value));
                serde_json::Value::Object(members.iter().map(member).collect())
            }
        }
    }

    /// Every short text over these pieces, and what `serde_json` makes of it.
    #[test]
    fn it_reads_what_serde_json_reads_and_nothing_else() {
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"a\"",
            "\"\\u00e9\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"",
            "0",
            "-1",
            "1.5e3",
            "01",
            "-",
            "1.",
            "true",
            "nul",
            "null",
            " ",
            "\n",
            "é",
            "18446744073709551615",
            "18446744073709551616",
        ];
        let mut texts = vec![String::new()];
        for _ in 0..4 {
            let longer = texts
                .iter()
                .flat_map(|text| pieces.map(|piece| text.clone() + piece));
            texts = longer.collect();
            // All of one and two pieces, and a part of the longer ones.
            let step = texts.len() / 40_000 + 1;
            texts = texts.into_iter().step_by(step).collect();
            for text in &texts {
                let theirs: Result<serde_json::Value, _> = serde_json::from_str(text);
                let ours = read(text.as_bytes());
                if let Err(error) = &ours
                    && error.reason().contains("twice")
                {
                    continue;
                }
                // Here a number may be of any size until somebody asks for it.
                if let Err(error) = &theirs
                    && error.to_string().contains("out of range")
                {
                    continue;
                }
                assert_eq!(
                    ours.is_ok(),
                    theirs.is_ok(),
                    "{text:?}: {ours:?}, {theirs:?}"
                );
                if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                    assert_eq!(as_json(&ours), theirs, "{text:?}");
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        for bytes in [
            &b"\"\xff\""[..],
            b"\xff",
            b"\"a\nb\"",
            b"\"\x7f",
            b"{\"\xc3\":1}",
        ] {
            assert!(read(bytes).is_err());
        }
    }

    #[test]
    fn a_fault_has_line_and_column() {
        for (json, reason) in [
            ("", "the text ends too early at line 1 column 1"),
            ("{", "the text ends too early at line 1 column 2"),
            ("{\n  a", "key must be a string at line 2 column 3"),
            ("[1 2]", "expected `,` or `]` at line 1 column 4"),
            ("{} x", "something follows the document at line 1 column 4"),
        ] {
            let error = read(json.as_bytes()).unwrap_err();
            assert_eq!(error.reason(), format!("not JSON: {reason}"));
        }
    }
}
