use std::cell::Cell;
use std::fmt::{self, Display, Write};

use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::value::Document;
use super::{ConfigError, pointer};

/// The name under which a [`Document`] asks for itself. `serde` knows no way to hand over a value of
/// one's own, and to be told of all of its parts would cost more than the whole reader.
const DOCUMENT: &str = "$attache::Document";

thread_local! {
    static HANDED_OVER: Cell<Option<Document>> = const { Cell::new(None) };
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(DOCUMENT, Itself)
    }
}

struct Itself;

impl Visitor<'_> for Itself {
    type Value = Document;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a configuration")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Document, E> {
        let document = HANDED_OVER.take();
        document.ok_or_else(|| E::custom("a document can be read from configurations only"))
    }
}

/// A fault on its way up: the innermost frame says why, each outer one adds its key.
#[derive(Debug)]
pub(super) struct Fault {
    reason: String,
    /// Innermost first.
    keys: Vec<String>,
}

impl Fault {
    fn new(reason: String) -> Self {
        Self {
            reason,
            keys: Vec::new(),
        }
    }

    fn under(mut self, key: impl Display) -> Self {
        self.keys.push(key.to_string());
        self
    }
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> Self {
        Self::at(pointer(&fault.keys), fault.reason)
    }
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for Fault {}

/// `serde`'s own messages quote the value; these name its type.
impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", kind(&unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!(
            "expected {expected}, found another {}",
            kind(&unexpected)
                .split_once(' ')
                .map_or("value", |(_, kind)| kind)
        ))
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("expected {}", one_of(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown field, expected {}", one_of(expected))).under(field)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("missing".to_owned()).under(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("given twice".to_owned()).under(field)
    }
}

fn one_of(names: &[&str]) -> String {
    let mut text = String::from(match names {
        [] => return "nothing".to_owned(),
        [_] => "",
        _ => "one of ",
    });
    for (index, name) in names.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{comma}`{name}`");
    }
    text
}

fn kind(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Bytes(_) | Unexpected::Seq => "an array",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Map => "an object",
        _ => "something else",
    }
}

/// A value of the document, as `serde` asks for it.
pub(super) struct Reader<'a>(&'a Document);

impl<'a> Reader<'a> {
    pub(super) fn new(value: &'a Document) -> Self {
        Self(value)
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Document::Null => visitor.visit_unit(),
            Document::Bool(value) => visitor.visit_bool(*value),
            Document::Unsigned(value) => visitor.visit_u64(*value),
            Document::Signed(value) => visitor.visit_i64(*value),
            Document::Float(value) => visitor.visit_f64(*value),
            Document::Decimal(text) => match decimal(text) {
                Some(value) => visitor.visit_f64(value),
                None => Err(mismatch(self.0, &visitor)),
            },
            Document::Text(value) => visitor.visit_str(value.expose()),
            Document::List(values) => visitor.visit_seq(Elements {
                rest: values.iter().enumerate(),
            }),
            Document::Object(members) => visitor.visit_map(Members {
                rest: members.iter(),
                current: None,
            }),
        }
    }

    // One method a JSON type, each with only its own arm: `deserialize_any` for all of them would be
    // compiled once a field type of the configuration.

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Document::Bool(value) => visitor.visit_bool(*value),
            other => Err(mismatch(other, &visitor)),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Document::Unsigned(value) => visitor.visit_u64(*value),
            Document::Signed(value) => visitor.visit_i64(*value),
            // In metadata, and in a configuration that is a `Struct`, Envoy reads numbers from YAML as
            // text when they have a fraction or more than 32 bits.
            Document::Text(text) => match (text.expose().parse(), text.expose().parse()) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                _ => Err(mismatch(self.0, &visitor)),
            },
            other => Err(mismatch(other, &visitor)),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Document::Float(value) => visitor.visit_f64(*value),
            // As in `deserialize_u64`.
            Document::Text(text) => match decimal(text.expose()) {
                Some(value) => visitor.visit_f64(value),
                None => Err(mismatch(self.0, &visitor)),
            },
            Document::Decimal(text) => match decimal(text) {
                Some(value) => visitor.visit_f64(value),
                None => Err(mismatch(self.0, &visitor)),
            },
            _ => self.deserialize_u64(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Document::Text(value) => visitor.visit_str(value.expose()),
            other => Err(mismatch(other, &visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Document::List(values) => {
                let mut elements = Elements {
                    rest: values.iter().enumerate(),
                };
                let value = visitor.visit_seq(&mut elements)?;
                match elements.rest.len() {
                    0 => Ok(value),
                    more => Err(Fault::new(format!("{more} elements too many"))),
                }
            }
            other => Err(mismatch(other, &visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Document::Object(members) => visitor.visit_map(Members {
                rest: members.iter(),
                current: None,
            }),
            other => Err(mismatch(other, &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_u64(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Document::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == DOCUMENT {
            HANDED_OVER.set(Some(self.0.clone()));
            return visitor.visit_unit();
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let (variant, content) = match self.0 {
            Document::Text(variant) => (variant.expose(), None),
            Document::Object(members) if members.len() == 1 => (&members[0].0, Some(&members[0].1)),
            other => {
                return Err(Fault::new(format!(
                    "expected {}, found {}",
                    one_of(variants),
                    other.kind()
                )));
            }
        };
        visitor.visit_enum(Variant { variant, content })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    /// `()` is the configuration of a filter that has none: an empty object, or none at all.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Document::Null => visitor.visit_unit(),
            Document::Object(members) if members.is_empty() => visitor.visit_unit(),
            other => Err(Fault::new(format!(
                "expected null or an empty object, for there is nothing to configure; found {}",
                other.kind()
            ))),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_unit(visitor)
    }

    forward_to_deserialize_any! {
        i128 u128 bytes byte_buf
    }
}

fn decimal(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn mismatch(found: &Document, expected: &dyn Expected) -> Fault {
    Fault::new(format!("expected {expected}, found {}", found.kind()))
}

struct Elements<'a> {
    rest: std::iter::Enumerate<std::slice::Iter<'a, Document>>,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, value)) = self.rest.next() else {
            return Ok(None);
        };
        seed.deserialize(Reader(value))
            .map(Some)
            .map_err(|fault| fault.under(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Members<'a> {
    rest: std::slice::Iter<'a, (String, Document)>,
    current: Option<&'a (String, Document)>,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.current = self.rest.next();
        let Some((key, _)) = self.current else {
            return Ok(None);
        };
        let key: de::value::StrDeserializer<'_, Fault> =
            de::IntoDeserializer::into_deserializer(key.as_str());
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, value)) = self.current else {
            return Err(Fault::new(
                "a value was asked for before its key".to_owned(),
            ));
        };
        seed.deserialize(Reader(value))
            .map_err(|fault| fault.under(key))
    }
}

struct Variant<'a> {
    variant: &'a str,
    content: Option<&'a Document>,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a> {
    type Error = Fault;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content<'a>), Fault> {
        let name: de::value::StrDeserializer<'_, Fault> =
            de::IntoDeserializer::into_deserializer(self.variant);
        Ok((seed.deserialize(name)?, Content(self.content)))
    }
}

struct Content<'a>(Option<&'a Document>);

impl Content<'_> {
    fn value(&self) -> &Document {
        self.0.unwrap_or(&Document::Null)
    }
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.value() {
            Document::Null => Ok(()),
            other => Err(Fault::new(format!(
                "expected nothing, found {}",
                other.kind()
            ))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(Reader(self.value()))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Fault> {
        Reader(self.value()).deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        Reader(self.value()).deserialize_any(visitor)
    }
}
