use std::borrow::Cow;
use std::fmt;
use std::hint::black_box;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::environment;
use crate::error::Chain;

/// A value of the configuration that nobody should see: a key, a token, a password.
///
/// In the configuration it is a string, or `{"env": "NAME"}`: the variable `NAME` of the VM's
/// environment (`environment_variables` of Envoy's `VmConfig`, which can hand on one of Envoy's own).
/// The second form keeps it out of files and of the control plane; a variable that is not there
/// refuses the configuration. It is text, so for bytes the author chooses an encoding.
///
/// It never prints: [`Debug`](fmt::Debug) shows `Secret`, no fault of a configuration shows a value,
/// and the JSON Schema of a configuration has no default of it. When it is dropped its bytes are
/// overwritten, as are those of the configuration that it was read from. Copies that others made stay:
/// those of the JSON parser, of Envoy, and of whatever [`expose`](Self::expose) was given to.
///
/// ```
/// use attache::Secret;
/// use attache::prelude::*;
///
/// #[derive(Debug, Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     key: Secret,
/// }
///
/// # fn authorized(config: &Config, request: &Request) -> bool {
/// // The time that this takes does not tell how much of the value is right.
/// request
///     .headers()
///     .all("x-api-key")
///     .iter()
///     .any(|value| config.key.matches(value))
/// # }
/// ```
#[derive(Clone)]
pub struct Secret<T: Wipe = String>(T);

/// What a [`Secret`] can hold: `String` and `Vec<u8>`.
///
/// Sealed: other types may keep copies that nobody overwrites.
///
/// ```
/// use attache::{Secret, Wipe};
///
/// fn is_one_of<T: Wipe>(keys: &[Secret<T>], candidate: &[u8]) -> bool {
///     // All of them are compared: which one it is does not show in the time.
///     keys.iter().filter(|key| key.matches(candidate)).count() > 0
/// }
///
/// assert!(is_one_of(&[Secret::new("old".to_owned()), Secret::new("new".to_owned())], b"new"));
/// ```
pub trait Wipe: sealed::Sealed + Clone {}

mod sealed {
    pub trait Sealed: Sized {
        fn from_text(text: String) -> Self;
        fn bytes(&self) -> &[u8];
        fn take_bytes(&mut self) -> Vec<u8>;
    }
}

impl sealed::Sealed for String {
    fn from_text(text: String) -> Self {
        text
    }

    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }

    fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(self).into_bytes()
    }
}

impl sealed::Sealed for Vec<u8> {
    fn from_text(text: String) -> Self {
        text.into_bytes()
    }

    fn bytes(&self) -> &[u8] {
        self
    }

    fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(self)
    }
}

impl Wipe for String {}
impl Wipe for Vec<u8> {}

impl<T: Wipe> Secret<T> {
    /// Hides a value.
    ///
    /// ```
    /// use attache::Secret;
    ///
    /// let key = Secret::new(b"s3cret".to_vec());
    /// assert!(key.matches("s3cret"));
    /// assert_eq!(format!("{key:?}"), "Secret");
    /// ```
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. What it is given to should not print it; an [`http::HeaderValue`] has
    /// `set_sensitive` for that.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn credential(token: &Secret) -> Option<HeaderValue> {
    ///     let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose())).ok()?;
    ///     value.set_sensitive(true);
    ///     Some(value)
    /// }
    /// # assert!(credential(&Secret::new("s3cret".to_owned())).unwrap().is_sensitive());
    /// ```
    #[must_use]
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Whether `candidate` is the value, in a time that depends on the lengths alone.
    ///
    /// ```
    /// use attache::Secret;
    ///
    /// let key = Secret::new("s3cret".to_owned());
    /// assert!(key.matches(b"s3cret"));
    /// assert!(!key.matches("s3cre"));
    /// ```
    #[must_use]
    pub fn matches(&self, candidate: impl AsRef<[u8]>) -> bool {
        let (value, candidate) = (self.0.bytes(), candidate.as_ref());
        let difference = value
            .iter()
            .zip(candidate)
            .fold(0, |difference, (a, b)| black_box(difference | (a ^ b)));
        value.len() == candidate.len() && difference == 0
    }
}

impl<T: Wipe> Drop for Secret<T> {
    fn drop(&mut self) {
        wipe(self.0.take_bytes());
    }
}

/// Overwrites bytes, those behind the last one included, before they are freed.
pub(crate) fn wipe(mut bytes: Vec<u8>) {
    let capacity = bytes.capacity();
    bytes.clear();
    bytes.resize(capacity, 0);
    // Otherwise the compiler may see that nobody reads the zeros.
    black_box(&bytes);
}

