//! What functions answer.

use std::sync::Arc;

use super::conversions;
use super::evaluate::Evaluation;
use super::fault::{Fault, Work};
use super::functions::{Function, TimePart};
use super::patterns;
use super::time;
use super::value::Value;
use crate::mutation::Rule;

pub(super) fn call<'a>(
    function: Function,
    arguments: &[Value<'a>],
    evaluation: &mut Evaluation<'a>,
) -> Result<Value<'a>, Fault> {
    if let Some(answer) = altered(function, arguments, evaluation) {
        return Ok(answer);
    }
    let work = &mut evaluation.work;
    for argument in arguments {
        if let Value::String(bytes) | Value::Bytes(bytes) = argument {
            work.charge_bytes(bytes.len())?;
        }
    }
    match (function, arguments) {
        (Function::Size, [of]) => size(of, work).map(Value::Int),
        (Function::Matches, [Value::String(text), Value::String(pattern)]) => {
            patterns::matches(text, pattern, evaluation).map(Value::Bool)
        }
        (_, [Value::String(text), Value::String(part)]) => {
            let found = match function {
                Function::StartsWith => text.starts_with(part),
                Function::EndsWith => text.ends_with(part),
                Function::Contains => {
                    work.charge_bytes(text.len().saturating_mul(part.len()) / 64)?;
                    part.is_empty() || text.windows(part.len()).any(|at| at == &**part)
                }
                _ => return Err(Fault::Error),
            };
            Ok(Value::Bool(found))
        }
        (Function::Type, [of]) => Ok(Value::Type(of.kind())),
        (Function::Dyn, [of]) => Ok(of.clone()),
        (Function::Int, [of]) => conversions::int(of),
        (Function::Uint, [of]) => conversions::uint(of),
        (Function::Double, [of]) => conversions::double(of),
        (Function::String, [of]) => conversions::string(of),
        (Function::Bytes, [Value::String(bytes) | Value::Bytes(bytes)]) => {
            Ok(Value::Bytes(Arc::clone(bytes)))
        }
        (Function::Bool, [of]) => conversions::bool(of),
        (Function::Duration, [of]) => time::duration(of),
        (Function::Timestamp, [of]) => time::timestamp(of),
        (Function::Time(part), [of]) => time::part(part, of, None),
        (Function::Time(part), [of, Value::String(zone)]) => time::part(part, of, Some(zone)),
        _ => Err(Fault::Error),
    }
}

/// What a function answers with another rule; none where it is as it should be.
fn altered<'a>(
    function: Function,
    arguments: &[Value<'a>],
    evaluation: &Evaluation<'a>,
) -> Option<Value<'a>> {
    let number = |of| match time::part(of, arguments.first()?, None) {
        Ok(Value::Int(number)) => Some(number),
        _ => None,
    };
    match (function, arguments) {
        (Function::Size, [Value::String(text)]) => {
            let bytes = evaluation.mutated(Rule::ExpressionsCountBytes);
            let size = i64::try_from(text.len()).ok()?;
            bytes.then_some(Value::Int(size))
        }
        (Function::StartsWith, [Value::String(text), Value::String(part)]) => {
            let anywhere = evaluation.mutated(Rule::ExpressionsStartAnywhere);
            let mut places = text.windows(part.len().max(1));
            anywhere.then(|| Value::Bool(places.any(|at| at == &**part)))
        }
        (Function::Matches, [Value::String(text), Value::String(pattern)]) => {
            let whole = evaluation.mutated(Rule::ExpressionMatchesAreWhole);
            whole.then(|| Value::Bool(text == pattern))
        }
        (Function::Int, [Value::Double(double)]) => {
            let rounds = evaluation.mutated(Rule::ExpressionIntsAreRounded);
            let rounded = conversions::int(&Value::Double(double.round()));
            rounded.ok().filter(|_| rounds)
        }
        (Function::Time(part @ TimePart::Month), [_]) => {
            let later = evaluation.mutated(Rule::ExpressionMonthsBeginAt1);
            Some(Value::Int(number(part)? + 1)).filter(|_| later)
        }
        (Function::Time(part @ TimePart::DayOfMonth), [_]) => {
            let later = evaluation.mutated(Rule::ExpressionDaysBeginAt1);
            Some(Value::Int(number(part)? + 1)).filter(|_| later)
        }
        (Function::Time(part @ TimePart::DayOfWeek), [_]) => {
            let monday = evaluation.mutated(Rule::ExpressionWeeksBeginOnMonday);
            Some(Value::Int((number(part)? + 6) % 7)).filter(|_| monday)
        }
        _ => None,
    }
}

/// Code points, bytes, elements or entries.
fn size(of: &Value<'_>, work: &mut Work) -> Result<i64, Fault> {
    let size = match of {
        // Envoy counts what begins a code point, and each byte that is none.
        Value::String(text) => text
            .utf8_chunks()
            .map(|chunk| chunk.valid().chars().count() + chunk.invalid().len())
            .sum(),
        Value::Bytes(bytes) => bytes.len(),
        of => match of.elements(work)? {
            Some(elements) => elements.len(),
            None => of.keys(work)?.ok_or(Fault::Error)?.len(),
        },
    };
    i64::try_from(size).map_err(|_| Fault::Error)
}
