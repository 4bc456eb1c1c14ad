use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer,
    MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Fault, Node, Value};

/// Reads a value; faults know their place and the keys that lead to it.
pub(crate) fn from_node<T: DeserializeOwned>(node: &Node) -> Result<T, Fault> {
    T::deserialize(node)
}

/// What the text of a scalar without quotes means (YAML 1.2, 10.3.2, without octal numbers).
enum Scalar<'t> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(&'t str),
}

fn scalar(text: &str) -> Scalar<'_> {
    let numeric = text
        .trim_start_matches(['+', '-'])
        .starts_with(|first: char| first.is_ascii_digit() || first == '.');
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "true" | "True" | "TRUE" => Scalar::Bool(true),
        "false" | "False" | "FALSE" => Scalar::Bool(false),
        _ if !numeric => Scalar::Text(text),
        _ => text
            .parse()
            .map(Scalar::Unsigned)
            .or_else(|_| text.parse().map(Scalar::Signed))
            .or_else(|_| text.parse().map(Scalar::Float))
            .unwrap_or(Scalar::Text(text)),
    }
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match &self.value {
            Value::Scalar { text, plain: false } => visitor.visit_str(text),
            Value::Scalar { text, plain: true } => match scalar(text) {
                Scalar::Null => visitor.visit_unit(),
                Scalar::Bool(value) => visitor.visit_bool(value),
                Scalar::Unsigned(value) => visitor.visit_u64(value),
                Scalar::Signed(value) => visitor.visit_i64(value),
                Scalar::Float(value) => visitor.visit_f64(value),
                Scalar::Text(text) => visitor.visit_str(text),
            },
            Value::List(elements) => visitor.visit_seq(Elements {
                rest: elements.iter().enumerate(),
            }),
            Value::Map { entries, .. } => visitor.visit_map(Entries {
                rest: entries.iter(),
                current: None,
            }),
        };
        value.map_err(|fault| fault.placed(self.place))
    }

    /// Text is taken as it is written, so that `1.40` and `yes` mean themselves.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => Err(Fault::at(
                self.place,
                "expected text; write \"\" for the empty one",
            )),
            Value::Scalar { text, .. } => visitor
                .visit_str(text)
                .map_err(|fault: Fault| fault.placed(self.place)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    /// `null` counts as absent only where the type says so.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.is_null() {
            let reason = "a value is missing; write one, or leave out the key";
            return Err(Fault::at(self.place, reason));
        }
        visitor.visit_some(self)
    }

    /// The name [`QUOTED`] asks for text that no YAML reader takes for a number.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == QUOTED
            && let Value::Scalar { text, plain: true } = &self.value
            && matches!(
                scalar(text),
                Scalar::Unsigned(_) | Scalar::Signed(_) | Scalar::Float(_)
            )
        {
            let reason = format!(
                "expected a version in quotes, as in \"{text}\"; without them YAML reads a number, \
                 and 1.40 is 1.4"
            );
            return Err(Fault::at(self.place, reason));
        }
        visitor
            .visit_newtype_struct(self)
            .map_err(|fault| fault.placed(self.place))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let read = match &self.value {
            Value::Scalar { text, .. } => visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Map { entries, .. } if entries.len() == 1 => visitor.visit_enum(Variant {
                key: &entries[0].0,
                value: &entries[0].1,
            }),
            Value::Map { .. } => Err(Fault::custom("expected one key and no other")),
            Value::List(_) => Err(Fault::invalid_type(Unexpected::Seq, &"a word")),
        };
        read.map_err(|fault| fault.placed(self.place))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct ignored_any
    }
}

/// See [`Node`]'s `deserialize_newtype_struct`.
pub(crate) const QUOTED: &str = "attache::Quoted";

struct Elements<'n> {
    rest: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, node)) = self.rest.next() else {
            return Ok(None);
        };
        seed.deserialize(node)
            .map(Some)
            .map_err(|fault| fault.placed(node.place).within(index))
    }
}

struct Entries<'n> {
    rest: std::slice::Iter<'n, (Node, Node)>,
    current: Option<&'n (Node, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.current = self.rest.next();
        let Some((key, _)) = self.current else {
            return Ok(None);
        };
        let read = seed.deserialize(key).map(Some);
        read.map_err(|fault| fault.placed(key.place))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some((key, value)) = self.current else {
            return Err(Fault::custom("a value without a key"));
        };
        seed.deserialize(value).map_err(|fault| {
            fault
                .placed(value.place)
                .under(key.as_key().unwrap_or_default())
        })
    }
}

struct Variant<'n> {
    key: &'n Node,
    value: &'n Node,
}

impl<'de, 'n> EnumAccess<'de> for Variant<'n> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Fault> {
        let variant = seed
            .deserialize(self.key)
            .map_err(|fault| fault.placed(self.key.place))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Err(Fault::at(self.key.place, "expected a word without a value"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.value).map_err(|fault| {
            fault
                .placed(self.value.place)
                .under(self.key.as_key().unwrap_or_default())
        })
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.value.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.value.deserialize_any(visitor)
    }
}
