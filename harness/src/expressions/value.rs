//! Values of expressions.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value as Json;

use super::fault::{Fault, Work};
use super::time;
use crate::abi::Status;
use crate::pairs;
use crate::properties::{self, Miss, Value as Property};
use crate::vm::VmState;

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    /// Not always UTF-8: header values are strings.
    String(Arc<[u8]>),
    Bytes(Arc<[u8]>),
    /// In nanoseconds.
    Duration(i128),
    /// In nanoseconds since 1970.
    Time(i128),
    List(Arc<[Self]>),
    Map(Arc<[(Self, Self)]>),
    Type(&'static str),
    /// A map, list or message of Envoy's own.
    Host(Property<'a>),
}

impl<'a> Value<'a> {
    pub(super) fn text(text: impl AsRef<[u8]>) -> Self {
        Self::String(Arc::from(text.as_ref()))
    }

    /// What an attribute is in expressions. Texts are copied.
    fn of(property: Property<'a>, work: &mut Work) -> Result<Self, Fault> {
        work.charge_bytes(match &property {
            Property::Text(bytes) | Property::Bytes(bytes) => bytes.len(),
            Property::Json(Json::String(text)) => text.len(),
            _ => 0,
        })?;
        Ok(match property {
            Property::Null | Property::Json(Json::Null) => Self::Null,
            Property::Bool(value) | Property::Json(&Json::Bool(value)) => Self::Bool(value),
            Property::Int(number) => Self::Int(number),
            Property::Uint(number) => Self::Uint(number),
            Property::Double(number) => Self::Double(number),
            Property::Duration(time) => Self::Duration(time.into()),
            Property::Time(time) => Self::Time(time.into()),
            Property::Text(text) => Self::text(text),
            Property::Bytes(bytes) => Self::Bytes(Arc::from(&*bytes)),
            Property::Json(Json::Number(number)) => {
                Self::Double(number.as_f64().unwrap_or(f64::NAN))
            }
            Property::Json(Json::String(text)) => Self::text(text),
            Property::Json(Json::Object(map)) => Self::Host(Property::Struct(map)),
            other => Self::Host(other),
        })
    }

    /// The name of its type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Time(_) => "google.protobuf.Timestamp",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Type(_) => "type",
            Self::Host(property) => match property.message() {
                Some(message) => message,
                None if property.list().is_some() => "list",
                None => "map",
            },
        }
    }

    /// A number, compared as doubles are.
    pub(super) fn as_double(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "Envoy compares so")]
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Uint(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// A whole number of any kind.
    pub(super) fn as_whole(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some((*number).into()),
            Self::Uint(number) => Some((*number).into()),
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
            Self::Double(number) if number.fract() == 0.0 && number.abs() < 2_f64.powi(64) => {
                Some(*number as i128)
            }
            _ => None,
        }
    }

    /// The elements of a list; those of a list of Envoy's own are copied.
    pub(super) fn elements(&self, work: &mut Work) -> Result<Option<Cow<'_, [Self]>>, Fault> {
        let property = match self {
            Self::List(list) => return Ok(Some(Cow::Borrowed(list))),
            Self::Host(property) => property,
            _ => return Ok(None),
        };
        let Some(list) = property.list() else {
            return Ok(None);
        };
        let elements = list.into_iter().map(|element| Self::of(element, work));
        Ok(Some(Cow::Owned(elements.collect::<Result<_, _>>()?)))
    }

    /// Whether it has keys.
    pub(super) fn is_map(&self) -> bool {
        match self {
            Self::Map(_) => true,
            Self::Host(property) => property.is_map(),
            _ => false,
        }
    }

    /// The keys of a map; Envoy's own objects with fields list none.
    pub(super) fn keys(&self, work: &mut Work) -> Result<Option<Vec<Self>>, Fault> {
        let keys: Vec<Self> = match self {
            Self::Map(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
            Self::Host(property) => match property.keys() {
                Some(keys) => keys.into_iter().map(Self::text).collect(),
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        work.charge(keys.len())?;
        Ok(Some(keys))
    }

    /// What a map has under a key; a value that is no map, or a key that no map can have, is an
    /// error.
    pub(super) fn lookup(
        &self,
        key: &Self,
        state: Option<&'a VmState>,
        work: &mut Work,
    ) -> Result<Option<Self>, Fault> {
        match (self, key) {
            (Self::Map(_) | Self::Host(_), _) if !key.is_key() => Err(Fault::Error),
            (Self::Map(entries), _) => {
                work.charge(entries.len())?;
                for (known, value) in entries.iter() {
                    if known.same_key(key) {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
            (Self::Host(property), _) if !property.is_map() => Err(Fault::Error),
            (Self::Host(property), Self::String(name)) => {
                if let Property::Headers(Some(headers)) = property {
                    work.charge(headers.len())?;
                }
                let found = match (property, state) {
                    (Property::Unlisted(map), Some(state)) => {
                        properties::member(state, map.as_bytes(), name)
                    }
                    (property, _) => property.clone().field(name),
                };
                present(found, name, work)
            }
            (Self::Host(_), _) => Ok(None),
            _ => Err(Fault::Error),
        }
    }

    fn is_key(&self) -> bool {
        matches!(
            self,
            Self::Bool(_) | Self::Int(_) | Self::Uint(_) | Self::String(_) | Self::Double(_)
        )
    }

    /// Whether a key of a map is meant by another.
    pub(super) fn same_key(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::String(one), Self::String(other)) => one == other,
            _ => self
                .as_whole()
                .is_some_and(|one| Some(one) == other.as_whole()),
        }
    }

    /// The bytes that a guest gets.
    pub(crate) fn serialize(&self, work: &mut Work) -> Result<Cow<'_, [u8]>, Fault> {
        let bytes = match self {
            Self::Null | Self::Type(_) => return Err(Fault::Unwritable),
            Self::Bool(value) => Cow::Owned(vec![u8::from(*value)]),
            Self::Int(number) => Cow::Owned(number.to_le_bytes().to_vec()),
            Self::Uint(number) => Cow::Owned(number.to_le_bytes().to_vec()),
            Self::Double(number) => Cow::Owned(number.to_le_bytes().to_vec()),
            Self::String(bytes) | Self::Bytes(bytes) => Cow::Borrowed(&**bytes),
            Self::Duration(time) | Self::Time(time) => {
                Cow::Owned(time::saturated(*time).to_le_bytes().to_vec())
            }
            Self::List(list) => {
                let mut pairs = Vec::new();
                for element in list.iter() {
                    pairs.push((element.serialize(work)?, Cow::Borrowed(&b""[..])));
                }
                Cow::Owned(written(&pairs))
            }
            Self::Map(entries) => {
                let mut pairs = Vec::new();
                for (key, value) in entries.iter() {
                    pairs.push((key.serialize(work)?, value.serialize(work)?));
                }
                Cow::Owned(written(&pairs))
            }
            Self::Host(property) => match property.serialize() {
                Ok(bytes) => bytes,
                Err(Miss::Schema) => return Err(Fault::Schema),
                Err(Miss::Unknown) => return Err(Fault::unknown("a value of Envoy's own")),
                Err(Miss::Status(Status::SerializationFailure)) => return Err(Fault::Unwritable),
                Err(Miss::Status(_)) => return Err(Fault::Error),
            },
        };
        work.charge_bytes(bytes.len())?;
        Ok(bytes)
    }
}

type Written<'a> = Cow<'a, [u8]>;

fn written(pairs: &[(Written<'_>, Written<'_>)]) -> Vec<u8> {
    pairs::serialize(pairs.iter().map(|(key, value)| (&**key, &**value)))
}

/// What a name leads to, if to anything.
pub(super) fn present<'a>(
    found: Result<Property<'a>, Miss>,
    name: &[u8],
    work: &mut Work,
) -> Result<Option<Value<'a>>, Fault> {
    match found {
        Ok(Property::Broken) => Err(Fault::Error),
        Ok(property) => Value::of(property, work).map(Some),
        Err(Miss::Status(_)) => Ok(None),
        Err(Miss::Schema) => Err(Fault::Schema),
        Err(Miss::Unknown) => Err(Fault::unknown(format!("`{}`", name.escape_ascii()))),
    }
}
