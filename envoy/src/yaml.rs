use std::fmt::Write;

/// Writes YAML that a person can read and learn from, line by line.
#[derive(Debug, Default)]
pub(crate) struct Yaml {
    text: String,
    depth: usize,
}

impl Yaml {
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Writes a line as it is.
    pub(crate) fn line(&mut self, line: &str) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// Writes a line, and what belongs below it one step further in.
    pub(crate) fn within(&mut self, line: &str, below: impl FnOnce(&mut Self)) {
        self.line(line);
        self.depth += 1;
        below(self);
        self.depth -= 1;
    }

    /// Writes a key with a text that comes from outside.
    pub(crate) fn field(&mut self, key: &str, value: &str) {
        self.line(&format!("{key}: {}", quoted(value)));
    }

    /// Writes a key with a text that may have several lines. It is shown as
    /// it is where YAML keeps it unchanged, and quoted elsewhere.
    pub(crate) fn block(&mut self, key: &str, value: &str) {
        if !is_plain_block(value) {
            return self.field(key, value);
        }
        self.within(&format!("{key}: |-"), |yaml| {
            value.split('\n').for_each(|line| yaml.line(line))
        });
    }
}

/// A double-quoted scalar. JSON's escapes are YAML's; what YAML 1.1 takes for a
/// line break or refuses unescaped is escaped as well.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\0'..'\x20'
            | '\x7f'..='\u{a0}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a literal block scalar without its last line break (`|-`) gives
/// back exactly this text.
fn is_plain_block(text: &str) -> bool {
    let is_plain = |line: &str| {
        let blank = line.trim_matches(' ').is_empty();
        !blank && line.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    };
    !text.starts_with(' ') && text.split('\n').all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_quoted_so_that_it_stays_one_scalar() {
        assert_eq!(quoted("a: \"b\" # c\\"), r#""a: \"b\" # c\\""#);
        assert_eq!(
            quoted("\n\t\0\u{7f}\u{85}\u{2028}"),
            r#""\n\t\u0000\u007f\u0085\u2028""#
        );
        assert_eq!(quoted("größer 😀"), "\"größer 😀\"");
    }

    #[test]
    fn what_has_only_ascii_control_characters_is_quoted_as_json_quotes_it() {
        let text: String = (0..=0x7e).map(char::from).collect();
        assert_eq!(
            serde_json::from_str::<String>(&quoted(&text)).unwrap(),
            text
        );
    }

    #[test]
    fn a_plain_text_of_several_lines_is_shown_as_a_block() {
        let mut yaml = Yaml::default();
        yaml.within("a:", |yaml| yaml.block("b", "{\n  \"c\": 1\n}"));
        assert_eq!(yaml.finish(), "a:\n  b: |-\n    {\n      \"c\": 1\n    }\n");
    }

    #[test]
    fn a_text_that_a_block_would_change_is_quoted() {
        for text in ["", " a", "a\n", "a\n\nb", "a\tb", "ä", "a\r\nb"] {
            let mut yaml = Yaml::default();
            yaml.block("k", text);
            assert!(yaml.finish().starts_with("k: \""), "{text:?}");
        }
    }
}
