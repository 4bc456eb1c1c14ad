//! A body that has been read.

use std::collections::BTreeMap;

use crate::coding::{Coding, Undecodable};
use crate::config::Kind;
use crate::failure::Failure;
use crate::fuel::Fuel;
use crate::json::{self, Document, Pointer, Value};
use crate::pairs::Pairs;

/// What a body says.
#[derive(Clone, Debug)]
pub(crate) enum Content<'a> {
    Json(Document<'a>),
    Form(Pairs<'a>),
}

/// A body is not what its headers say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Unreadable;

impl<'a> Content<'a> {
    /// Reads a decoded body, or of one in JSON what these pointers name.
    pub(crate) fn read(
        kind: Kind,
        body: &'a [u8],
        pointers: Option<&[&[String]]>,
    ) -> Result<Self, Unreadable> {
        Ok(match kind {
            Kind::Json => {
                let text = std::str::from_utf8(body).map_err(|_| Unreadable)?;
                let document = match pointers {
                    Some(pointers) => json::parse_for(text, pointers),
                    None => json::parse(text),
                };
                Self::Json(document.map_err(|_| Unreadable)?)
            }
            Kind::Form => Self::Form(Pairs::parse(body)),
        })
    }

    /// As bytes, where they are others than were read.
    pub(crate) fn changed(&self, body: &[u8], limit: usize) -> Result<Option<Vec<u8>>, Failure> {
        let bytes = match self {
            Self::Json(document) => Some(json::print_document(document, limit)?.into_bytes()),
            Self::Form(pairs) => pairs.changed(),
        };
        match bytes {
            Some(bytes) if bytes.len() > limit => Err(Failure::Large),
            bytes => Ok(bytes.filter(|bytes| bytes != body)),
        }
    }

    /// As a value; a form is an object of texts, in which a repeated name has a list.
    pub(crate) fn value(&self) -> Value<'a> {
        match self {
            Self::Json(document) => document.value.clone(),
            Self::Form(pairs) => pairs_value(pairs),
        }
    }

    /// What stands at a place: strings as they are, all else as JSON.
    pub(crate) fn text(
        &self,
        pointer: &Pointer,
        limit: usize,
        fuel: &Fuel,
    ) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Json(document) => match json::get(&document.value, pointer) {
                Some(value) => Ok(Some(text_of(value, limit, fuel)?)),
                None => Ok(None),
            },
            Self::Form(pairs) => Ok(match pointer.tokens() {
                [name] => pairs
                    .values(name)
                    .next_back()
                    .map(|value| value.into_owned()),
                _ => None,
            }),
        }
    }
}

/// A string as it is, all else as JSON.
pub(crate) fn text_of(value: &Value<'_>, limit: usize, fuel: &Fuel) -> Result<Vec<u8>, Failure> {
    let text = match value.as_text() {
        Some(text) => text.into_owned(),
        None => json::print(&json::compact(value, fuel)?, limit)?,
    };
    fuel.spend(text.len() / 8)?;
    Ok(text.into_bytes())
}

/// Names and values as an object; what stands there several times is a list.
pub(crate) fn pairs_value(pairs: &Pairs<'_>) -> Value<'static> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut members: Vec<(String, Vec<Value<'static>>)> = Vec::new();
    let mut places = BTreeMap::new();
    for (name, value) in pairs.iter() {
        let (name, value) = (text(&name), Value::string(&text(&value)));
        let place = *places.entry(name.clone()).or_insert(members.len());
        match members.get_mut(place) {
            Some((_, values)) => values.push(value),
            None => members.push((name, vec![value])),
        }
    }
    let members = members.iter_mut().map(|(name, values)| {
        let value = match values.len() {
            1 => values.pop().unwrap_or(Value::Null),
            _ => Value::array(std::mem::take(values)),
        };
        (&**name, value)
    });
    Value::named(members)
}

/// Takes the codings off, the last one first.
pub(crate) fn decode(
    body: &[u8],
    codings: &[Coding],
    limit: usize,
) -> Result<Option<Vec<u8>>, Undecodable> {
    let mut decoded: Option<Vec<u8>> = None;
    for coding in codings.iter().rev() {
        decoded = Some(coding.decode(decoded.as_deref().unwrap_or(body), limit)?);
    }
    Ok(decoded)
}
