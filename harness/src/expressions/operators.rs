//! Operators of two values, and the minus sign.

use std::cmp::Ordering;
use std::sync::Arc;

use super::evaluate::Evaluation;
use super::fault::{Fault, Work};
use super::syntax::Operator;
use super::time;
use super::value::Value;
use crate::mutation::Rule;
use crate::vm::VmState;

pub(super) fn negate<'a>(value: &Value<'a>) -> Result<Value<'a>, Fault> {
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or(Fault::Error),
        Value::Double(number) => Ok(Value::Double(-number)),
        _ => Err(Fault::Error),
    }
}

pub(super) fn binary<'a>(
    operator: Operator,
    left: &Value<'a>,
    right: &Value<'a>,
    evaluation: &mut Evaluation<'a>,
) -> Result<Value<'a>, Fault> {
    let (state, work) = (evaluation.state, &mut evaluation.work);
    let mut ordered = |wanted: fn(Ordering) -> bool| {
        let ordering = compare(left, right, work)?;
        Ok(Value::Bool(ordering.is_some_and(wanted)))
    };
    match operator {
        Operator::Equal => Ok(Value::Bool(equal(left, right, state, work)?)),
        Operator::NotEqual => Ok(Value::Bool(!equal(left, right, state, work)?)),
        Operator::In => contains(left, right, state, work).map(Value::Bool),
        Operator::Less => ordered(Ordering::is_lt),
        Operator::LessOrEqual => ordered(Ordering::is_le),
        Operator::Greater => ordered(Ordering::is_gt),
        Operator::GreaterOrEqual => ordered(Ordering::is_ge),
        _ => altered(operator, left, right, evaluation)
            .unwrap_or_else(|| arithmetic(operator, left, right, &mut evaluation.work)),
    }
}

/// What another rule makes of two values; none where it is as it should be.
fn altered<'a>(
    operator: Operator,
    left: &Value<'a>,
    right: &Value<'a>,
    evaluation: &mut Evaluation<'a>,
) -> Option<Result<Value<'a>, Fault>> {
    match (operator, left, right) {
        (Operator::Add, Value::Int(one), Value::Int(other))
            if one.checked_add(*other).is_none() =>
        {
            let overflows = evaluation.mutated(Rule::ExpressionsOverflow);
            overflows.then(|| Ok(Value::Int(one.wrapping_add(*other))))
        }
        (Operator::Divide, Value::Int(_), Value::Int(0)) => {
            let divides = evaluation.mutated(Rule::ExpressionsDivideBy0);
            divides.then_some(Ok(Value::Int(0)))
        }
        (Operator::Add, Value::String(_), Value::String(_)) => {
            let backwards = evaluation.mutated(Rule::ExpressionsJoinBackwards);
            backwards.then(|| joined(operator, right, left, &mut evaluation.work))
        }
        _ => None,
    }
}

fn arithmetic<'a>(
    operator: Operator,
    left: &Value<'a>,
    right: &Value<'a>,
    work: &mut Work,
) -> Result<Value<'a>, Fault> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => {
            let whole = match operator {
                Operator::Add => left.checked_add(*right),
                Operator::Subtract => left.checked_sub(*right),
                Operator::Multiply => left.checked_mul(*right),
                Operator::Divide => left.checked_div(*right),
                _ => left.checked_rem(*right),
            };
            whole.map(Value::Int).ok_or(Fault::Error)
        }
        (Value::Uint(left), Value::Uint(right)) => {
            let whole = match operator {
                Operator::Add => left.checked_add(*right),
                Operator::Subtract => left.checked_sub(*right),
                Operator::Multiply => left.checked_mul(*right),
                Operator::Divide => left.checked_div(*right),
                _ => left.checked_rem(*right),
            };
            whole.map(Value::Uint).ok_or(Fault::Error)
        }
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(match operator {
            Operator::Add => left + right,
            Operator::Subtract => left - right,
            Operator::Multiply => left * right,
            Operator::Divide => not_a_number(left / right),
            _ => return Err(Fault::Error),
        })),
        _ => joined(operator, left, right, work),
    }
}

/// Where processors disagree on the sign of a NaN, that of Envoy's.
fn not_a_number(number: f64) -> f64 {
    if number.is_nan() {
        f64::NAN.copysign(-1.0)
    } else {
        number
    }
}

