use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Object, Value, compare};
use crate::failure::Failure;
use crate::fuel::Fuel;

/// Whether both say the same (RFC 6902, 4.6): numbers by value, objects in any order.
///
/// # Errors
///
/// [`Failure::Work`].
pub fn equal(left: &Value<'_>, right: &Value<'_>, fuel: &Fuel) -> Result<bool, Failure> {
    fuel.spend(1)?;
    Ok(match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Number(left), Value::Number(right)) => {
            fuel.spend((left.as_str().len() + right.as_str().len()) / 16)?;
            compare(left.as_str(), right.as_str()) == Ordering::Equal
        }
        (Value::String(left), Value::String(right)) => {
            fuel.spend((left.as_str().len() + right.as_str().len()) / 16)?;
            left.decoded() == right.decoded()
        }
        (Value::Array(left), Value::Array(right)) => {
            if left.elements.len() != right.elements.len() {
                return Ok(false);
            }
            for (left, right) in left.elements.iter().zip(&right.elements) {
                if !equal(&left.value, &right.value, fuel)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(left), Value::Object(right)) => {
            let (left, right) = (sorted(left, fuel)?, sorted(right, fuel)?);
            if left.len() != right.len() {
                return Ok(false);
            }
            for ((key, left), (other, right)) in left.into_iter().zip(right) {
                if key != other || !equal(left, right, fuel)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}

/// The members by key, each key once: its last value.
fn sorted<'o, 'a>(
    object: &'o Object<'a>,
    fuel: &Fuel,
) -> Result<Vec<(Cow<'o, str>, &'o Value<'a>)>, Failure> {
    fuel.spend(object.members.len() * 4)?;
    let members = object.members.iter().rev();
    let mut members: Vec<_> = members
        .map(|member| (member.key.decoded(), &member.value))
        .collect();
    // Stable: of those of one key, the last one stands first.
    members.sort_by(|(left, _), (right, _)| left.cmp(right));
    members.dedup_by(|(later, _), (earlier, _)| later == earlier);
    Ok(members)
}
