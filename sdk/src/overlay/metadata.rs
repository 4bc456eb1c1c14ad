//! The messages that a route's metadata are made of: `envoy.config.core.v3.Metadata` and
//! `google.protobuf.Struct`.

use crate::config::Document;
use crate::foreign::{Field, read};
use crate::secret::Secret;

/// How deep a value may be nested; Protobuf's own limit is 100 messages, two for each level.
const DEPTH: usize = 64;

/// The bytes of the `Struct` that metadata hold for a name. `None` for bytes that are no metadata;
/// `Some(None)` where they hold nothing for it.
pub(super) fn overlay_of<'a>(metadata: &'a [u8], name: &str) -> Option<Option<&'a [u8]>> {
    let mut found = None;
    for field in read(metadata)? {
        // filter_metadata
        if let (1, Field::Bytes(entry)) = field {
            let (key, value) = entry_of(entry)?;
            if key == name.as_bytes() {
                found = Some(value).filter(|value| !value.is_empty());
            }
        }
    }
    Some(found)
}

/// The value of a `Struct`; `None` for bytes that are none.
pub(super) fn read_struct(bytes: &[u8]) -> Option<Document> {
    structure(bytes, DEPTH)
}

fn structure(bytes: &[u8], depth: usize) -> Option<Document> {
    let mut members: Vec<(String, Document)> = Vec::new();
    for field in read(bytes)? {
        if let (1, Field::Bytes(entry)) = field {
            let (key, value) = entry_of(entry)?;
            let key = String::from_utf8(key.to_vec()).ok()?;
            let value = any(value, depth.checked_sub(1)?)?;
            members.retain(|(known, _)| *known != key);
            members.push((key, value));
        }
    }
    Some(Document::Object(members))
}

fn any(bytes: &[u8], depth: usize) -> Option<Document> {
    let mut value = Document::Null;
    for field in read(bytes)? {
        value = match field {
            (1, Field::Varint(_)) => Document::Null,
            (2, Field::Fixed(bits)) => number(f64::from_bits(bits)),
            (3, Field::Bytes(text)) => {
                Document::Text(Secret::new(String::from_utf8(text.to_vec()).ok()?))
            }
            (4, Field::Varint(truth)) => Document::Bool(truth != 0),
            (5, Field::Bytes(message)) => structure(message, depth)?,
            (6, Field::Bytes(message)) => list(message, depth)?,
            _ => value,
        };
    }
    Some(value)
}

fn list(bytes: &[u8], depth: usize) -> Option<Document> {
    let depth = depth.checked_sub(1)?;
    let mut values = Vec::new();
    for field in read(bytes)? {
        if let (1, Field::Bytes(value)) = field {
            values.push(any(value, depth)?);
        }
    }
    Some(Document::List(values))
}

/// A whole number is one: a `Struct` has no other way to say so.
fn number(number: f64) -> Document {
    /// Up to here, every whole number has a floating-point number of its own.
    const EXACT: f64 = 9_007_199_254_740_991.0;

    if number.fract() != 0.0 || !(-EXACT..=EXACT).contains(&number) {
        return Document::Float(number);
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
    let whole = number as i64;
    match u64::try_from(whole) {
        Ok(whole) => Document::Unsigned(whole),
        Err(_) => Document::Signed(whole),
    }
}

/// Key and value of a map's entry.
fn entry_of(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut key, mut value) = (&b""[..], &b""[..]);
    for field in read(bytes)? {
        match field {
            (1, Field::Bytes(bytes)) => key = bytes,
            (2, Field::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Some((key, value))
}
