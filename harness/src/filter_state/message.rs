//! Messages in the filter state: what Envoy makes of bytes whose type URL it knows.
//!
//! Envoy knows the types of all messages that it is built with. Here are those that expressions take for
//! values: `google.protobuf.Struct` and kin, the wrappers, durations and times.

use serde_json::{Map, Number, Value as Json};

use crate::protobuf::{PACKAGES, Wire, read};

/// What bytes say by their type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Json(Json),
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Vec<u8>),
    Bytes(Vec<u8>),
    /// In nanoseconds.
    Duration(i64),
    /// In nanoseconds since 1970.
    Time(i64),
    /// `google.protobuf.Empty`.
    Empty,
    /// The type is none, or the bytes are not of it.
    Broken,
    /// Envoy may know the type.
    Unknown,
    /// The schema is none, and Envoy follows it.
    Deadly,
}

/// Why bytes are not read.
enum Unread {
    Broken,
    Unknown,
}

type Reading<T> = Result<T, Unread>;

impl Message {
    /// What is said by a reflection of FlatBuffers, which has its sign behind the first offset.
    pub(crate) fn of_schema(schema: &[u8]) -> Self {
        match schema.get(4..8) {
            Some(b"BFBS") if schema.len() > 16 => Self::Unknown,
            _ => Self::Deadly,
        }
    }

    pub(crate) fn read(url: &[u8], bytes: &[u8]) -> Self {
        let url = str::from_utf8(url).unwrap_or_default();
        let Some((_, name)) = url.rsplit_once('/') else {
            return Self::Broken;
        };
        match message(name, bytes) {
            Ok(message) => message,
            Err(Unread::Broken) => Self::Broken,
            Err(Unread::Unknown) => Self::Unknown,
        }
    }
}

fn message(name: &str, bytes: &[u8]) -> Reading<Message> {
    let Some(known) = name.strip_prefix("google.protobuf.") else {
        return Err(match name.split('.').next() {
            Some(package) if PACKAGES.contains(&package) => Unread::Unknown,
            _ => Unread::Broken,
        });
    };
    let fields = read(bytes).ok_or(Unread::Broken)?;
    let number = |field| last(&fields, field, varint).unwrap_or_default();
    let value = || last(&fields, 1, of_length).unwrap_or_default();
    Ok(match known {
        "Struct" => Message::Json(Json::Object(structure(bytes, 0)?)),
        "Value" => Message::Json(json(bytes, 0)?),
        "ListValue" => Message::Json(Json::Array(list(bytes, 0)?)),
        "StringValue" => Message::Text(text(value())?.as_bytes().to_vec()),
        "BytesValue" => Message::Bytes(value().to_vec()),
        "BoolValue" => Message::Bool(number(1) != 0),
        "Int64Value" => Message::Int(number(1).cast_signed()),
        #[expect(clippy::cast_possible_truncation, reason = "protobuf cuts so")]
        "Int32Value" => Message::Int((number(1) as i32).into()),
        "UInt64Value" => Message::Uint(number(1)),
        #[expect(clippy::cast_possible_truncation, reason = "protobuf cuts so")]
        "UInt32Value" => Message::Uint((number(1) as u32).into()),
        "DoubleValue" => Message::Double(last(&fields, 1, double).unwrap_or_default()),
        "FloatValue" => Message::Double(last(&fields, 1, float).unwrap_or_default()),
        "Duration" => Message::Duration(nanoseconds(number(1), number(2))?),
        "Timestamp" => Message::Time(nanoseconds(number(1), number(2))?),
        // Envoy keeps fields that it does not know, and writes them again.
        "Empty" if fields.is_empty() => Message::Empty,
        _ => return Err(Unread::Unknown),
    })
}

/// Seconds and nanoseconds, as far as a guest can be told of both.
fn nanoseconds(seconds: u64, nanoseconds: u64) -> Reading<i64> {
    let seconds = seconds.cast_signed().checked_mul(1_000_000_000);
    let sum = seconds.and_then(|time| time.checked_add(nanoseconds.cast_signed()));
    sum.ok_or(Unread::Unknown)
}

/// Protobuf's own limit for messages within each other.
const DEPTH: usize = 100;

/// `google.protobuf.Struct`.
fn structure(bytes: &[u8], depth: usize) -> Reading<Map<String, Json>> {
    let mut map = Map::new();
    for entry in elements(bytes, depth)? {
        let fields = read(entry).ok_or(Unread::Broken)?;
        let key = text(last(&fields, 1, of_length).unwrap_or_default())?;
        let value = last(&fields, 2, of_length).unwrap_or_default();
        map.insert(key.to_owned(), json(value, depth + 2)?);
    }
    Ok(map)
}