/// Sums of strings, bytes, lists, times and durations.
fn joined<'a>(
    operator: Operator,
    left: &Value<'a>,
    right: &Value<'a>,
    work: &mut Work,
) -> Result<Value<'a>, Fault> {
    let mut both = |left: &[u8], right: &[u8]| -> Result<Arc<[u8]>, Fault> {
        work.charge_bytes(left.len() + right.len())?;
        Ok([left, right].concat().into())
    };
    match (operator, left, right) {
        (Operator::Add, Value::String(left), Value::String(right)) => {
            both(left, right).map(Value::String)
        }
        (Operator::Add, Value::Bytes(left), Value::Bytes(right)) => {
            both(left, right).map(Value::Bytes)
        }
        (Operator::Add, left, right) if left.kind() == "list" && right.kind() == "list" => {
            let left = left.elements(work)?.unwrap_or_default();
            let right = right.elements(work)?.unwrap_or_default();
            work.charge(left.len() + right.len())?;
            Ok(Value::List([&*left, &*right].concat().into()))
        }
        _ => time::arithmetic(operator, left, right),
    }
}

/// Whether two values are equal; values of different types may be compared, and are not.
pub(super) fn equal<'a>(
    left: &Value<'a>,
    right: &Value<'a>,
    state: Option<&'a VmState>,
    work: &mut Work,
) -> Result<bool, Fault> {
    work.charge(1)?;
    Ok(match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::String(left), Value::String(right)) | (Value::Bytes(left), Value::Bytes(right)) => {
            work.charge_bytes(left.len().min(right.len()))?;
            left == right
        }
        (Value::Duration(left), Value::Duration(right))
        | (Value::Time(left), Value::Time(right)) => left == right,
        (Value::Type(left), Value::Type(right)) => left == right,
        _ if left.kind() != right.kind()
            && numbers(left, right).is_some()
            && state.is_some_and(|state| state.world.mutated(Rule::ExpressionNumbersHaveKinds)) =>
        {
            false
        }
        _ => match numbers(left, right) {
            Some(ordering) => ordering == Some(Ordering::Equal),
            None => return equal_structures(left, right, state, work),
        },
    })
}

fn equal_structures<'a>(
    left: &Value<'a>,
    right: &Value<'a>,
    state: Option<&'a VmState>,
    work: &mut Work,
) -> Result<bool, Fault> {
    if let (Some(left), Some(right)) = (left.elements(work)?, right.elements(work)?) {
        if left.len() != right.len() {
            return Ok(false);
        }
        for (left, right) in left.iter().zip(right.iter()) {
            if !equal(left, right, state, work)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    if let (Some(left_keys), Some(right_keys)) = (left.keys(work)?, right.keys(work)?) {
        if left_keys.len() != right_keys.len() {
            return Ok(false);
        }
        for key in left_keys {
            let one = left.lookup(&key, state, work)?;
            let other = right.lookup(&key, state, work)?;
            let (Some(one), Some(other)) = (one, other) else {
                return Ok(false);
            };
            if !equal(&one, &other, state, work)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    if let (Value::Host(one), Value::Host(other)) = (left, right)
        && one.message().is_some()
        && one.message() == other.message()
    {
        return Ok(left.serialize(work)? == right.serialize(work)?);
    }
    Ok(false)
}

/// Two numbers in order; none if one is no number, and no order if one is not a number.
fn numbers(left: &Value<'_>, right: &Value<'_>) -> Option<Option<Ordering>> {
    match (left, right) {
        (Value::Int(_) | Value::Uint(_), Value::Int(_) | Value::Uint(_)) => {
            Some(left.as_whole().partial_cmp(&right.as_whole()))
        }
        _ => Some(left.as_double()?.partial_cmp(&right.as_double()?)),
    }
}

fn compare(
    left: &Value<'_>,
    right: &Value<'_>,
    work: &mut Work,
) -> Result<Option<Ordering>, Fault> {
    Ok(match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) | (Value::Bytes(left), Value::Bytes(right)) => {
            work.charge_bytes(left.len().min(right.len()))?;
            Some(left.cmp(right))
        }
        (Value::Duration(left), Value::Duration(right))
        | (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        _ => numbers(left, right).ok_or(Fault::Error)?,
    })
}

/// `element in list`, `key in map`.
fn contains<'a>(
    wanted: &Value<'a>,
    within: &Value<'a>,
    state: Option<&'a VmState>,
    work: &mut Work,
) -> Result<bool, Fault> {
    let Some(elements) = within.elements(work)? else {
        return Ok(within.lookup(wanted, state, work)?.is_some());
    };
    for element in elements.iter() {
        if equal(wanted, element, state, work)? {
            return Ok(true);
        }
    }
    Ok(false)
}
