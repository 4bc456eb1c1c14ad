use std::borrow::Cow;
use std::fmt;

use attache::schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::json::{Text, Value, encode};

/// Any JSON, with its keys in order.
#[derive(Clone, Debug)]
pub struct Literal(Value<'static>);

impl Literal {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &Value<'static> {
        &self.0
    }
}

impl JsonSchema for Literal {
    fn schema_name() -> Cow<'static, str> {
        "Literal".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        true.into()
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson)
    }
}

struct AnyJson;

fn number(text: String) -> Literal {
    Literal(Value::Number(Text::Made(text.into())))
}

impl<'de> Visitor<'de> for AnyJson {
    type Value = Literal;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Literal, E> {
        Ok(Literal(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Literal, E> {
        Ok(Literal(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Literal, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Literal, E> {
        Ok(Literal(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Literal, E> {
        Ok(number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Literal, E> {
        Ok(number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Literal, E> {
        // A fraction stays one, be it 0: `1.0`, `1e300`.
        Ok(number(format!("{value:?}")))
    }

    fn visit_str<E>(self, value: &str) -> Result<Literal, E> {
        Ok(Literal(Value::string(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Literal, A::Error> {
        let mut values = Vec::new();
        while let Some(Literal(value)) = elements.next_element()? {
            values.push(value);
        }
        Ok(Literal(Value::array(values)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Literal, A::Error> {
        let mut values = Vec::new();
        while let Some((key, Literal(value))) = members.next_entry::<String, _>()? {
            values.push((Text::Made(encode(&key).into()), value));
        }
        Ok(Literal(Value::object(values)))
    }
}
