use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{Expression, Kind, MatchError, Matcher, PathTemplate, Pattern};

const ONE_OF: &str = "expected one of `exact`, `prefix`, `suffix`, `contains`, `safe_regex`, \
                      `path_template` and `present_match`";

/// A condition on the values of a header, a query parameter or the like: a [`Matcher`], or whether
/// there is a value at all.
///
/// In a configuration it is an object with one of `exact`, `prefix`, `suffix`, `contains`,
/// `safe_regex: {"regex": …}`, `path_template` and `present_match`, and beside it `ignore_case` and
/// `invert_match`. What cannot be told from it alone, such as that only a path has a template, the
/// filter checks by [`kind`](Self::kind).
///
/// ```
/// use attache::matching::Condition;
/// use attache::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     /// `{"header": "x-tenant", "is": {"prefix": "test-", "invert_match": true}}`
///     header: setting::HeaderName,
///     is: Condition,
/// }
///
/// fn holds(config: &Config, request: &Request) -> bool {
///     config.is.holds(&request.headers().all(&config.header))
/// }
/// ```
#[derive(Clone)]
pub struct Condition<P = Expression> {
    /// Without one it is whether there is a value.
    matcher: Option<Matcher<P>>,
    inverted: bool,
}

impl<P: Pattern> Condition<P> {
    /// How it compares; `None` where it asks whether there is a value.
    ///
    /// ```
    /// use attache::matching::{Condition, Kind, Matcher};
    /// use attache::prelude::*;
    ///
    /// /// Only a path is like a template.
    /// fn check_header(condition: &Condition) -> Result<(), ConfigError> {
    ///     match condition.kind() {
    ///         Some(Kind::PathTemplate) => Err(ConfigError::at("/header", "a header has no template")),
    ///         _ => Ok(()),
    ///     }
    /// }
    ///
    /// let template: Matcher = Matcher::new(Kind::PathTemplate, "/users/*", false).unwrap();
    /// assert!(check_header(&template.into()).is_err());
    /// ```
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.matcher.as_ref().map(Matcher::kind)
    }

    /// Whether it holds for one of these values, or for none of them where it is inverted.
    #[must_use]
    pub fn holds<V: AsRef<[u8]>>(&self, values: &[V]) -> bool {
        let holds = match &self.matcher {
            Some(matcher) => values.iter().any(|value| matcher.matches(value.as_ref())),
            None => !values.is_empty(),
        };
        holds != self.inverted
    }
}

impl<P: Pattern> From<Matcher<P>> for Condition<P> {
    fn from(matcher: Matcher<P>) -> Self {
        Self {
            matcher: Some(matcher),
            inverted: false,
        }
    }
}

impl<P: Pattern> fmt::Debug for Condition<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Condition")
            .field("matcher", &self.matcher)
            .field("inverted", &self.inverted)
            .finish()
    }
}

impl<'de, P: Pattern> Deserialize<'de> for Condition<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Words::<P>::deserialize(deserializer)?;
        words.condition().map_err(D::Error::custom)
    }
}

impl<P> JsonSchema for Condition<P> {
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "attache::matching::Condition".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Words::<P>::json_schema(generator)
    }
}

/// A condition on a value, in the words of Envoy's `StringMatcher`. One of `exact`, `prefix`, `suffix`,
/// `contains`, `safe_regex`, `path_template` and `present_match` is set.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, bound = "P: Pattern")]
#[schemars(bound = "", rename = "Condition")]
struct Words<P> {
    /// All of the value.
    exact: Option<String>,
    /// Its beginning.
    prefix: Option<Checked<Part>>,
    /// Its end.
    suffix: Option<Checked<Part>>,
    /// A part of it.
    contains: Option<Checked<Part>>,
    /// A pattern for all of it.
    safe_regex: Option<SafeRegex<P>>,
    /// For paths: segments with `*` or `{name}` for any one, and `**` or `{name=**}` for the rest.
    path_template: Option<Checked<PathTemplate>>,
    /// For what may be missing: whether it is there.
    present_match: Option<bool>,
    /// Whether letters of ASCII count in either case. Default: false.
    ignore_case: bool,
    /// Whether the condition holds where no value is like this. Default: false.
    invert_match: bool,
}

/// A regular expression in RE2's syntax; classes such as `\w` are those of ASCII.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound = "P: Pattern")]
#[schemars(bound = "", rename = "SafeRegex")]
struct SafeRegex<P> {
    /// The expression.
    regex: Checked<Regex<P>>,
}

impl<P> Default for Words<P> {
    fn default() -> Self {
        Self {
            exact: None,
            prefix: None,
            suffix: None,
            contains: None,
            safe_regex: None,
            path_template: None,
            present_match: None,
            ignore_case: false,
            invert_match: false,
        }
    }
}

