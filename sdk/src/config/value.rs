use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{ConfigError, pointer};
use crate::secret::wipe;

/// A JSON document that keeps what `serde_json::Value` would lose: a key given twice is an error,
/// not the last value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Value {
    /// Overwrites its texts: one of them may be a secret.
    pub(crate) fn wipe(&mut self) {
        match self {
            Self::Text(text) => wipe(std::mem::take(text).into_bytes()),
            Self::List(values) => values.iter_mut().for_each(Self::wipe),
            Self::Object(members) => members.iter_mut().for_each(|(_, value)| value.wipe()),
            Self::Null | Self::Bool(_) | Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => {}
        }
    }

    /// The JSON type, for messages that must not show the value.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Unsigned(_) | Self::Signed(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// What `serde_json` says of bytes that are not JSON; its syntax messages never quote them.
fn refusal(error: &serde_json::Error) -> ConfigError {
    ConfigError::at("", format!("not JSON: {error}"))
}

/// Reads the whole of `bytes` as JSON.
pub(super) fn read(bytes: &[u8]) -> Result<Value, ConfigError> {
    let twice = RefCell::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let document = AnyValue { twice: &twice }
        .deserialize(&mut deserializer)
        .and_then(|document| deserializer.end().map(|()| document))
        .map_err(|error| refusal(&error))?;
    let keys = twice.into_inner();
    match keys.first() {
        None => Ok(document),
        Some(key) => {
            let reason = format!("key {key:?} given twice");
            Err(ConfigError::at(pointer(&keys), reason))
        }
    }
}

/// Any value; what it finds on the way does not go through the parser's own error, which would bring
/// its text search into every module.
#[derive(Clone, Copy)]
struct AnyValue<'a> {
    /// The first key that was given twice and the keys around it, innermost first.
    twice: &'a RefCell<Vec<String>>,
}

impl AnyValue<'_> {
    /// Takes note of the place of a value in which a key was given twice for the first time.
    fn note(self, known: bool, place: impl FnOnce() -> String) {
        let mut keys = self.twice.borrow_mut();
        if !known && !keys.is_empty() {
            keys.push(place());
        }
    }

    fn knows(self) -> bool {
        !self.twice.borrow().is_empty()
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let mut known = self.knows();
        while let Some(element) = access.next_element_seed(self)? {
            self.note(known, || list.len().to_string());
            known = self.knows();
            list.push(element);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object: Vec<(String, Value)> = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            let known = self.knows();
            let value = access.next_value_seed(self)?;
            self.note(known, || key.clone());
            if !self.knows() && object.iter().any(|(other, _)| *other == key) {
                self.twice.borrow_mut().push(key.clone());
            }
            object.push((key, value));
        }
        Ok(Value::Object(object))
    }
}
