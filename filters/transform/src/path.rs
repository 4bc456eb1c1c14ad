//! What a path may become, and how a pattern rewrites one.

use std::borrow::Cow;

use attache::matching::{self, MatchError};
use regex_lite::{Captures, Regex, RegexBuilder};

use crate::failure::Failure;

/// How large a compiled pattern may be.
const PATTERN_LIMIT: usize = 256 * 1024;

/// A pattern in linear time. Classes such as `\w` are those of ASCII.
///
/// The crate `regex` would be a fifth of the module; paths and headers are short.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        Self::build(text, false)
    }

    fn build(text: &str, ignore_case: bool) -> Result<Self, &'static str> {
        let built = RegexBuilder::new(text)
            .case_insensitive(ignore_case)
            .size_limit(PATTERN_LIMIT)
            .nest_limit(64)
            .build();
        built.map(Self).map_err(|error| {
            // The crate tells them apart in words only.
            if error.to_string().contains("size limit") {
                "the pattern is too large"
            } else {
                "expected a regular expression (RE2's syntax, with ASCII's classes)"
            }
        })
    }

    fn groups(&self) -> usize {
        self.0.captures_len()
    }
}

/// In conditions a pattern is for all of a value, as Envoy has it.
impl matching::Pattern for Pattern {
    fn read(text: &str, ignore_case: bool) -> Result<Self, MatchError> {
        // Alone first: `a)|(b` is none.
        let whole =
            Self::parse(text).and_then(|_| Self::build(&format!("^(?:{text})$"), ignore_case));
        whole.map_err(MatchError::new)
    }

    fn matches(&self, text: &[u8]) -> bool {
        self.0.is_match(&to_text(text))
    }
}

/// The first of 128 private characters that stand for bytes which are no UTF-8.
const PRIVATE: u32 = 0xf_0000;

/// Bytes as text. Where they are no UTF-8, each byte beyond ASCII is a character of its own.
fn to_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| character(byte)).collect()),
    }
}

fn character(byte: u8) -> char {
    if byte.is_ascii() {
        return char::from(byte);
    }
    char::from_u32(PRIVATE + u32::from(byte)).unwrap_or('\u{fffd}')
}

/// The bytes of such a text.
fn to_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        let private = u32::from(character).checked_sub(PRIVATE);
        match private.and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

/// What a match is replaced by: text, and groups of the pattern as `\1` or `$1`.
#[derive(Clone, Debug)]
pub struct Substitution {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Group(usize),
}

impl Substitution {
    /// Reads a substitution for `pattern`: `\0` to `\9` and `$0` to `$9` are groups, `\\` and `$$`
    /// characters.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn parse(text: &str, pattern: &Pattern) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if !matches!(character, '\\' | '$') {
                plain.push(character);
                continue;
            }
            let next = characters.next();
            if let Some(group) = next.and_then(|next| next.to_digit(10)) {
                let group = usize::try_from(group).unwrap_or(usize::MAX);
                if group >= pattern.groups() {
                    return Err("the pattern has no group of that number");
                }
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Group(group));
            } else if next == Some(character) {
                plain.push(character);
            } else {
                return Err("expected `\\1` or `$1` for a group, `\\\\` or `$$` for the character");
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// Replaces each match.
    #[must_use]
    pub fn replace(&self, bytes: &[u8], pattern: &Pattern) -> Vec<u8> {
        let text = to_text(bytes);
        let replaced = pattern.0.replace_all(&text, |captures: &Captures<'_>| {
            let mut made = String::new();
            for part in &self.parts {
                made.push_str(match part {
                    Part::Text(text) => text,
                    Part::Group(group) => captures.get(*group).map_or("", |found| found.as_str()),
                });
            }
            made
        });
        match text {
            Cow::Borrowed(_) => replaced.into_owned().into_bytes(),
            Cow::Owned(_) => to_bytes(&replaced),
        }
    }
}

/// Whether `path`, which has no query, may take the place of `former`: it begins with `/` and has
/// nothing that ends a path, and none of what servers read differently, unless the client sent that
/// itself.
///
/// # Errors
///
/// [`Failure::Path`].
pub fn check(path: &[u8], former: &[u8]) -> Result<(), Failure> {
    let is_plain = |&byte: &u8| byte > b' ' && byte != 0x7f && byte != b'?' && byte != b'#';
    if path.first() != Some(&b'/') || !path.iter().all(is_plain) {
        return Err(Failure::Path);
    }
    let (new, old) = (Doubts::of(path), Doubts::of(former));
    let is_new = |new: bool, old: bool| new && !old;
    if is_new(new.dots, old.dots)
        || is_new(new.empty_segments, old.empty_segments)
        || is_new(new.backslash, old.backslash)
        || is_new(new.encoded_slash, old.encoded_slash)
        || is_new(new.like_authority, old.like_authority)
    {
        return Err(Failure::Path);
    }
    Ok(())
}