impl<T: Wipe> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl<'de, T: Wipe> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Forms(PhantomData))
    }
}

impl<T: Wipe> JsonSchema for Secret<T> {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "attache::Secret".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A secret: itself, or the variable of the VM's environment that holds it.",
            "writeOnly": true,
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {"env": {"type": "string", "minLength": 1}},
                    "required": ["env"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

struct Forms<T>(PhantomData<T>);

impl<'de, T: Wipe> Visitor<'de> for Forms<T> {
    type Value = Secret<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(r#"a string or {"env": "NAME"}"#)
    }

    fn visit_str<E>(self, text: &str) -> Result<Secret<T>, E> {
        Ok(Secret(T::from_text(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Secret<T>, A::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Reference {
            env: Variable,
        }
        let reference = Reference::deserialize(MapAccessDeserializer::new(access))?;
        Ok(Secret(T::from_text(reference.env.0)))
    }
}

/// The value of a variable, read from its name.
struct Variable(String);

impl<'de> Deserialize<'de> for Variable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        // The name is not repeated: it stands at the fault's place, unless somebody wrote the secret
        // there.
        match environment::variable(&name) {
            Ok(Some(value)) => Ok(Self(value)),
            Ok(None) => Err(D::Error::custom(
                "the environment of the VM has no such variable",
            )),
            Err(error) => Err(D::Error::custom(Chain(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::describe::schema_of;
    use crate::host::double::{self, Answer};

    #[derive(Debug, serde::Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Config {
        key: Secret,
        #[serde(default = "spare")]
        spare: Secret<Vec<u8>>,
    }

    fn spare() -> Secret<Vec<u8>> {
        Secret::new(b"hunter3".to_vec())
    }

    #[test]
    fn a_string_is_the_secret() {
        let config: Config = parse(br#"{"key": "hunter2"}"#).unwrap();
        assert_eq!(config.key.expose(), "hunter2");
        assert_eq!(config.spare.expose(), b"hunter3");
    }

    #[test]
    fn a_variable_holds_the_secret() {
        double::answer([Answer::bytes(b"OTHER=a\0TOKEN=hunter2\0")]);
        let config: Config = parse(br#"{"key": {"env": "TOKEN"}}"#).unwrap();
        assert_eq!(config.key.expose(), "hunter2");
    }

    #[test]
    fn a_variable_that_is_not_there_refuses_the_configuration() {
        double::answer([Answer::bytes(b"OTHER=a\0")]);
        let error = parse::<Config>(br#"{"key": {"env": "TOKEN"}}"#).unwrap_err();
        assert_eq!(error.pointer(), "/key/env");
        assert_eq!(
            error.reason(),
            "the environment of the VM has no such variable"
        );
    }

    #[test]
    fn whatever_the_host_answers_is_a_secret_or_a_fault() {
        for answer in double::hostile() {
            double::answer([answer]);
            let error = parse::<Config>(br#"{"key": {"env": "TOKEN"}}"#).unwrap_err();
            assert_eq!(error.pointer(), "/key/env");
        }
    }

    #[test]
    fn what_is_neither_is_refused_without_being_shown() {
        for (json, pointer) in [
            (r#"{"key": 12345}"#, "/key"),
            (r#"{"key": ["12345"]}"#, "/key"),
            (r#"{"key": null}"#, "/key"),
            (r#"{"key": {}}"#, "/key/env"),
            (r#"{"key": {"env": 12345}}"#, "/key/env"),
            (r#"{"key": {"file": "12345"}}"#, "/key/file"),
        ] {
            let error = parse::<Config>(json.as_bytes()).unwrap_err();
            assert_eq!(error.pointer(), pointer, "{json}");
            assert!(!error.to_string().contains("12345"), "{error}");
        }
    }

    #[test]
    fn it_never_prints() {
        let config: Config = parse(br#"{"key": "hunter2"}"#).unwrap();
        assert_eq!(
            format!("{config:?}"),
            "Config { key: Secret, spare: Secret }"
        );
    }

    #[test]
    fn a_schema_has_both_forms_and_no_default() {
        let schema = serde_json::to_string(&schema_of::<Config>()).unwrap();
        assert!(schema.contains(r#""env""#), "{schema}");
        assert!(!schema.contains("default"), "{schema}");
        assert!(!schema.contains("hunter"), "{schema}");
        assert!(schema.contains(r#""required":["key"]"#), "{schema}");
    }

    #[test]
    fn only_the_whole_value_matches() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(secret.matches("hunter2"));
        for other in ["", "hunter", "hunter22", "Hunter2", "hunter3"] {
            assert!(!secret.matches(other), "{other}");
        }
        assert!(Secret::new(Vec::new()).matches(""));
    }
}
