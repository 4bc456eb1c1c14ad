//! Values of properties: what is below them, and the bytes that a guest gets.
//!
//! The rules are those of `getProperty` and `serializeValue` in Envoy's
//! `source/extensions/common/wasm/context.cc`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use serde_json::{Map, Value as Json};

use crate::abi::Status;
use crate::attributes::{Locality, Metadata, Node};
use crate::envoy_version::EnvoyVersion;
use crate::headers::Headers;
use crate::pairs;
use crate::protobuf::Writer;

/// A value on the way along a path.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    /// There is a value, and it says nothing.
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    /// In nanoseconds.
    Duration(i64),
    /// In nanoseconds since 1970.
    Time(i64),
    Text(Cow<'a, [u8]>),
    Bytes(Cow<'a, [u8]>),
    /// `google.protobuf.Empty`.
    Nothing,
    /// Bytes that are not of their type.
    Broken,
    /// `google.protobuf.Value`.
    Json(&'a Json),
    /// `google.protobuf.Struct`.
    Struct(&'a Map<String, Json>),
    /// A map from namespaces to structs.
    Structs(&'a BTreeMap<String, Map<String, Json>>),
    /// A header map, absent or not.
    Headers(Option<&'a Headers>),
    Metadata(&'a Metadata),
    Locality(&'a Locality),
    Node(&'a Node),
    /// `envoy.config.core.v3.BuildVersion` of an Envoy, whose other field each build fills by itself.
    BuildVersion(EnvoyVersion),
    /// Its `envoy.type.v3.SemanticVersion`.
    SemanticVersion(EnvoyVersion),
    /// An object of the filter state with fields, which lists none of them.
    Address(SocketAddr),
    /// A map without entries.
    Empty,
    /// The map of Envoy's own of this name, which answers to names and cannot be listed.
    Unlisted(&'static str),
}

/// Why a path leads to no bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Miss {
    /// Envoy answers this status.
    Status(Status),
    /// Envoy has a value here that this harness does not know.
    Unknown,
    /// Envoy crashes over a schema that is none.
    Schema,
}

pub(crate) const ABSENT: Miss = Miss::Status(Status::NotFound);
const UNWRITABLE: Miss = Miss::Status(Status::SerializationFailure);

static NO_ELEMENTS: Json = Json::Array(Vec::new());

pub(crate) type Found<'a> = Result<Value<'a>, Miss>;

impl<'a> Value<'a> {
    pub(crate) fn text(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        Self::Text(Cow::Borrowed(text.as_ref()))
    }

    pub(crate) fn owned(text: impl Into<Vec<u8>>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    pub(crate) fn bytes(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }

    pub(crate) fn int(number: impl TryInto<i64>) -> Self {
        Self::Int(number.try_into().unwrap_or(i64::MAX))
    }

    /// What a part of a path leads to below this value.
    pub(crate) fn field(self, part: &[u8]) -> Found<'a> {
        let name = || str::from_utf8(part).map_err(|_| ABSENT);
        match self {
            Self::Json(Json::Object(map)) | Self::Struct(map) => {
                map.get(name()?).map(Self::Json).ok_or(ABSENT)
            }
            Self::Json(Json::Array(list)) => {
                let index = name()?.trim_ascii().parse::<i32>().map_err(|_| ABSENT)?;
                let index = usize::try_from(index).map_err(|_| ABSENT)?;
                list.get(index).map(Self::Json).ok_or(ABSENT)
            }
            Self::Structs(map) => map.get(name()?).map(Self::Struct).ok_or(ABSENT),
            Self::Headers(headers) => {
                let headers = headers.filter(|headers| headers.contains_key(part));
                headers
                    .map(|headers| Self::owned(joined(headers, part)))
                    .ok_or(ABSENT)
            }
            Self::Metadata(metadata) => match part {
                b"filter_metadata" => Ok(Self::Structs(&metadata.0)),
                b"typed_filter_metadata" => Ok(Self::Empty),
                _ => Err(ABSENT),
            },
            Self::Locality(locality) => match part {
                b"region" => Ok(Self::text(&locality.region)),
                b"zone" => Ok(Self::text(&locality.zone)),
                b"sub_zone" => Ok(Self::text(&locality.sub_zone)),
                _ => Err(ABSENT),
            },
            Self::Node(node) => field_of_node(node, part),
            Self::BuildVersion(version) => match part {
                b"version" => Ok(Self::SemanticVersion(version)),
                b"metadata" => Err(Miss::Unknown),
                _ => Err(ABSENT),
            },
            Self::SemanticVersion(version) => {
                let [major, minor, patch] = version.release();
                match part {
                    b"major_number" => Ok(Self::Uint(major)),
                    b"minor_number" => Ok(Self::Uint(minor)),
                    b"patch" => Ok(Self::Uint(patch)),
                    _ => Err(ABSENT),
                }
            }
            Self::Address(address) => match part {
                b"ip" => Ok(Self::owned(address.ip().to_string())),
                b"port" => Ok(Self::int(address.port())),
                _ => Err(ABSENT),
            },
            _ => Err(ABSENT),
        }
    }

    /// The bytes that a guest gets.
    pub(crate) fn serialize(&self) -> Result<Cow<'a, [u8]>, Miss> {
        Ok(match self {
            Self::Null | Self::Json(Json::Null) | Self::Unlisted(_) | Self::Broken => {
                return Err(UNWRITABLE);
            }
            Self::Text(bytes) | Self::Bytes(bytes) => bytes.clone(),
            Self::Json(Json::String(text)) => Cow::Borrowed(text.as_bytes()),
            Self::Nothing => Cow::Borrowed(&[]),
            Self::Double(number) => Cow::Owned(number.to_le_bytes().to_vec()),
            Self::Bool(value) | Self::Json(Json::Bool(value)) => Cow::Owned(vec![u8::from(*value)]),
            Self::Int(number) | Self::Duration(number) | Self::Time(number) => {
                Cow::Owned(number.to_le_bytes().to_vec())
            }
            Self::Uint(number) => Cow::Owned(number.to_le_bytes().to_vec()),
            Self::Json(Json::Number(number)) => {
                Cow::Owned(number.as_f64().unwrap_or(f64::NAN).to_le_bytes().to_vec())
            }
            Self::Json(Json::Object(map)) => Self::Struct(map).serialize()?,
            Self::Struct(map) => {
                let fields = map.iter().map(|(name, value)| (name, Self::Json(value)));
                Cow::Owned(map_bytes(fields)?)
            }
            Self::Structs(map) => {
                let fields = map.iter().map(|(name, value)| (name, Self::Struct(value)));
                Cow::Owned(map_bytes(fields)?)
            }
            // A list is a map whose values are empty.
            Self::Json(Json::Array(list)) => {
                let elements = list.iter().map(|element| Self::Json(element).serialize());
                let elements = elements.collect::<Result<Vec<_>, Miss>>()?;
                Cow::Owned(pairs::serialize(
                    elements.iter().map(|element| (&**element, &b""[..])),
                ))
            }
            Self::Headers(headers) => Cow::Owned(header_bytes(*headers)),
            Self::Metadata(metadata) => Cow::Owned(metadata_message(metadata)),
            Self::Locality(locality) => Cow::Owned(locality_message(locality)),
            Self::Node(node) => Cow::Owned(node_message(node)),
            Self::BuildVersion(_) => return Err(Miss::Unknown),
            Self::SemanticVersion(version) => {
                let mut message = Writer::default();
                for (field, number) in (1..).zip(version.release()) {
                    if number > 0 {
                        message.varint(field, number);
                    }
                }
                Cow::Owned(message.finish())
            }
            Self::Empty | Self::Address(_) => Cow::Owned(pairs::serialize(std::iter::empty())),
        })
    }
}

impl Value<'_> {
    /// The type of a message; none for what is no message.
    pub(crate) fn message(&self) -> Option<&'static str> {
        Some(match self {
            Self::Metadata(_) => "envoy.config.core.v3.Metadata",
            Self::Locality(_) => "envoy.config.core.v3.Locality",
            Self::Node(_) => "envoy.config.core.v3.Node",
            Self::Nothing => "google.protobuf.Empty",
            Self::BuildVersion(_) => "envoy.config.core.v3.BuildVersion",
            Self::SemanticVersion(_) => "envoy.type.v3.SemanticVersion",
            _ => return None,
        })
    }

    /// Whether a message has a field that says something; none if it knows no such field.
    pub(crate) fn has(&self, field: &[u8]) -> Option<bool> {
        Some(match (self, field) {
            (Self::Metadata(metadata), b"filter_metadata") => !metadata.0.is_empty(),
            (Self::Metadata(_), b"typed_filter_metadata") => false,
            (Self::Locality(locality), b"region") => !locality.region.is_empty(),
            (Self::Locality(locality), b"zone") => !locality.zone.is_empty(),
            (Self::Locality(locality), b"sub_zone") => !locality.sub_zone.is_empty(),
            (Self::Node(node), b"id") => !node.id.is_empty(),
            (Self::Node(node), b"cluster") => !node.cluster.is_empty(),
            (Self::Node(node), b"metadata") => !node.metadata.is_empty(),
            (Self::Node(node), b"locality") => node.locality != Locality::default(),
            (Self::Node(_), b"user_agent_name" | b"user_agent_build_version" | b"extensions") => {
                true
            }
            (
                Self::Node(_),
                b"user_agent_version"
                | b"dynamic_parameters"
                | b"client_features"
                | b"listening_addresses",
            ) => false,
            (Self::BuildVersion(_), b"version" | b"metadata") => true,
            (Self::SemanticVersion(_), b"major_number" | b"minor_number") => true,
            (Self::SemanticVersion(version), b"patch") => version.release()[2] > 0,
            _ => return None,
        })
    }
}

impl<'a> Value<'a> {
    /// The elements of a list.
    pub(crate) fn list(&self) -> Option<Vec<Self>> {
        match self {
            Self::Json(Json::Array(list)) => Some(list.iter().map(Self::Json).collect()),
            _ => None,
        }
    }

    /// Whether it is a map, and [`Value::keys`] has something.
    pub(crate) fn is_map(&self) -> bool {
        matches!(
            self,
            Self::Json(Json::Object(_))
                | Self::Struct(_)
                | Self::Structs(_)
                | Self::Headers(_)
                | Self::Empty
                | Self::Address(_)
                | Self::Unlisted(_)
        )
    }

    /// The names in a map, of which some list none; none for what is no map.
    pub(crate) fn keys(&self) -> Option<Vec<&'a [u8]>> {
        Some(match self {
            Self::Json(Json::Object(map)) => map.keys().map(String::as_bytes).collect(),
            Self::Struct(map) => map.keys().map(String::as_bytes).collect(),
            Self::Structs(map) => map.keys().map(String::as_bytes).collect(),
            Self::Headers(headers) => {
                let mut known = HashSet::new();
                let all = headers.iter().flat_map(|headers| headers.iter());
                all.map(|(name, _)| name)
                    .filter(|name| known.insert(*name))
                    .collect()
            }
            Self::Empty | Self::Address(_) | Self::Unlisted(_) => Vec::new(),
            _ => return None,
        })
    }
}

/// A map as pairs. One value that cannot be written spoils it.
fn map_bytes<'a>(fields: impl Iterator<Item = (&'a String, Value<'a>)>) -> Result<Vec<u8>, Miss> {
    let pairs = fields
        .map(|(name, value)| Ok((name.as_bytes(), value.serialize()?)))
        .collect::<Result<Vec<_>, Miss>>()?;
    Ok(pairs::serialize(
        pairs.iter().map(|(name, value)| (*name, &**value)),
    ))
}

/// A header map as pairs, each name once. Envoy lists the names in the order of a hash table that
/// is another in each process; here it is the order of the headers.
fn header_bytes(headers: Option<&Headers>) -> Vec<u8> {
    let mut pairs: Vec<pairs::Pair> = Vec::new();
    for (headers, name) in headers
        .iter()
        .flat_map(|headers| headers.iter().map(move |(name, _)| (headers, name)))
    {
        if !pairs.iter().any(|(known, _)| known == name) {
            pairs.push((name.to_vec(), joined(headers, name)));
        }
    }
    pairs::serialize(
        pairs
            .iter()
            .map(|(name, value)| (name.as_slice(), value.as_slice())),
    )
}

fn joined(headers: &Headers, name: &[u8]) -> Vec<u8> {
    headers.get_all(name).collect::<Vec<_>>().join(&b","[..])
}

fn field_of_node<'a>(node: &'a Node, part: &[u8]) -> Found<'a> {
    Ok(match part {
        b"id" => Value::text(&node.id),
        b"cluster" => Value::text(&node.cluster),
        b"metadata" => Value::Struct(&node.metadata),
        b"locality" => Value::Locality(&node.locality),
        b"user_agent_name" => Value::text("envoy"),
        b"user_agent_version" => Value::text(""),
        b"dynamic_parameters" => Value::Empty,
        b"user_agent_build_version" => Value::BuildVersion(node.version),
        b"client_features" | b"listening_addresses" => Value::Json(&NO_ELEMENTS),
        // Each build has its own.
        b"extensions" => return Err(Miss::Unknown),
        _ => return Err(ABSENT),
    })
}

/// `envoy.config.core.v3.Metadata`.
fn metadata_message(metadata: &Metadata) -> Vec<u8> {
    let mut message = Writer::default();
    for (namespace, fields) in &metadata.0 {
        message.present(1, &entry(namespace, &struct_message(fields)));
    }
    message.finish()
}

/// `envoy.config.core.v3.Locality`.
fn locality_message(locality: &Locality) -> Vec<u8> {
    let mut message = Writer::default();
    message.bytes(1, locality.region.as_bytes());
    message.bytes(2, locality.zone.as_bytes());
    message.bytes(3, locality.sub_zone.as_bytes());
    message.finish()
}

/// `envoy.config.core.v3.Node`, without the build version and the list of Envoy's extensions, which
/// make it some 60 kB.
fn node_message(node: &Node) -> Vec<u8> {
    let mut message = Writer::default();
    message.bytes(1, node.id.as_bytes());
    message.bytes(2, node.cluster.as_bytes());
    if !node.metadata.is_empty() {
        message.present(3, &struct_message(&node.metadata));
    }
    message.bytes(4, &locality_message(&node.locality));
    message.bytes(6, b"envoy");
    message.finish()
}

/// `google.protobuf.Struct`. Envoy writes the fields in the order of a hash table; here they are
/// in the order of their names.
fn struct_message(fields: &Map<String, Json>) -> Vec<u8> {
    let mut message = Writer::default();
    for (name, value) in fields {
        message.present(1, &entry(name, &value_message(value)));
    }
    message.finish()
}

/// `google.protobuf.Value`.
fn value_message(value: &Json) -> Vec<u8> {
    let mut message = Writer::default();
    match value {
        Json::Null => message.varint(1, 0),
        Json::Number(number) => message.double(2, number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => message.present(3, text.as_bytes()),
        Json::Bool(value) => message.varint(4, u64::from(*value)),
        Json::Object(fields) => message.present(5, &struct_message(fields)),
        Json::Array(list) => {
            let mut elements = Writer::default();
            for element in list {
                elements.present(1, &value_message(element));
            }
            message.present(6, &elements.finish());
        }
    }
    message.finish()
}

/// An entry of a map field.
fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    let mut entry = Writer::default();
    entry.present(1, key.as_bytes());
    entry.present(2, value);
    entry.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bytes(value: &Json) -> Result<Vec<u8>, Miss> {
        Value::Json(value).serialize().map(Cow::into_owned)
    }

    #[test]
    fn values_of_a_struct_are_written_as_envoy_writes_them() {
        assert_eq!(bytes(&json!("v")), Ok(b"v".to_vec()));
        assert_eq!(bytes(&json!(true)), Ok(vec![1]));
        assert_eq!(bytes(&json!(2)), Ok(2f64.to_le_bytes().to_vec()));
        assert_eq!(bytes(&json!(null)), Err(UNWRITABLE));
        assert_eq!(bytes(&json!({"k": null})), Err(UNWRITABLE));
        assert_eq!(
            bytes(&json!({"k": "v"})),
            Ok(b"\x01\0\0\0\x01\0\0\0\x01\0\0\0k\0v\0".to_vec())
        );
        assert_eq!(
            bytes(&json!(["b"])),
            Ok(b"\x01\0\0\0\x01\0\0\0\0\0\0\0b\0\0".to_vec())
        );
    }

    #[test]
    fn a_list_answers_to_indexes_only() {
        let list = json!(["a", "b"]);
        let at = |part: &[u8]| {
            Value::Json(&list)
                .field(part)
                .and_then(|value| value.serialize())
        };
        assert_eq!(at(b"1").as_deref(), Ok(&b"b"[..]));
        for part in [&b"2"[..], b"-1", b"x", b"", b"\xff"] {
            assert_eq!(at(part), Err(ABSENT), "{part:?}");
        }
    }

    #[test]
    fn metadata_is_the_message_that_envoy_writes() {
        let mut metadata = Metadata::default();
        metadata.extend("l", [("k", json!("listener"))]);
        assert_eq!(
            metadata_message(&metadata),
            b"\n\x16\n\x01l\x12\x11\n\x0f\n\x01k\x12\n\x1a\x08listener"
        );
    }
}
