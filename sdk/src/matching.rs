//! What texts are compared with, in the words of Envoy's matchers: `exact`, `prefix`, `suffix`,
//! `contains`, `safe_regex` and `path_template`.
//!
//! A [`Condition`] is a field of a configuration: what is wrong with it is refused with its place. A
//! [`Matcher`] is one comparison, a [`PathTemplate`] and an [`Expression`] what it may be made of.
//! Nothing here calls the host, and the work of a comparison grows with the text and with what it is
//! compared with, and with nothing else.
//!
//! ```
//! use attache::matching::Condition;
//! use attache::prelude::*;
//!
//! /// `{"path": [{"path_template": "/users/{id}"}, {"prefix": "/admin/", "ignore_case": true}]}`
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     path: Vec<Condition>,
//! }
//!
//! fn is_meant(config: &Config, request: &Request) -> bool {
//!     let path = request.path().without_query();
//!     config.path.iter().any(|condition| condition.holds(&[path]))
//! }
//! ```

mod condition;
mod expression;
mod template;

use std::fmt;

pub use self::condition::Condition;
pub use self::expression::Expression;
pub use self::template::PathTemplate;

/// Why a text or expression is not one to compare with. It says what is wrong, and never what stood
/// there.
///
/// ```
/// use attache::matching::{Kind, MatchError, Matcher};
///
/// let refused = Matcher::<attache::matching::Expression>::new(Kind::Prefix, "", false).err();
/// assert_eq!(refused.map(MatchError::reason), Some("an empty pattern matches everything"));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MatchError(&'static str);

impl MatchError {
    /// For a [`Pattern`] of one's own; `reason` is lower case, without a full stop.
    #[must_use]
    pub const fn new(reason: &'static str) -> Self {
        Self(reason)
    }

    /// What is wrong.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for MatchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for MatchError {}

/// How a text is compared, by Envoy's names.
///
/// ```
/// use attache::matching::{Kind, Matcher};
///
/// let below: Matcher = Matcher::new(Kind::Prefix, "/admin/", false)?;
/// let asset: Matcher = Matcher::new(Kind::SafeRegex, r"/assets/.*\.(css|js)", false)?;
/// assert!(below.matches(b"/admin/users") && asset.matches(b"/assets/a.css"));
/// # Ok::<(), attache::matching::MatchError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// All of it is that.
    Exact,
    /// It begins so.
    Prefix,
    /// It ends so.
    Suffix,
    /// It has that somewhere.
    Contains,
    /// All of it is matched by a regular expression.
    SafeRegex,
    /// It is a path like that: see [`PathTemplate`].
    PathTemplate,
}

impl Kind {
    /// The names in a configuration.
    ///
    /// ```
    /// use attache::matching::Kind;
    ///
    /// assert!(Kind::NAMES.iter().all(|name| Kind::named(name).is_some()));
    /// ```
    pub const NAMES: [&str; 6] = [
        "exact",
        "prefix",
        "suffix",
        "contains",
        "safe_regex",
        "path_template",
    ];

    /// The kind of this name.
    ///
    /// ```
    /// use attache::matching::Kind;
    ///
    /// assert_eq!(Kind::named("suffix"), Some(Kind::Suffix));
    /// assert_eq!(Kind::named("ends_with"), None);
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "exact" => Self::Exact,
            "prefix" => Self::Prefix,
            "suffix" => Self::Suffix,
            "contains" => Self::Contains,
            "safe_regex" => Self::SafeRegex,
            "path_template" => Self::PathTemplate,
            _ => return None,
        })
    }
}

/// What reads and compares regular expressions: [`Expression`], unless a filter has a need and the
/// bytes for more, as those of the crate `regex-lite`, which are 60 KB of a module.
///
/// ```
/// use attache::matching::{Kind, MatchError, Matcher, Pattern};
///
/// /// `*` for anything, and no other syntax.
/// struct Glob(Vec<String>);
///
/// impl Pattern for Glob {
///     fn read(text: &str, _ignore_case: bool) -> Result<Self, MatchError> {
///         Ok(Self(text.split('*').map(str::to_owned).collect()))
///     }
///
///     fn matches(&self, text: &[u8]) -> bool {
///         let [before, after] = &self.0[..] else { return false };
///         text.starts_with(before.as_bytes()) && text.ends_with(after.as_bytes())
///     }
/// }
///
/// let matcher = Matcher::<Glob>::new(Kind::SafeRegex, "a*c", false)?;
/// assert!(matcher.matches(b"abc"));
/// # Ok::<(), MatchError>(())
/// ```
pub trait Pattern: Sized {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn read(text: &str, ignore_case: bool) -> Result<Self, MatchError>;

    /// Whether it matches all of a text. The work is bounded, whatever the two are.
    fn matches(&self, text: &[u8]) -> bool;
}

/// One comparison of a text.
///
/// ```
/// use attache::matching::{Kind, MatchError, Matcher};
///
/// let matcher: Matcher = Matcher::new(Kind::Suffix, ".example.com", true)?;
/// assert!(matcher.matches(b"api.EXAMPLE.com"));
/// assert!(!matcher.matches(b"example.com"));
/// # Ok::<(), MatchError>(())
/// ```
#[derive(Clone)]
pub struct Matcher<P = Expression> {
    test: Test<P>,
    ignore_case: bool,
}