/// `google.protobuf.ListValue`.
fn list(bytes: &[u8], depth: usize) -> Reading<Vec<Json>> {
    let elements = elements(bytes, depth)?.into_iter();
    elements.map(|value| json(value, depth + 1)).collect()
}

/// The messages of a repeated field 1.
fn elements(bytes: &[u8], depth: usize) -> Reading<Vec<&[u8]>> {
    if depth > DEPTH {
        return Err(Unread::Broken);
    }
    let fields = read(bytes).ok_or(Unread::Broken)?;
    let element = |(number, wire)| of_length(wire).filter(|_| number == 1);
    Ok(fields.into_iter().filter_map(element).collect())
}

/// `google.protobuf.Value`; null where it is none.
fn json(bytes: &[u8], depth: usize) -> Reading<Json> {
    if depth > DEPTH {
        return Err(Unread::Broken);
    }
    let mut value = Json::Null;
    let mut nested = 0;
    for field in read(bytes).ok_or(Unread::Broken)? {
        value = match field {
            (1, Wire::Varint(_)) => Json::Null,
            (2, Wire::Fixed64(bits)) => {
                let number = Number::from_f64(f64::from_bits(bits));
                Json::Number(number.ok_or(Unread::Unknown)?)
            }
            (3, Wire::Bytes(bytes)) => Json::String(text(bytes)?.to_owned()),
            (4, Wire::Varint(number)) => Json::Bool(number != 0),
            (5, Wire::Bytes(bytes)) => {
                nested += 1;
                Json::Object(structure(bytes, depth + 1)?)
            }
            (6, Wire::Bytes(bytes)) => {
                nested += 1;
                Json::Array(list(bytes, depth + 1)?)
            }
            _ => value,
        };
    }
    // Messages that come twice are merged.
    if nested > 1 {
        return Err(Unread::Unknown);
    }
    Ok(value)
}

/// A string has to be UTF-8.
fn text(bytes: &[u8]) -> Reading<&str> {
    str::from_utf8(bytes).map_err(|_| Unread::Broken)
}

/// The last value of a field that is of a kind.
fn last<'a, T>(
    fields: &[(u32, Wire<'a>)],
    field: u32,
    kind: impl Fn(Wire<'a>) -> Option<T>,
) -> Option<T> {
    let mut found = fields.iter().rev().filter(|(number, _)| *number == field);
    found.find_map(|(_, wire)| kind(*wire))
}

fn of_length(wire: Wire<'_>) -> Option<&[u8]> {
    match wire {
        Wire::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn varint(wire: Wire<'_>) -> Option<u64> {
    match wire {
        Wire::Varint(number) => Some(number),
        _ => None,
    }
}

fn double(wire: Wire<'_>) -> Option<f64> {
    match wire {
        Wire::Fixed64(bits) => Some(f64::from_bits(bits)),
        _ => None,
    }
}

fn float(wire: Wire<'_>) -> Option<f64> {
    match wire {
        Wire::Fixed32(bits) => Some(f32::from_bits(bits).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_too_deeply_is_broken() {
        let mut bytes = Vec::new();
        for _ in 0..20_000 {
            if bytes.len() > 60_000 {
                break;
            }
            let mut writer = crate::protobuf::Writer::default();
            writer.present(6, &{
                let mut list = crate::protobuf::Writer::default();
                list.present(1, &bytes);
                list.finish()
            });
            bytes = writer.finish();
        }
        let url = b"type.googleapis.com/google.protobuf.Value";
        assert_eq!(Message::read(url, &bytes), Message::Broken);
        assert_eq!(Message::read(url, b""), Message::Json(Json::Null));
    }

    #[test]
    fn a_type_is_known_broken_or_envoys_own() {
        for (url, expected) in [
            ("x/google.protobuf.UInt32Value", Message::Uint(5)),
            ("google.protobuf.UInt32Value", Message::Broken),
            ("x/no.such.Type", Message::Broken),
            ("", Message::Broken),
            ("x/google.protobuf.Any", Message::Unknown),
            ("x/envoy.config.core.v3.Node", Message::Unknown),
        ] {
            assert_eq!(Message::read(url.as_bytes(), b"\x08\x05"), expected);
        }
    }
}
