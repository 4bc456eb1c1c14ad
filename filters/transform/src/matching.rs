//! Conditions, in the words of Envoy's matchers.

use attache::ConfigError;

use crate::config::ValueConfig;
use crate::path::Pattern;

mod template;

use self::template::PathTemplate;

/// What a condition may be about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum About {
    /// A path.
    Path,
    /// Something that is always there.
    Text,
    /// Something that may be missing.
    Field,
}

/// A condition on the values of something.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    test: Test,
    inverted: bool,
}

#[derive(Clone, Debug)]
enum Test {
    Exact(Vec<u8>),
    Prefix(Vec<u8>),
    Suffix(Vec<u8>),
    Contains(Vec<u8>),
    /// Any of these in lower case.
    Folded(Box<Self>),
    Pattern(Pattern),
    Template(PathTemplate),
    Present(bool),
}

impl Condition {
    /// Checks a condition; `place` is where it stands.
    pub(crate) fn new(
        config: &ValueConfig,
        about: About,
        place: &str,
    ) -> Result<Self, ConfigError> {
        let fold = |text: &String| {
            if config.ignore_case {
                text.to_ascii_lowercase().into_bytes()
            } else {
                text.clone().into_bytes()
            }
        };
        let mut tests = Vec::new();
        tests.extend(config.exact.as_ref().map(|text| Test::Exact(fold(text))));
        tests.extend(config.prefix.as_ref().map(|text| Test::Prefix(fold(text))));
        tests.extend(config.suffix.as_ref().map(|text| Test::Suffix(fold(text))));
        tests.extend(
            config
                .contains
                .as_ref()
                .map(|text| Test::Contains(fold(text))),
        );
        if config.ignore_case {
            tests = tests
                .into_iter()
                .map(|test| Test::Folded(Box::new(test)))
                .collect();
        }
        if let Some(pattern) = &config.safe_regex {
            let built = Pattern::whole(&pattern.regex);
            let refused = |reason| ConfigError::at(format!("{place}/safe_regex/regex"), reason);
            tests.push(Test::Pattern(built.map_err(refused)?));
        }
        if let Some(text) = &config.path_template {
            let place = format!("{place}/path_template");
            if about != About::Path {
                return Err(ConfigError::at(place, "only a path has a template"));
            }
            let template = PathTemplate::parse(text);
            tests.push(Test::Template(
                template.map_err(|reason| ConfigError::at(place, reason))?,
            ));
        }
        if let Some(present) = config.present_match {
            if about != About::Field {
                let place = format!("{place}/present_match");
                return Err(ConfigError::at(place, "this is always there"));
            }
            tests.push(Test::Present(present));
        }
        match <[Test; 1]>::try_from(tests) {
            Ok([test]) => Ok(Self {
                test,
                inverted: config.invert_match,
            }),
            Err(_) => Err(ConfigError::at(
                place,
                "expected one of `exact`, `prefix`, `suffix`, `contains`, `safe_regex`, \
                 `path_template` and `present_match`",
            )),
        }
    }

    /// Whether it holds for one of these values.
    pub(crate) fn holds<V: AsRef<[u8]>>(&self, values: &[V]) -> bool {
        let holds = match self.test {
            Test::Present(present) => present != values.is_empty(),
            _ => values.iter().any(|value| self.test.is_like(value.as_ref())),
        };
        holds != self.inverted
    }
}

impl Test {
    fn is_like(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => value == text,
            Self::Prefix(text) => value.starts_with(text),
            Self::Suffix(text) => value.ends_with(text),
            Self::Contains(text) => {
                text.is_empty() || value.windows(text.len()).any(|part| part == text)
            }
            Self::Folded(test) => test.is_like(&value.to_ascii_lowercase()),
            Self::Pattern(pattern) => pattern.is_match(value),
            Self::Template(template) => template.is_like(value),
            Self::Present(_) => false,
        }
    }
}

/// Whether one of them holds, or there is none.
pub(crate) fn any_holds<V: AsRef<[u8]>>(conditions: &[Condition], values: &[V]) -> bool {
    conditions.is_empty() || conditions.iter().any(|condition| condition.holds(values))
}

#[cfg(test)]
mod tests;
