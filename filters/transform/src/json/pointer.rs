use std::fmt;

use super::MAX_DEPTH;

/// A JSON Pointer (RFC 6901).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pointer {
    tokens: Vec<String>,
}

/// Why a text is no JSON Pointer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Malformed {
    /// It begins with something other than `/`.
    Start,
    /// A `~` is followed by neither 0 nor 1.
    Escape,
    /// It has more parts than a body has levels.
    Depth,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Start => "a JSON Pointer begins with `/`",
            Self::Escape => "in a JSON Pointer, `~` is written `~0` and `/` is written `~1`",
            Self::Depth => "a JSON Pointer has at most 128 parts",
        })
    }
}

impl std::error::Error for Malformed {}

impl Pointer {
    /// Reads a pointer; an empty text points at the whole.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(Malformed::Start);
        };
        if rest.bytes().filter(|byte| *byte == b'/').count() >= MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        let tokens = rest.split('/').map(unescape).collect::<Result<_, _>>()?;
        Ok(Self { tokens })
    }

    /// The pointer of these tokens.
    pub(crate) fn of(tokens: &[String]) -> Self {
        Self {
            tokens: tokens.to_vec(),
        }
    }

    /// The names and indexes on the way.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// Whether it points at the whole.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Whether `other` points into what this points at.
    #[must_use]
    pub fn is_above(&self, other: &Self) -> bool {
        other.tokens.len() > self.tokens.len() && other.tokens.starts_with(&self.tokens)
    }
}

/// Which element of an array a token means: digits without a zero in front.
pub(super) fn index(token: &str) -> Option<usize> {
    let is_digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits || (token.len() > 1 && token.starts_with('0')) {
        return None;
    }
    token.parse().ok()
}

fn unescape(token: &str) -> Result<String, Malformed> {
    let mut text = String::with_capacity(token.len());
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '~' => match characters.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(Malformed::Escape),
            },
            other => other,
        });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;
    use crate::fuel::Fuel;
    use crate::json::{parse, print, set};

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        for (text, tokens) in [
            ("", &[][..]),
            ("/foo/0", &["foo", "0"]),
            ("/", &[""]),
            ("/a~1b", &["a/b"]),
            ("/m~0n", &["m~n"]),
            ("/~01", &["~1"]),
            ("/c%d//", &["c%d", "", ""]),
        ] {
            let pointer = Pointer::parse(text).expect("a pointer");
            assert_eq!(pointer.tokens(), tokens, "{text}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        assert_eq!(Pointer::parse("a"), Err(Malformed::Start));
        for text in ["/~", "/~2", "/a~/b"] {
            assert_eq!(Pointer::parse(text), Err(Malformed::Escape), "{text}");
        }
        let deep = "/a".repeat(MAX_DEPTH + 1);
        assert_eq!(Pointer::parse(&deep), Err(Malformed::Depth));
    }

    #[test]
    fn what_is_set_at_the_deepest_place_can_be_read_or_is_not_made() {
        let deepest = Pointer::parse(&"/a".repeat(MAX_DEPTH)).expect("a pointer");
        let made = |value: &str| {
            let mut root = parse("{}").expect("JSON").value;
            let value = parse(value).expect("JSON").value;
            set(&mut root, &deepest, &value, &Fuel::new(100_000)).expect("little work");
            print(&root, 10_000)
        };
        assert!(parse(&made("1").expect("it is not too deep")).is_ok());
        assert_eq!(made("[]"), Err(Failure::Depth));
    }

    #[test]
    fn an_index_has_no_zero_in_front() {
        assert_eq!(index("0"), Some(0));
        assert_eq!(index("10"), Some(10));
        for token in ["", "01", "-", "-1", "+1", "1e0", "99999999999999999999"] {
            assert_eq!(index(token), None, "{token}");
        }
    }
}