impl<P: Pattern> Words<P> {
    fn condition(self) -> Result<Condition<P>, MatchError> {
        let texts = [
            (Kind::Exact, self.exact),
            (Kind::Prefix, self.prefix.map(|it| it.text)),
            (Kind::Suffix, self.suffix.map(|it| it.text)),
            (Kind::Contains, self.contains.map(|it| it.text)),
            (Kind::SafeRegex, self.safe_regex.map(|it| it.regex.text)),
            (Kind::PathTemplate, self.path_template.map(|it| it.text)),
        ];
        let mut texts = texts
            .into_iter()
            .filter_map(|(kind, text)| Some((kind, text?)));
        let (matcher, is_there) = match (texts.next(), texts.next(), self.present_match) {
            (Some((kind, text)), None, None) => {
                (Some(Matcher::new(kind, &text, self.ignore_case)?), true)
            }
            (None, None, Some(is_there)) => (None, is_there),
            _ => return Err(MatchError(ONE_OF)),
        };
        Ok(Condition {
            matcher,
            inverted: self.invert_match == is_there,
        })
    }
}

/// A text that is checked where it stands, so that a refusal names its place.
struct Checked<C> {
    text: String,
    check: PhantomData<fn() -> C>,
}

trait Check {
    fn check(text: &str) -> Result<(), MatchError>;
}

/// A part of a text.
enum Part {}

impl Check for Part {
    fn check(text: &str) -> Result<(), MatchError> {
        Matcher::<Expression>::new(Kind::Contains, text, false).map(drop)
    }
}

impl Check for PathTemplate {
    fn check(text: &str) -> Result<(), MatchError> {
        Self::new(text).map(drop)
    }
}

/// An expression, in the syntax of `P`.
struct Regex<P>(PhantomData<P>);

impl<P: Pattern> Check for Regex<P> {
    fn check(text: &str) -> Result<(), MatchError> {
        Matcher::<P>::new(Kind::SafeRegex, text, false).map(drop)
    }
}

impl<'de, C: Check> Deserialize<'de> for Checked<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        C::check(&text).map_err(D::Error::custom)?;
        Ok(Self {
            text,
            check: PhantomData,
        })
    }
}

impl<C> JsonSchema for Checked<C> {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::describe::schema_of;

    fn condition(json: &str) -> Condition {
        parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn one_of_several_values_is_enough() {
        let exact = condition(r#"{"exact": "b"}"#);
        assert!(exact.holds(&["a", "b"]));
        assert!(!exact.holds(&["a", "B"]));
        assert!(!exact.holds::<&str>(&[]));
        let inverted = condition(r#"{"exact": "b", "invert_match": true}"#);
        assert!(!inverted.holds(&["a", "b"]));
        assert!(inverted.holds::<&str>(&[]));
    }

    #[test]
    fn a_value_can_be_asked_to_be_there_or_not() {
        for (json, with, without) in [
            (r#"{"present_match": true}"#, true, false),
            (r#"{"present_match": false}"#, false, true),
            (
                r#"{"present_match": true, "invert_match": true}"#,
                false,
                true,
            ),
            (
                r#"{"present_match": false, "invert_match": true}"#,
                true,
                false,
            ),
        ] {
            let condition = condition(json);
            assert_eq!(condition.kind(), None);
            assert_eq!(condition.holds(&[""]), with, "{json}");
            assert_eq!(condition.holds::<&str>(&[]), without, "{json}");
        }
    }

    #[test]
    fn each_word_is_read_and_letters_count_in_either_case_where_it_is_said() {
        for (json, kind) in [
            (r#"{"exact": "/aB", "ignore_case": true}"#, Kind::Exact),
            (r#"{"prefix": "/a", "ignore_case": true}"#, Kind::Prefix),
            (r#"{"suffix": "B", "ignore_case": true}"#, Kind::Suffix),
            (r#"{"contains": "a", "ignore_case": true}"#, Kind::Contains),
            (
                r#"{"safe_regex": {"regex": "/a."}, "ignore_case": true}"#,
                Kind::SafeRegex,
            ),
            (
                r#"{"path_template": "/aB", "ignore_case": true}"#,
                Kind::PathTemplate,
            ),
        ] {
            let condition = condition(json);
            assert_eq!(condition.kind(), Some(kind));
            assert!(condition.holds(&["/Ab"]), "{json}");
            assert!(!condition.holds(&["/x"]), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place_and_not_shown() {
        for (json, pointer) in [
            ("{}", ""),
            (r#"{"exact": "a5123", "prefix": "b"}"#, ""),
            (r#"{"exact": "a5123", "present_match": true}"#, ""),
            (r#"{"prefix": ""}"#, "/prefix"),
            (r#"{"suffix": ""}"#, "/suffix"),
            (r#"{"contains": ""}"#, "/contains"),
            (r#"{"safe_regex": {"regex": "5123("}}"#, "/safe_regex/regex"),
            (r#"{"safe_regex": {}}"#, "/safe_regex/regex"),
            (r#"{"path_template": "5123"}"#, "/path_template"),
            (r#"{"regex": "a5123"}"#, "/regex"),
        ] {
            let error = parse::<Condition>(json.as_bytes()).unwrap_err();
            assert_eq!(error.pointer(), pointer, "{json}");
            assert!(!error.reason().contains("5123"), "{error}");
        }
    }

    #[test]
    fn the_schema_has_all_words() {
        let schema = schema_of::<Condition>().to_value();
        for name in Kind::NAMES {
            assert!(schema["properties"][name].is_object(), "{schema}");
        }
        assert_eq!(schema["properties"]["prefix"]["minLength"], 1, "{schema}");
    }
}
