use std::fmt::Write as _;

/// A value to be written into a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Yaml {
    /// Text in quotes unless it is read as itself without.
    Text(Vec<u8>),
    /// A number or a word that is no text.
    Word(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Yaml {
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn word(word: impl ToString) -> Self {
        Self::Word(word.to_string())
    }

    /// On one line.
    pub(crate) fn flow(&self) -> String {
        match self {
            Self::Text(bytes) => text(bytes),
            Self::Word(word) => word.clone(),
            Self::List(elements) => {
                let elements: Vec<String> = elements.iter().map(Self::flow).collect();
                format!("[{}]", elements.join(", "))
            }
            Self::Map(entries) => {
                let entry = |(key, value): &(String, Self)| {
                    format!("{}: {}", text(key.as_bytes()), value.flow())
                };
                let entries: Vec<String> = entries.iter().map(entry).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }

    /// As what follows `key:` or `-`, whose own column is `column`, from 0: a blank and a short
    /// value, or lines further in.
    pub(crate) fn block(&self, column: usize) -> String {
        let flow = self.flow();
        let short = match self {
            Self::Text(_) | Self::Word(_) => true,
            Self::List(elements) => {
                elements.is_empty()
                    || flow.len() <= 60 && elements.iter().all(|element| !element.is_map())
            }
            Self::Map(entries) => entries.is_empty(),
        };
        if short {
            return format!(" {flow}");
        }
        let indent = " ".repeat(column + 2);
        let mut text_block = String::new();
        match self {
            Self::List(elements) => {
                for element in elements {
                    let written = match element {
                        Self::Map(entries) if !entries.is_empty() => element
                            .block(column + 2)
                            .trim_start_matches(['\n', ' '])
                            .to_owned(),
                        element => element.flow(),
                    };
                    // Writing to a `String` cannot fail.
                    let _ = write!(text_block, "\n{indent}- {written}");
                }
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    let _ = write!(
                        text_block,
                        "\n{indent}{}:{}",
                        text(key.as_bytes()),
                        value.block(column + 2)
                    );
                }
            }
            Self::Text(_) | Self::Word(_) => {}
        }
        text_block
    }

    fn is_map(&self) -> bool {
        matches!(self, Self::Map(_))
    }
}

/// Text as a scalar; `{bytes: …}` where it is not UTF-8.
fn text(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return format!("{{bytes: {}}}", quoted(&bytes.escape_ascii().to_string()));
    };
    if is_plain(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Whether every reader takes the text for itself: no number, no boolean, no indicator.
fn is_plain(text: &str) -> bool {
    let harmless = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=".contains(letter);
    let word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.chars().all(harmless)
        && !word.contains(&text.to_ascii_lowercase().as_str())
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            letter if letter.is_control() || ('\u{2028}'..='\u{2029}').contains(&letter) => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn text_is_read_as_it_was_written() {
        for value in [
            "",
            "a",
            "1",
            "1.40",
            "true",
            "No",
            "~",
            "a: b",
            "- a",
            "#",
            "a #b",
            "\"",
            "\\",
            "'",
            "\n",
            "\u{0}\u{1b}\u{2028}",
            "é",
            "*a",
            "&a",
            "!x",
            "@",
            "%",
            " a ",
            "/x?y=1",
            "{",
            "[",
            "|",
        ] {
            for yaml in [
                format!("k: {}\n", text(value.as_bytes())),
                format!("k: [{}]\n", text(value.as_bytes())),
            ] {
                let node = parse(&yaml).unwrap();
                let mut found = node.get("k").unwrap();
                found = found.at(0).unwrap_or(found);
                assert_eq!(found.as_key(), Some(value), "{yaml}");
                assert!(!found.is_null(), "{yaml}");
            }
        }
    }

    #[test]
    fn nested_values_are_set_in() {
        let value = Yaml::Map(vec![
            ("status".into(), Yaml::word(200)),
            (
                "headers".into(),
                Yaml::Map(vec![("x-a".into(), Yaml::text("1"))]),
            ),
            (
                "log".into(),
                Yaml::List(vec![Yaml::Map(vec![
                    ("level".into(), Yaml::text("info")),
                    ("message".into(), Yaml::text("a: b")),
                ])]),
            ),
            (
                "lacks".into(),
                Yaml::List(vec![Yaml::text("b"), Yaml::text("c")]),
            ),
        ]);
        assert_eq!(
            format!("expect:{}", value.block(0)),
            "expect:\n  status: 200\n  headers:\n    x-a: \"1\"\n  log:\n    - level: info\n      \
             message: \"a: b\"\n  lacks: [b, c]"
        );
    }
}
