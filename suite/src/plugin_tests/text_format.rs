//! Protobuf's text format, without a schema: a tree in which a field that is given several times is a list.
//!
//! <https://protobuf.dev/reference/protobuf/textformat-spec/>, without extensions and `Any`, which the tests
//! do not have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::yaml::{Fault, Node, Place, Value};

/// How deep messages may stand in one another.
const DEEPEST: usize = 50;

/// Reads a message.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader {
        rest: text,
        place: Place { line: 1, column: 1 },
        length: text.len(),
    };
    reader.blank();
    reader.message(None, 0)
}

struct Reader<'t> {
    rest: &'t str,
    place: Place,
    /// Of the whole text.
    length: usize,
}

impl Reader<'_> {
    /// The fields until the closing sign, or until the end.
    fn message(&mut self, closing: Option<char>, depth: usize) -> Result<Node, Fault> {
        let (place, start) = (self.place, self.at());
        if depth > DEEPEST {
            return Err(self.fault("messages stand too deep in one another"));
        }
        let mut entries: Vec<(Node, Node)> = Vec::new();
        loop {
            if self.peek() == closing {
                self.step();
                self.blank();
                break;
            }
            let (name_place, name_start) = (self.place, self.at());
            let Some(name) = self.word() else {
                return Err(self.fault(match (self.peek(), closing) {
                    (None, Some(closing)) => format!("expected `{closing}` before the end"),
                    (Some('['), _) => "extensions and `Any` are not read here".to_owned(),
                    _ => "expected the name of a field".to_owned(),
                }));
            };
            let name_end = name_start + name.len();
            let colon = self.take(':');
            let value = self.value(colon, depth)?;
            let known = entries
                .iter_mut()
                .find(|(known, _)| known.as_key() == Some(&name));
            match known {
                Some((_, all)) => append(all, value),
                None => {
                    let key = scalar(name, true, name_place, name_start..name_end);
                    entries.push((key, value));
                }
            }
            if !self.take(',') {
                self.take(';');
            }
        }
        let value = Value::Map {
            entries,
            flow: false,
        };
        Ok(Node {
            place,
            span: start..self.at(),
            value,
            shared: false,
        })
    }

    /// What stands behind a name: only a message needs no colon.
    fn value(&mut self, colon: bool, depth: usize) -> Result<Node, Fault> {
        let (place, start) = (self.place, self.at());
        match self.peek() {
            Some(open @ ('{' | '<')) => {
                self.step();
                self.blank();
                self.message(Some(if open == '{' { '}' } else { '>' }), depth + 1)
            }
            Some('[') => {
                self.step();
                self.blank();
                let mut all = Vec::new();
                while !self.take(']') {
                    all.push(self.value(true, depth)?);
                    if !self.take(',') && self.peek() != Some(']') {
                        return Err(self.fault("expected `,` or `]`"));
                    }
                }
                Ok(Node {
                    place,
                    span: start..self.at(),
                    value: Value::List(all),
                    shared: false,
                })
            }
            _ if !colon => Err(self.fault("expected `:` or `{` behind the name of a field")),
            Some('"' | '\'') => {
                let mut bytes = Vec::new();
                while let Some(quote @ ('"' | '\'')) = self.peek() {
                    self.string(quote, &mut bytes)?;
                    self.blank();
                }
                Ok(text(bytes, place, start..self.at()))
            }
            _ => {
                let sign = if self.take('-') { "-" } else { "" };
                let Some(word) = self.word() else {
                    return Err(self.fault("expected a value"));
                };
                let word = format!("{sign}{word}");
                Ok(scalar(word, true, place, start..self.at()))
            }
        }
    }

    /// One string in quotes.
    fn string(&mut self, quote: char, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let opened = self.place;
        self.step();
        loop {
            match self.step() {
                None | Some('\n') => {
                    return Err(Fault::at(opened, "this string is not closed on its line"));
                }
                Some('\\') => self.escape(bytes)?,
                Some(sign) if sign == quote => return Ok(()),
                Some(sign) => {
                    bytes.extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
    }

    fn escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let unknown = self.fault("expected an escape such as `\\n`, `\\\"`, `\\x41` or `\\101`");
        let byte = match self.step() {
            Some('a') => 7,
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => b'\n',
            Some('r') => b'\r',
            Some('t') => b'\t',
            Some('v') => 11,
            Some(sign @ ('\\' | '\'' | '"' | '?')) => sign as u8,
            Some('x' | 'X') => match u8::try_from(self.digits(16, 2)) {
                Ok(byte) => byte,
                Err(_) => return Err(unknown),
            },
            Some(first @ '0'..='7') => {
                let first = first.to_digit(8).unwrap_or(0);
                let before = self.rest.len();
                let rest = self.digits(8, 2);
                let more = u32::try_from(before - self.rest.len()).unwrap_or(0);
                let code = first * 8_u32.pow(more) + if more == 0 { 0 } else { rest };
                match u8::try_from(code) {
                    Ok(byte) => byte,
                    Err(_) => return Err(unknown),
                }
            }
            Some(form @ ('u' | 'U')) => {
                let code = self.digits(16, if form == 'u' { 4 } else { 8 });
                let Some(sign) = char::from_u32(code) else {
                    return Err(unknown);
                };
                bytes.extend_from_slice(sign.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(unknown),
        };
        bytes.push(byte);
        Ok(())
    }

    /// A number of up to so many digits; without any it is larger than all that are meant.
    fn digits(&mut self, radix: u32, most: usize) -> u32 {
        let mut number: Option<u32> = None;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|sign| sign.to_digit(radix)) else {
                break;
            };
            self.step();
            number = Some(
                number
                    .unwrap_or(0)
                    .saturating_mul(radix)
                    .saturating_add(digit),
            );
        }
        number.unwrap_or(u32::MAX)
    }

    /// A name, or a number.
    fn word(&mut self) -> Option<String> {
        let of_word = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | '.' | '+');
        let end = self.rest.find(|sign| !of_word(sign));
        let word = self.rest[..end.unwrap_or(self.rest.len())].to_owned();
        if word.is_empty() {
            return None;
        }
        for _ in 0..word.len() {
            self.step();
        }
        self.blank();
        Some(word)
    }

    /// Passes a sign, if it comes next, and what is blank behind it.
    fn take(&mut self, sign: char) -> bool {
        let comes = self.peek() == Some(sign);
        if comes {
            self.step();
            self.blank();
        }
        comes
    }

    /// Passes blanks and comments.
    fn blank(&mut self) {
        while let Some(sign) = self.peek() {
            if sign == '#' {
                while self.peek().is_some_and(|sign| sign != '\n') {
                    self.step();
                }
            } else if sign.is_whitespace() {
                self.step();
            } else {
                return;
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn step(&mut self) -> Option<char> {
        let sign = self.peek()?;
        self.rest = &self.rest[sign.len_utf8()..];
        if sign == '\n' {
            self.place.line += 1;
            self.place.column = 1;
        } else {
            self.place.column += 1;
        }
        Some(sign)
    }

    fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::at(self.place, reason)
    }
}

/// One more of a field: lists of several are one.
fn append(all: &mut Node, value: Node) {
    let more = match value.value {
        Value::List(more) => more,
        _ => vec![value],
    };
    if let Value::List(known) = &mut all.value {
        known.extend(more);
        return;
    }
    let first = all.clone();
    all.value = Value::List([vec![first], more].concat());
}

fn scalar(text: String, plain: bool, place: Place, span: std::ops::Range<usize>) -> Node {
    Node {
        place,
        span,
        value: Value::Scalar { text, plain },
        shared: false,
    }
}

/// A string; bytes that are no text in Base64, as suites write them.
fn text(bytes: Vec<u8>, place: Place, span: std::ops::Range<usize>) -> Node {
    match String::from_utf8(bytes) {
        Ok(text) => scalar(text, false, place, span),
        Err(error) => {
            let key = scalar("base64".to_owned(), true, place, span.clone());
            let encoded = STANDARD.encode(error.as_bytes());
            let value = Value::Map {
                entries: vec![(key, scalar(encoded, false, place, span.clone()))],
                flow: true,
            };
            Node {
                place,
                span,
                value,
                shared: false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree in short: `{a: [1, "x"]}`.
    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Scalar { text, plain: true } => text.clone(),
            Value::Scalar { text, .. } => format!("{text:?}"),
            Value::List(all) => {
                let all: Vec<String> = all.iter().map(shown).collect();
                format!("[{}]", all.join(", "))
            }
            Value::Map { entries, .. } => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(key, value)| format!("{}: {}", shown(key), shown(value)))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    #[test]
    fn messages_strings_and_lists_are_read() {
        for (text, tree) in [
            ("", "{}"),
            ("# nothing\n", "{}"),
            (
                "a: 1 b: -2.5, c: true; d: NAME",
                "{a: 1, b: -2.5, c: true, d: NAME}",
            ),
            (
                "a { b: 'x' } a: < b: \"y\" >",
                r#"{a: [{b: "x"}, {b: "y"}]}"#,
            ),
            ("a: [1, 2] a: 3", "{a: [1, 2, 3]}"),
            ("a [{b: 1}, <b: 2>]", "{a: [{b: 1}, {b: 2}]}"),
            ("a: [] b {}", "{a: [], b: {}}"),
            (
                "a: 'one ' \"two\" # behind\n 'three'",
                r#"{a: "one twothree"}"#,
            ),
            (r#"a: "\n\"\'\\\x41\101\u00e9\?""#, r#"{a: "\n\"'\\AAé?"}"#),
            (r#"a: "\7\0""#, r#"{a: "\u{7}\0"}"#),
            (r#"a: "\xff\377""#, r#"{a: {base64: "//8="}}"#),
        ] {
            assert_eq!(
                parse(text).map(|node| shown(&node)),
                Ok(tree.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn faults_name_their_place() {
        for (text, place, reason) in [
            ("a {\n  b: 1\n", (3, 1), "expected `}` before the end"),
            ("a 1", (1, 3), "expected `:` or `{`"),
            ("a:\n  'x", (2, 3), "not closed"),
            ("a: \"\\q\"", (1, 6), "expected an escape"),
            ("a: \"\\400\"", (1, 6), "expected an escape"),
            ("a: }", (1, 4), "expected a value"),
            ("[a.b]: 1", (1, 1), "extensions"),
            ("a: [1 2]", (1, 7), "expected `,` or `]`"),
            ("}", (1, 1), "expected the name of a field"),
        ] {
            let fault = parse(text).unwrap_err();
            let (line, column) = place;
            assert_eq!(fault.place, Some(Place { line, column }), "{text}: {fault}");
            assert!(fault.reason.contains(reason), "{text}: {fault}");
        }
        let deep = "a{".repeat(200);
        assert!(parse(&deep).unwrap_err().reason.contains("too deep"));
    }
}
