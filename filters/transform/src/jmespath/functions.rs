//! The functions of the specification, and `tojson`, `urlencode`, `lower`, `upper` and `trim` besides.

use std::cmp::Ordering;
use std::rc::Rc;

use super::Node;
use super::evaluate::evaluate;
use crate::escape;
use crate::failure::Failure;
use crate::fuel::Fuel;
use crate::json::{self, Text, Value};

mod order;

use self::order::{Key, keys, sorted};

/// How large a text that a function makes may be.
const MAX_TEXT: usize = 1 << 20;

/// A function.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Function {
    Abs,
    Avg,
    Ceil,
    Contains,
    EndsWith,
    Floor,
    Join,
    Keys,
    Length,
    Lower,
    Map,
    Max,
    MaxBy,
    Merge,
    Min,
    MinBy,
    NotNull,
    Reverse,
    Sort,
    SortBy,
    StartsWith,
    Sum,
    ToArray,
    ToJson,
    ToNumber,
    ToString,
    Trim,
    Type,
    Upper,
    UrlEncode,
    Values,
}

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "abs" => Self::Abs,
            "avg" => Self::Avg,
            "ceil" => Self::Ceil,
            "contains" => Self::Contains,
            "ends_with" => Self::EndsWith,
            "floor" => Self::Floor,
            "join" => Self::Join,
            "keys" => Self::Keys,
            "length" => Self::Length,
            "map" => Self::Map,
            "max" => Self::Max,
            "max_by" => Self::MaxBy,
            "merge" => Self::Merge,
            "min" => Self::Min,
            "min_by" => Self::MinBy,
            "not_null" => Self::NotNull,
            "reverse" => Self::Reverse,
            "sort" => Self::Sort,
            "sort_by" => Self::SortBy,
            "starts_with" => Self::StartsWith,
            "sum" => Self::Sum,
            "to_array" => Self::ToArray,
            "to_number" => Self::ToNumber,
            "to_string" => Self::ToString,
            "type" => Self::Type,
            "values" => Self::Values,
            other => return Self::filter(other),
        })
    }

    /// Those that may stand behind `|` without parentheses.
    pub(super) fn filter(name: &str) -> Option<Self> {
        Some(match name {
            "tojson" => Self::ToJson,
            "urlencode" => Self::UrlEncode,
            "lower" => Self::Lower,
            "upper" => Self::Upper,
            "trim" => Self::Trim,
            _ => return None,
        })
    }

    pub(super) fn takes(self, count: usize) -> bool {
        match self {
            Self::Contains
            | Self::EndsWith
            | Self::Join
            | Self::Map
            | Self::MaxBy
            | Self::MinBy
            | Self::SortBy
            | Self::StartsWith => count == 2,
            Self::Merge | Self::NotNull => count >= 1,
            _ => count == 1,
        }
    }

    /// Whether the argument at `index` is an expression, not its value.
    pub(super) fn is_reference(self, index: usize) -> bool {
        match self {
            Self::Map => index == 0,
            Self::MaxBy | Self::MinBy | Self::SortBy => index == 1,
            _ => false,
        }
    }
}

pub(super) fn call<'a>(
    function: Function,
    arguments: &[Node],
    value: &Value<'a>,
    fuel: &Fuel,
) -> Result<Value<'a>, Failure> {
    match (function, arguments) {
        (Function::Map, [Node::Reference(node), list]) => {
            let list = evaluate(list, value, fuel)?;
            let elements = list.elements().ok_or(WANTS_ARRAY)?;
            let made = elements.map(|element| evaluate(node, element, fuel));
            Ok(Value::array(made.collect::<Result<_, _>>()?))
        }
        (Function::SortBy | Function::MaxBy | Function::MinBy, [list, Node::Reference(node)]) => {
            let list = evaluate(list, value, fuel)?;
            let elements = list.elements().ok_or(WANTS_ARRAY)?;
            let mut by = Vec::new();
            for element in elements {
                by.push((evaluate(node, element, fuel)?, element.clone()));
            }
            chosen(function, by, fuel)
        }
        (Function::NotNull, nodes) => {
            for node in nodes {
                match evaluate(node, value, fuel)? {
                    Value::Null => {}
                    found => return Ok(found),
                }
            }
            Ok(Value::Null)
        }
        (Function::Merge, nodes) => {
            let objects = nodes.iter().map(|node| evaluate(node, value, fuel));
            merge(objects.collect::<Result<Vec<_>, _>>()?, fuel)
        }
        (_, [one]) => unary(function, &evaluate(one, value, fuel)?, fuel),
        (_, [one, two]) => {
            let one = evaluate(one, value, fuel)?;
            binary(function, &one, &evaluate(two, value, fuel)?, fuel)
        }
        _ => Ok(Value::Null),
    }
}