#[derive(Clone)]
enum Test<P> {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<[u8]>),
    Pattern(P),
    Template(PathTemplate),
}

impl<P: Pattern> Matcher<P> {
    /// Reads what is compared with. With `ignore_case`, letters of ASCII count in either case.
    ///
    /// ```
    /// use attache::matching::{Kind, MatchError, Matcher};
    ///
    /// let exact: Matcher = Matcher::new(Kind::Exact, "api.example.com", true)?;
    /// assert!(exact.matches(b"API.example.com"));
    /// assert!(Matcher::<attache::matching::Expression>::new(Kind::SafeRegex, "(", false).is_err());
    /// # Ok::<(), MatchError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with it; an empty text is one for `exact` only.
    pub fn new(kind: Kind, text: &str, ignore_case: bool) -> Result<Self, MatchError> {
        if text.is_empty() && kind != Kind::Exact {
            return Err(MatchError("an empty pattern matches everything"));
        }
        let bytes = || text.as_bytes().into();
        let test = match kind {
            Kind::Exact => Test::Exact(bytes()),
            Kind::Prefix => Test::Prefix(bytes()),
            Kind::Suffix => Test::Suffix(bytes()),
            Kind::Contains => Test::Contains(bytes()),
            Kind::SafeRegex => Test::Pattern(P::read(text, ignore_case)?),
            Kind::PathTemplate => Test::Template(PathTemplate::new(text)?),
        };
        Ok(Self { test, ignore_case })
    }

    /// How it compares.
    ///
    /// ```
    /// use attache::matching::{Kind, MatchError, Matcher};
    ///
    /// let matcher: Matcher = Matcher::new(Kind::PathTemplate, "/users/{id}", false)?;
    /// assert_eq!(matcher.kind(), Kind::PathTemplate);
    /// # Ok::<(), MatchError>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.test {
            Test::Exact(_) => Kind::Exact,
            Test::Prefix(_) => Kind::Prefix,
            Test::Suffix(_) => Kind::Suffix,
            Test::Contains(_) => Kind::Contains,
            Test::Pattern(_) => Kind::SafeRegex,
            Test::Template(_) => Kind::PathTemplate,
        }
    }

    /// Whether `text` matches.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let same = |known: &[u8], text: &[u8]| match self.ignore_case {
            true => known.eq_ignore_ascii_case(text),
            false => known == text,
        };
        match &self.test {
            Test::Exact(all) => same(all, text),
            Test::Prefix(start) => text
                .get(..start.len())
                .is_some_and(|part| same(start, part)),
            Test::Suffix(end) => text
                .len()
                .checked_sub(end.len())
                .and_then(|start| text.get(start..))
                .is_some_and(|part| same(end, part)),
            Test::Contains(part) => text.windows(part.len()).any(|window| same(part, window)),
            Test::Pattern(pattern) => pattern.matches(text),
            Test::Template(template) if self.ignore_case => template.matches_any_case(text),
            Test::Template(template) => template.matches(text),
        }
    }
}

/// Without what it compares with, which may be a secret.
impl<P: Pattern> fmt::Debug for Matcher<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Matcher")
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(kind: &str, text: &str, ignore_case: bool) -> Result<Matcher, MatchError> {
        Matcher::new(Kind::named(kind).unwrap(), text, ignore_case)
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
            assert_eq!(Some(matcher.kind()), Kind::named(kind));
            assert!(matcher.matches(yes.as_bytes()), "{kind}");
            assert!(!matcher.matches(no.as_bytes()), "{kind}");
            assert!(!matcher.matches(yes.to_uppercase().as_bytes()), "{kind}");
        }
    }

    #[test]
    fn case_can_be_ignored() {
        for (kind, pattern, text) in [
            ("exact", "aBc", "AbC"),
            ("prefix", "aB", "AbC"),
            ("suffix", "Bc", "AbC"),
            ("contains", "B", "AbC"),
            ("safe_regex", "a[B]C", "AbC"),
            ("safe_regex", "[^x]b[a-z]", "AbC"),
            ("path_template", "/a/{b}", "/A/x"),
        ] {
            let matcher = matcher(kind, pattern, true).unwrap();
            assert!(matcher.matches(text.as_bytes()), "{kind}");
        }
        assert!(!matcher("safe_regex", "[^a]", true).unwrap().matches(b"A"));
    }

    #[test]
    fn an_empty_text_is_refused_but_for_the_empty_one() {
        for kind in Kind::NAMES.into_iter().skip(1) {
            assert!(matcher(kind, "", false).is_err(), "{kind}");
        }
        assert!(matcher("exact", "", false).unwrap().matches(b""));
    }

    #[test]
    fn printing_a_matcher_leaves_out_its_text() {
        let matcher = matcher("exact", "secret", false).unwrap();
        assert_eq!(format!("{matcher:?}"), "Matcher { kind: Exact, .. }");
    }
}
