use std::cmp::Ordering;

use super::functions::call;
use super::{Comparator, Node};
use crate::failure::Failure;
use crate::fuel::Fuel;
use crate::json::{self, Array, Text, Value, encode};

/// What `node` gives of `value`.
pub(super) fn evaluate<'a>(
    node: &Node,
    value: &Value<'a>,
    fuel: &Fuel,
) -> Result<Value<'a>, Failure> {
    fuel.spend(1)?;
    Ok(match node {
        Node::Current => value.clone(),
        Node::Literal(literal) => literal.clone(),
        Node::Field(name) => {
            if let Value::Object(object) = value {
                fuel.spend(object.members.len() / 4)?;
            }
            value.member(name).cloned().unwrap_or(Value::Null)
        }
        Node::Index(index) => at(value, *index),
        Node::Slice { start, stop, step } => match value {
            Value::Array(array) => slice(array, [*start, *stop], *step, fuel)?,
            _ => Value::Null,
        },
        Node::Then(first, second) => evaluate(second, &evaluate(first, value, fuel)?, fuel)?,
        Node::Projection(first, second) => match evaluate(first, value, fuel)? {
            Value::Array(array) => {
                let elements = array.elements.iter().map(|element| &element.value);
                project(elements, second, fuel)?
            }
            _ => Value::Null,
        },
        Node::Values(first, second) => match evaluate(first, value, fuel)? {
            Value::Object(object) => {
                let values = object.members.iter().map(|member| &member.value);
                project(values, second, fuel)?
            }
            _ => Value::Null,
        },
        Node::Filter(first, second, condition) => match evaluate(first, value, fuel)? {
            Value::Array(array) => {
                let mut kept = Vec::new();
                for element in &array.elements {
                    if is_true(&evaluate(condition, &element.value, fuel)?) {
                        kept.push(&element.value);
                    }
                }
                project(kept.into_iter(), second, fuel)?
            }
            _ => Value::Null,
        },
        Node::Flatten(inner) => match evaluate(inner, value, fuel)? {
            Value::Array(array) => flatten(&array, fuel)?,
            _ => Value::Null,
        },
        Node::Or(left, right) => {
            let left = evaluate(left, value, fuel)?;
            if is_true(&left) {
                left
            } else {
                evaluate(right, value, fuel)?
            }
        }
        Node::And(left, right) => {
            let left = evaluate(left, value, fuel)?;
            if is_true(&left) {
                evaluate(right, value, fuel)?
            } else {
                left
            }
        }
        Node::Not(inner) => Value::Bool(!is_true(&evaluate(inner, value, fuel)?)),
        Node::Compare(comparator, left, right) => {
            let left = evaluate(left, value, fuel)?;
            compared(*comparator, &left, &evaluate(right, value, fuel)?, fuel)?
        }
        Node::List(_) | Node::Hash(_) if matches!(value, Value::Null) => Value::Null,
        Node::List(nodes) => {
            let values = nodes.iter().map(|node| evaluate(node, value, fuel));
            Value::array(values.collect::<Result<_, _>>()?)
        }
        Node::Hash(members) => {
            let mut made = Vec::with_capacity(members.len());
            for (key, node) in members {
                let key = Text::Made(encode(key).into());
                made.push((key, evaluate(node, value, fuel)?));
            }
            Value::object(made)
        }
        Node::Call(function, arguments) => call(*function, arguments, value, fuel)?,
        Node::Reference(_) => Value::Null,
    })
}

/// What counts as true: all but null, false, and what is empty.
fn is_true(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) | Value::Number(_) => true,
        Value::String(text) => text.as_str().len() > 2,
        Value::Array(array) => !array.elements.is_empty(),
        Value::Object(object) => !object.members.is_empty(),
        Value::Unread(text) => text.len() > 2,
    }
}

fn project<'v, 'a: 'v>(
    values: impl Iterator<Item = &'v Value<'a>>,
    node: &Node,
    fuel: &Fuel,
) -> Result<Value<'a>, Failure> {
    let mut made = Vec::new();
    for value in values {
        match evaluate(node, value, fuel)? {
            Value::Null => {}
            value => made.push(value),
        }
    }
    Ok(Value::array(made))
}

fn flatten<'a>(array: &Array<'a>, fuel: &Fuel) -> Result<Value<'a>, Failure> {
    let mut made = Vec::new();
    for element in &array.elements {
        match &element.value {
            Value::Array(inner) => {
                fuel.spend(inner.elements.len())?;
                made.extend(inner.elements.iter().map(|element| element.value.clone()));
            }
            value => {
                fuel.spend(1)?;
                made.push(value.clone());
            }
        }
    }
    Ok(Value::array(made))
}

fn at<'a>(value: &Value<'a>, index: i64) -> Value<'a> {
    let Value::Array(array) = value else {
        return Value::Null;
    };
    let length = array.elements.len();
    let distance = usize::try_from(index.unsigned_abs()).ok();
    let found = distance.and_then(|distance| {
        let at = if index < 0 {
            length.checked_sub(distance)?
        } else {
            distance
        };
        array.elements.get(at)
    });
    found.map_or(Value::Null, |element| element.value.clone())
}

fn slice<'a>(
    array: &Array<'a>,
    [start, stop]: [Option<i64>; 2],
    step: i64,
    fuel: &Fuel,
) -> Result<Value<'a>, Failure> {
    let length = i64::try_from(array.elements.len()).unwrap_or(i64::MAX);
    let (lowest, highest) = if step < 0 {
        (-1, length - 1)
    } else {
        (0, length)
    };
    let end = |given: Option<i64>, unless: i64| match given {
        Some(given) if given < 0 => given.saturating_add(length).clamp(lowest, highest),
        Some(given) => given.clamp(lowest, highest),
        None => unless,
    };
    let (first, last) = if step < 0 {
        (end(start, highest), end(stop, lowest))
    } else {
        (end(start, lowest), end(stop, highest))
    };
    let mut made = Vec::new();
    let mut index = first;
    while (step > 0 && index < last) || (step < 0 && index > last) {
        fuel.spend(1)?;
        let element = usize::try_from(index).ok();
        let element = element.and_then(|index| array.elements.get(index));
        made.extend(element.map(|element| element.value.clone()));
        index = index.saturating_add(step);
    }
    Ok(Value::array(made))
}

/// Numbers alone have an order; null says so of all else.
fn compared<'a>(
    comparator: Comparator,
    left: &Value<'_>,
    right: &Value<'_>,
    fuel: &Fuel,
) -> Result<Value<'a>, Failure> {
    let holds = match comparator {
        Comparator::Equal => json::equal(left, right, fuel)?,
        Comparator::NotEqual => !json::equal(left, right, fuel)?,
        ordered => {
            let (Value::Number(left), Value::Number(right)) = (left, right) else {
                return Ok(Value::Null);
            };
            fuel.spend((left.as_str().len() + right.as_str().len()) / 16)?;
            let order = json::compare(left.as_str(), right.as_str());
            match ordered {
                Comparator::Less => order == Ordering::Less,
                Comparator::LessOrEqual => order != Ordering::Greater,
                Comparator::Greater => order == Ordering::Greater,
                _ => order != Ordering::Less,
            }
        }
    };
    Ok(Value::Bool(holds))
}