const WANTS_ARRAY: Failure = Failure::Query("a function wants an array");
const WANTS_NUMBER: Failure = Failure::Query("a function wants a number");
const WANTS_NUMBERS: Failure = Failure::Query("a function wants an array of numbers");
const WANTS_OBJECT: Failure = Failure::Query("a function wants an object");
const WANTS_STRING: Failure = Failure::Query("a function wants a string");
const WANTS_STRINGS: Failure = Failure::Query("a function wants an array of strings");
const WANTS_LENGTH: Failure = Failure::Query("`length` wants a string, an array or an object");
const WANTS_LIST: Failure = Failure::Query("a function wants a string or an array");
const NOT_FINITE: Failure = Failure::Query("a function's number is too large");

/// Of values with what they are ordered by.
fn chosen<'a>(
    function: Function,
    by: Vec<(Value<'a>, Value<'a>)>,
    fuel: &Fuel,
) -> Result<Value<'a>, Failure> {
    let by = keys(by, fuel)?;
    if function == Function::SortBy {
        let made = sorted(by, fuel)?.into_iter().map(|(_, value)| value);
        return Ok(Value::array(made.collect()));
    }
    let best = extreme(
        by,
        matches!(function, Function::MaxBy | Function::Max),
        fuel,
    )?;
    Ok(best.unwrap_or(Value::Null))
}

/// The first of the largest, or of the smallest.
fn extreme<'a>(
    by: Vec<(Key, Value<'a>)>,
    largest: bool,
    fuel: &Fuel,
) -> Result<Option<Value<'a>>, Failure> {
    let wanted = if largest {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    let mut best: Option<(Key, Value<'a>)> = None;
    for candidate in by {
        fuel.spend(1)?;
        let is_better = best
            .as_ref()
            .is_none_or(|(key, _)| candidate.0.order(key) == wanted);
        if is_better {
            best = Some(candidate);
        }
    }
    Ok(best.map(|(_, value)| value))
}

fn merge<'a>(objects: Vec<Value<'a>>, fuel: &Fuel) -> Result<Value<'a>, Failure> {
    let mut merged: Vec<(Text<'a>, Value<'a>)> = Vec::new();
    for object in objects {
        let Value::Object(object) = object else {
            return Err(WANTS_OBJECT);
        };
        for member in &object.members {
            fuel.spend(1 + merged.len() / 4)?;
            let name = member.key.decoded();
            match merged.iter_mut().find(|(key, _)| key.says(&name)) {
                Some((_, value)) => *value = member.value.clone(),
                None => merged.push((member.key.clone(), member.value.clone())),
            }
        }
    }
    Ok(Value::object(merged))
}

fn unary<'a>(function: Function, value: &Value<'a>, fuel: &Fuel) -> Result<Value<'a>, Failure> {
    Ok(match function {
        Function::Abs | Function::Ceil | Function::Floor => rounded(function, value)?,
        Function::Avg | Function::Sum => added(function, value, fuel)?,
        Function::Keys | Function::Values => {
            let Value::Object(object) = value else {
                return Err(WANTS_OBJECT);
            };
            fuel.spend(object.members.len())?;
            let members = object.members.iter();
            Value::array(if function == Function::Keys {
                members
                    .map(|member| Value::String(member.key.clone()))
                    .collect()
            } else {
                members.map(|member| member.value.clone()).collect()
            })
        }
        Function::Length => {
            let length = match value {
                Value::String(text) => {
                    fuel.spend(text.as_str().len() / 16)?;
                    text.decoded().chars().count()
                }
                Value::Array(array) => array.elements.len(),
                Value::Object(object) => object.members.len(),
                _ => return Err(WANTS_LENGTH),
            };
            Value::number(&length.to_string())
        }
        Function::Max | Function::Min | Function::Sort => {
            let elements = value.elements().ok_or(WANTS_ARRAY)?;
            let by = elements.map(|element| (element.clone(), element.clone()));
            let by = by.collect();
            match function {
                Function::Sort => chosen(Function::SortBy, by, fuel)?,
                _ => chosen(function, by, fuel)?,
            }
        }
        Function::Reverse => match value {
            Value::String(text) => {
                fuel.spend(text.as_str().len() / 16)?;
                Value::string(&text.decoded().chars().rev().collect::<String>())
            }
            Value::Array(array) => {
                fuel.spend(array.elements.len())?;
                let elements = array.elements.iter().rev();
                Value::array(elements.map(|element| element.value.clone()).collect())
            }
            _ => return Err(WANTS_LIST),
        },
        Function::ToArray => match value {
            Value::Array(_) => value.clone(),
            other => Value::array(vec![other.clone()]),
        },
        Function::ToNumber => match value {
            Value::Number(_) => value.clone(),
            Value::String(text) => match json::parse(&text.decoded()).map(|read| read.value) {
                Ok(Value::Number(number)) => Value::number(number.as_str()),
                _ => Value::Null,
            },
            _ => Value::Null,
        },
        Function::ToString => match value {
            Value::String(_) => value.clone(),
            other => Value::string(&printed(other, fuel)?),
        },
        Function::ToJson => Value::string(&printed(value, fuel)?),
        Function::Lower | Function::Upper | Function::Trim | Function::UrlEncode => {
            let text = value.as_text().ok_or(WANTS_STRING)?;
            fuel.spend(text.len() / 8)?;
            Value::string(&match function {
                Function::Lower => text.to_lowercase(),
                Function::Upper => text.to_uppercase(),
                Function::Trim => text.trim().to_owned(),
                _ => escape::percent(text.as_bytes()),
            })
        }
        Function::Type => Value::string(match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Unread(text) if text.starts_with('[') => "array",
            Value::Unread(_) => "object",
        }),
        _ => Value::Null,
    })
}

