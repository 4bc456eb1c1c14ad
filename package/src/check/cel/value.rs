use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::Fault;
use super::url::Address;

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::check) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(Vec<Self>),
    Map(BTreeMap<String, Self>),
    /// In nanoseconds.
    Duration(i128),
    Address(Box<Address>),
}

impl Value {
    /// Whether two are the same; numbers are by what they count.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(_) | Self::Double(_), Self::Int(_) | Self::Double(_)) => {
                self.compare(other) == Ok(Ordering::Equal)
            }
            (Self::List(one), Self::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.equals(b))
            }
            (Self::Map(one), Self::Map(other)) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .all(|(key, a)| other.get(key).is_some_and(|b| a.equals(b)))
            }
            (one, other) => one == other,
        }
    }

    pub(super) fn compare(&self, other: &Self) -> Result<Ordering, Fault> {
        let order = match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            #[expect(clippy::cast_precision_loss, reason = "as CEL compares them")]
            (Self::Int(a), Self::Double(b)) => (*a as f64).partial_cmp(b),
            #[expect(clippy::cast_precision_loss, reason = "as CEL compares them")]
            (Self::Double(a), Self::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            _ => None,
        };
        order.ok_or_else(|| Fault::Failed("the values cannot be compared".to_owned()))
    }
}

impl From<&Json> for Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(it) => Self::Bool(*it),
            Json::Number(it) => match it.as_i64() {
                Some(it) => Self::Int(it),
                None => Self::Double(it.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(it) => Self::Text(it.clone()),
            Json::Array(it) => Self::List(it.iter().map(Self::from).collect()),
            Json::Object(it) => {
                let entries = it
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::from(value)));
                Self::Map(entries.collect())
            }
        }
    }
}

/// Go's durations: `1h2m3.5s`, with units of their own each.
pub(super) fn duration(text: &str) -> Result<Value, Fault> {
    let fail = || Fault::Failed("it is no duration such as `1m30s`".to_owned());
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Value::Duration(0));
    }
    if rest.is_empty() || rest.len() > 64 {
        return Err(fail());
    }
    let mut nanoseconds: i128 = 0;
    while !rest.is_empty() {
        let end = rest
            .find(|symbol: char| !symbol.is_ascii_digit() && symbol != '.')
            .ok_or_else(fail)?;
        let (number, behind) = rest.split_at(end);
        let units: [(&str, i128); 7] = [
            ("ns", 1),
            ("us", 1_000),
            ("µs", 1_000),
            ("ms", 1_000_000),
            ("s", 1_000_000_000),
            ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ];
        // `ms` is no minute.
        let (unit, scale) = units
            .into_iter()
            .find(|(unit, _)| behind.starts_with(unit))
            .ok_or_else(fail)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && part.is_empty() {
            return Err(fail());
        }
        let whole: i128 = match whole {
            "" => 0,
            whole if whole.len() <= 15 => whole.parse().map_err(|_| fail())?,
            _ => return Err(fail()),
        };
        nanoseconds += whole * scale;
        let mut worth = scale;
        for digit in part.chars() {
            worth /= 10;
            nanoseconds += i128::from(digit.to_digit(10).ok_or_else(fail)?) * worth;
        }
        rest = &behind[unit.len()..];
    }
    Ok(Value::Duration(sign * nanoseconds))
}
