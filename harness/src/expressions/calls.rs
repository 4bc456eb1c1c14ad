//! What functions answer.

use std::sync::Arc;

use super::conversions;
use super::evaluate::Evaluation;
use super::fault::{Fault, Work};
use super::functions::Function;
use super::patterns;
use super::time;
use super::value::Value;

pub(super) fn call<'a>(
    function: Function,
    arguments: &[Value<'a>],
    evaluation: &mut Evaluation<'a>,
) -> Result<Value<'a>, Fault> {
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
