//! Comparison of texts with patterns, in time that grows with the text and the pattern only.

use std::fmt;

use crate::config::Place;

mod program;
mod syntax;
mod template;

pub(crate) use self::program::LONGEST;
use self::program::Program;

/// The words for what is compared, as Envoy has them.
pub(crate) const KINDS: [&str; 6] = [
    "exact",
    "prefix",
    "suffix",
    "contains",
    "safe_regex",
    "path_template",
];

/// A pattern, ready to compare.
pub(crate) struct Matcher {
    kind: Kind,
    ignore_case: bool,
}

enum Kind {
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    Suffix(Vec<u8>),
    Contains(Vec<u8>),
    Whole(Program),
}

impl Matcher {
    /// Reads a pattern: a text, or an object whose one member but `ignore_case` is of [`KINDS`].
    pub(crate) fn read(place: &Place<'_>) -> Result<Self, &'static str> {
        let ignore_case = place.flag("ignore_case", false);
        let members = place.members();
        let named = members.iter().find(|(key, _)| *key != "ignore_case");
        let Some((kind, text)) = named else {
            return Self::new("exact", place.text(), ignore_case);
        };
        let text = text.text_of("regex").unwrap_or_else(|| text.text());
        Self::new(kind, text, ignore_case)
    }

    /// The error says what is wrong with a pattern, and never what it is.
    pub(crate) fn new(kind: &str, text: &str, ignore_case: bool) -> Result<Self, &'static str> {
        if text.is_empty() && kind != "exact" {
            return Err("an empty pattern matches everything");
        }
        let bytes = text.as_bytes();
        let kind = match kind {
            "prefix" => Kind::Prefix(bytes.to_vec()),
            "suffix" => Kind::Suffix(bytes.to_vec()),
            "contains" => Kind::Contains(bytes.to_vec()),
            "safe_regex" => Kind::Whole(Program::new(&syntax::parse(bytes, ignore_case)?)?),
            "path_template" => Kind::Whole(Program::new(&template::parse(bytes, ignore_case)?)?),
            _ => Kind::Exact(bytes.to_vec()),
        };
        Ok(Self { kind, ignore_case })
    }

    /// Whether `text` matches.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let same = |pattern: &[u8], text: &[u8]| match self.ignore_case {
            true => pattern.eq_ignore_ascii_case(text),
            false => pattern == text,
        };
        match &self.kind {
            Kind::Exact(pattern) => same(pattern, text),
            Kind::Prefix(pattern) => text
                .get(..pattern.len())
                .is_some_and(|start| same(pattern, start)),
            Kind::Suffix(pattern) => text
                .len()
                .checked_sub(pattern.len())
                .and_then(|start| text.get(start..))
                .is_some_and(|end| same(pattern, end)),
            Kind::Contains(pattern) => text
                .windows(pattern.len())
                .any(|window| same(pattern, window)),
            Kind::Whole(program) => program.matches(text),
        }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Matcher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(kind: &str, text: &str, ignore_case: bool) -> Result<Matcher, &'static str> {
        Matcher::new(kind, text, ignore_case)
    }

    #[test]
    fn each_kind_compares_its_part_of_the_text() {
        for (kind, pattern, yes, no) in [
            ("exact", "abc", "abc", "abcd"),
            ("prefix", "abc", "abcd", "ab"),
            ("suffix", "abc", "xabc", "bc"),
            ("contains", "abc", "xabcx", "ab"),
            ("safe_regex", "a.c", "abc", "abcd"),
            ("path_template", "/a/{b}", "/a/x", "/a/x/y"),
        ] {
            let matcher = matcher(kind, pattern, false).unwrap();
            assert!(matcher.matches(yes.as_bytes()), "{kind}");
            assert!(!matcher.matches(no.as_bytes()), "{kind}");
            assert!(!matcher.matches(yes.to_uppercase().as_bytes()), "{kind}");
        }
    }

    #[test]
    fn case_can_be_ignored() {
        for (kind, pattern) in [
            ("exact", "aBc"),
            ("prefix", "aB"),
            ("suffix", "Bc"),
            ("contains", "B"),
            ("safe_regex", "a[B]C"),
            ("safe_regex", "[^x]b[a-z]"),
        ] {
            let matcher = matcher(kind, pattern, true).unwrap();
            assert!(matcher.matches(b"AbC"), "{kind}");
        }
        assert!(!matcher("safe_regex", "[^a]", true).unwrap().matches(b"A"));
    }

    #[test]
    fn an_empty_pattern_is_refused_but_for_the_empty_text() {
        for kind in ["prefix", "contains", "safe_regex"] {
            assert!(matcher(kind, "", false).is_err());
        }
        assert!(matcher("exact", "", false).unwrap().matches(b""));
    }
}