/// A value as JSON without white space.
fn printed(value: &Value<'_>, fuel: &Fuel) -> Result<String, Failure> {
    let text = json::print(&json::compact(value, fuel)?, MAX_TEXT)?;
    fuel.spend(text.len() / 4)?;
    Ok(text)
}

fn rounded<'a>(function: Function, value: &Value<'a>) -> Result<Value<'a>, Failure> {
    let Value::Number(text) = value else {
        return Err(WANTS_NUMBER);
    };
    let text = text.as_str();
    let is_whole = !text.contains(['.', 'e', 'E']);
    match function {
        Function::Abs => Ok(match text.strip_prefix('-') {
            Some(rest) => Value::number(rest),
            None => value.clone(),
        }),
        _ if is_whole => Ok(value.clone()),
        Function::Ceil => json::spelt(json::number_of(text).ceil()).ok_or(NOT_FINITE),
        _ => json::spelt(json::number_of(text).floor()).ok_or(NOT_FINITE),
    }
}

fn added<'a>(function: Function, value: &Value<'a>, fuel: &Fuel) -> Result<Value<'a>, Failure> {
    let elements = value.elements().ok_or(WANTS_NUMBERS)?;
    let count = elements.len();
    fuel.spend(count)?;
    let mut sum = 0.0;
    // Exact as long as all are whole numbers of 64 bits.
    let mut whole = Some(0_i64);
    for element in elements {
        let Value::Number(text) = element else {
            return Err(WANTS_NUMBERS);
        };
        sum += json::number_of(text.as_str());
        whole = whole
            .zip(json::integer_of(text.as_str()))
            .and_then(|(sum, number)| sum.checked_add(number));
    }
    match (function, whole) {
        (Function::Avg, _) if count == 0 => Ok(Value::Null),
        (Function::Sum, Some(whole)) => Ok(Value::number(&whole.to_string())),
        (Function::Sum, None) => json::spelt(sum).ok_or(NOT_FINITE),
        _ => {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            json::spelt(sum / f64::from(count)).ok_or(NOT_FINITE)
        }
    }
}

fn binary<'a>(
    function: Function,
    one: &Value<'a>,
    two: &Value<'a>,
    fuel: &Fuel,
) -> Result<Value<'a>, Failure> {
    match function {
        Function::Contains => match one {
            Value::Array(array) => {
                for element in &array.elements {
                    if json::equal(&element.value, two, fuel)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            Value::String(text) => {
                fuel.spend(text.as_str().len() / 16)?;
                let is_there = two.as_text().map(|two| text.decoded().contains(&*two));
                Ok(Value::Bool(is_there.unwrap_or(false)))
            }
            _ => Err(WANTS_LIST),
        },
        Function::EndsWith | Function::StartsWith => {
            let (Some(one), Some(two)) = (one.as_text(), two.as_text()) else {
                return Err(WANTS_STRING);
            };
            fuel.spend((one.len() + two.len()) / 16)?;
            Ok(Value::Bool(if function == Function::EndsWith {
                one.ends_with(&*two)
            } else {
                one.starts_with(&*two)
            }))
        }
        Function::Join => {
            let glue = one.as_text().ok_or(WANTS_STRING)?;
            let mut text = String::new();
            for (index, element) in two.elements().ok_or(WANTS_STRINGS)?.enumerate() {
                let element = element.as_text().ok_or(WANTS_STRINGS)?;
                fuel.spend(1 + (glue.len() + element.len()) / 4)?;
                if index > 0 {
                    text.push_str(&glue);
                }
                text.push_str(&element);
                if text.len() > MAX_TEXT {
                    return Err(Failure::Large);
                }
            }
            Ok(Value::String(Text::Made(Rc::from(json::encode(&text)))))
        }
        _ => Ok(Value::Null),
    }
}