/// What one server reads so and another one otherwise.
#[derive(Clone, Copy, Debug)]
struct Doubts {
    /// `.` and `..`, also encoded.
    dots: bool,
    /// `//`
    empty_segments: bool,
    /// `\`, also encoded.
    backslash: bool,
    /// `%2F`
    encoded_slash: bool,
    /// `//` at the start, behind which some read a host.
    like_authority: bool,
}

impl Doubts {
    fn of(path: &[u8]) -> Self {
        let has = |encoded: &[u8]| {
            path.windows(3)
                .any(|three| three.eq_ignore_ascii_case(encoded))
        };
        Self {
            dots: path
                .split(|&byte| matches!(byte, b'/' | b'\\'))
                .any(is_dots),
            empty_segments: path.windows(2).any(|two| two == b"//"),
            backslash: path.contains(&b'\\') || has(b"%5c"),
            encoded_slash: has(b"%2f"),
            like_authority: path.starts_with(b"//"),
        }
    }
}

/// A segment of one or two dots; what follows a `;` does not count.
fn is_dots(segment: &[u8]) -> bool {
    let name = segment
        .split(|&byte| byte == b';')
        .next()
        .unwrap_or_default();
    let mut rest = name;
    let mut count = 0;
    while !rest.is_empty() {
        rest = match rest {
            [b'.', rest @ ..] => rest,
            [b'%', b'2', b'e' | b'E', rest @ ..] => rest,
            _ => return false,
        };
        count += 1;
    }
    count == 1 || count == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_put_in() {
        for (expression, substitution, path, becomes) in [
            ("^/v1/(.*)$", "/$1", "/v1/a/b", "/a/b"),
            ("^/v1/(.*)$", "/\\1", "/v2/a", "/v2/a"),
            ("^/(\\w+)/(\\w+)$", "/$2/$1/$$\\\\", "/a/b", "/b/a/$\\"),
            ("a", "b", "/aXa", "/bXb"),
            ("(x)?a", "<$1>", "/a", "/<>"),
        ] {
            let pattern = Pattern::parse(expression).expect("a pattern");
            let substitution = Substitution::parse(substitution, &pattern).expect("one");
            let made = substitution.replace(path.as_bytes(), &pattern);
            assert_eq!(made, becomes.as_bytes(), "{expression}");
        }
    }

    #[test]
    fn groups_that_are_not_there_are_refused() {
        let one = Pattern::parse("(a)").expect("a pattern");
        for text in ["$2", "\\2", "$", "\\", "$x", "\\n"] {
            assert!(Substitution::parse(text, &one).is_err(), "{text}");
        }
        assert!(Substitution::parse("$1$0", &one).is_ok());
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(Pattern::parse("(").is_err());
        assert_eq!(
            Pattern::parse("\\w{1000}{1000}").err(),
            Some("the pattern is too large")
        );
        assert!(Pattern::parse("(?i)é\\d\\s").is_ok());
    }

    #[test]
    fn a_condition_is_for_all_of_the_value() {
        let matches = |pattern: &str, ignore_case, text: &str| {
            let read = <Pattern as matching::Pattern>::read(pattern, ignore_case);
            matching::Pattern::matches(&read.expect("a pattern"), text.as_bytes())
        };
        assert!(matches("a|ab", false, "ab"));
        assert!(!matches("a", false, "ab"));
        assert!(!matches("a|b", false, "xa"));
        assert!(!matches("a|b", false, "A"));
        assert!(matches("a|b", true, "A"));
        for text in ["a)|(b", "("] {
            assert!(<Pattern as matching::Pattern>::read(text, false).is_err());
        }
    }

    #[test]
    fn a_path_gets_no_doubts_that_it_had_not() {
        for path in [
            "a",
            "",
            "/a?b",
            "/a#b",
            "/a b",
            "/a\r\nx",
            "/a\0",
            "/../a",
            "/a/..",
            "/%2e%2E/a",
            "/.%2e",
            "/a/./b",
            "/a//b",
            "/a\\b",
            "/a%5Cb",
            "/a%2fb",
            "/..;x/a",
            "//a",
        ] {
            assert_eq!(check(path.as_bytes(), b"/a"), Err(Failure::Path), "{path}");
        }
        for path in ["/", "/a", "/...", "/.a", "/a..", "/é", "/a;b", "/%20"] {
            assert_eq!(check(path.as_bytes(), b"/a"), Ok(()), "{path}");
        }
        assert_eq!(check(b"/x%2Fy", b"/v1/x%2fy"), Ok(()));
        assert_eq!(check(b"/x//y", b"/v1/x//y"), Ok(()));
        assert_eq!(check(b"//y", b"/v1//y"), Err(Failure::Path));
    }
}
