//! What values are sorted by: numbers, or strings.

use std::cmp::Ordering;

use crate::failure::Failure;
use crate::fuel::Fuel;
use crate::json::{self, Value};

/// What one value is ordered by.
#[derive(Debug)]
pub(super) enum Key {
    Number(String),
    Text(String),
}

impl Key {
    /// As the specification orders: numbers by value, strings by code point.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => json::compare(left, right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            _ => Ordering::Equal,
        }
    }
}

/// Values with what they are ordered by, which is all numbers or all strings.
pub(super) fn keys<'a>(
    by: Vec<(Value<'_>, Value<'a>)>,
    fuel: &Fuel,
) -> Result<Vec<(Key, Value<'a>)>, Failure> {
    let mut made = Vec::with_capacity(by.len());
    for (key, value) in by {
        let key = match key {
            Value::Number(text) => Key::Number(text.as_str().to_owned()),
            Value::String(text) => Key::Text(text.decoded().into_owned()),
            _ => return Err(MIXED),
        };
        let (Key::Number(text) | Key::Text(text)) = &key;
        fuel.spend(1 + text.len() / 16)?;
        made.push((key, value));
    }
    let is_number = |key: &Key| matches!(key, Key::Number(_));
    if let Some((first, _)) = made.first()
        && made
            .iter()
            .any(|(key, _)| is_number(key) != is_number(first))
    {
        return Err(MIXED);
    }
    Ok(made)
}

const MIXED: Failure = Failure::Query("a function wants all numbers or all strings to order by");

/// In order; those that are equal stay as they were.
pub(super) fn sorted<'a>(
    mut by: Vec<(Key, Value<'a>)>,
    fuel: &Fuel,
) -> Result<Vec<(Key, Value<'a>)>, Failure> {
    let longest = by
        .iter()
        .map(|(Key::Number(text) | Key::Text(text), _)| text.len());
    let each = 1 + longest.max().unwrap_or(0) / 16;
    let rounds = usize::try_from(by.len().checked_ilog2().unwrap_or(0)).unwrap_or(usize::MAX);
    fuel.spend(by.len().saturating_mul(rounds).saturating_mul(each))?;
    by.sort_by(|(left, _), (right, _)| left.order(right));
    Ok(by)
}
