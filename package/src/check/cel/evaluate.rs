//! From a tree and a value to an answer.

use super::Fault;
use super::parse::{Loop, Node};
use super::url::Address;
use super::value::{Value, duration};

/// How many steps an answer may take.
const STEPS: u32 = 1_000_000;

pub(super) fn evaluate(node: &Node, this: &Value) -> Result<Value, Fault> {
    let mut scope = Scope {
        names: vec![("self", this.clone())],
        steps: 0,
    };
    scope.value(node)
}

struct Scope<'n> {
    names: Vec<(&'n str, Value)>,
    steps: u32,
}

fn failed(why: impl Into<String>) -> Fault {
    Fault::Failed(why.into())
}

fn no_field(name: &str) -> Fault {
    failed(format!("there is no `{name}`"))
}

fn is_true(value: Value) -> Result<bool, Fault> {
    match value {
        Value::Bool(it) => Ok(it),
        _ => Err(failed("it is neither true nor false")),
    }
}

impl<'n> Scope<'n> {
    fn value(&mut self, node: &'n Node) -> Result<Value, Fault> {
        self.steps += 1;
        if self.steps > STEPS {
            return Err(failed("the rule takes too long"));
        }
        match node {
            Node::Value(value) => Ok(value.clone()),
            Node::Name(name) => {
                let mut names = self.names.iter().rev();
                let found = names.find(|(known, _)| known == name);
                found
                    .map(|(_, value)| value.clone())
                    .ok_or_else(|| no_field(name))
            }
            Node::List(nodes) => {
                let values = nodes.iter().map(|node| self.value(node));
                Ok(Value::List(values.collect::<Result<_, _>>()?))
            }
            Node::Select(of, name) => match self.value(of)? {
                Value::Map(mut fields) => fields.remove(name).ok_or_else(|| no_field(name)),
                _ => Err(no_field(name)),
            },
            Node::Index(of, at) => match (self.value(of)?, self.value(at)?) {
                (Value::Map(mut fields), Value::Text(name)) => {
                    fields.remove(&name).ok_or_else(|| no_field(&name))
                }
                (Value::List(mut items), Value::Int(at)) => match usize::try_from(at) {
                    Ok(at) if at < items.len() => Ok(items.swap_remove(at)),
                    _ => Err(failed("the list is shorter")),
                },
                _ => Err(failed("it is neither a list nor a map")),
            },
            Node::Has(of, name) => match self.value(of)? {
                Value::Map(fields) => Ok(Value::Bool(fields.contains_key(name))),
                _ => Err(no_field(name)),
            },
            Node::Call(name, arguments) => {
                let values = arguments.iter().map(|node| self.value(node));
                call(name, &values.collect::<Result<Vec<_>, _>>()?)
            }
            Node::Loop(kind, over, name, body) => self.play(*kind, over, name, body),
            Node::Not(of) => Ok(Value::Bool(!is_true(self.value(of)?)?)),
            Node::Minus(of) => match self.value(of)? {
                Value::Int(it) => it.checked_neg().map(Value::Int).ok_or_else(overflow),
                Value::Double(it) => Ok(Value::Double(-it)),
                _ => Err(failed("it is no number")),
            },
            Node::Binary(sign, left, right) => self.binary(sign, left, right),
            Node::Choice(parts) => {
                let [condition, one, other] = &**parts;
                match is_true(self.value(condition)?)? {
                    true => self.value(one),
                    false => self.value(other),
                }
            }
        }
    }

    fn binary(&mut self, sign: &str, left: &'n Node, right: &'n Node) -> Result<Value, Fault> {
        let one = self.value(left);
        if let "&&" | "||" = sign {
            // Whichever side decides, what the other one fails of does not matter.
            let decides = sign == "||";
            let one = one.and_then(is_true);
            if one == Ok(decides) {
                return Ok(Value::Bool(decides));
            }
            let other = self.value(right).and_then(is_true);
            return match (one, other) {
                (_, Ok(it)) if it == decides => Ok(Value::Bool(decides)),
                (Ok(_), Ok(it)) => Ok(Value::Bool(it)),
                (Err(fault), _) | (_, Err(fault)) => Err(fault),
            };
        }
        let (one, other) = (one?, self.value(right)?);
        let order =
            |fits: fn(std::cmp::Ordering) -> bool| Ok(Value::Bool(fits(one.compare(&other)?)));
        match sign {
            "==" => Ok(Value::Bool(one.equals(&other))),
            "!=" => Ok(Value::Bool(!one.equals(&other))),
            "<" => order(std::cmp::Ordering::is_lt),
            "<=" => order(std::cmp::Ordering::is_le),
            ">" => order(std::cmp::Ordering::is_gt),
            ">=" => order(std::cmp::Ordering::is_ge),
            "in" => match (&one, &other) {
                (one, Value::List(items)) => Ok(Value::Bool(items.iter().any(|it| it.equals(one)))),
                (Value::Text(name), Value::Map(fields)) => {
                    Ok(Value::Bool(fields.contains_key(name)))
                }
                _ => Err(failed("it is neither in a list nor in a map")),
            },
            sign => arithmetic(sign, one, other),
        }
    }

    fn play(
        &mut self,
        kind: Loop,
        over: &'n Node,
        name: &'n str,
        body: &'n Node,
    ) -> Result<Value, Fault> {
        let items = match self.value(over)? {
            Value::List(items) => items,
            Value::Map(fields) => fields.into_keys().map(Value::Text).collect(),
            _ => return Err(failed("it is neither a list nor a map")),
        };
        let (mut kept, mut count, mut fault) = (Vec::new(), 0, None);
        for item in items {
            self.names.push((name, item.clone()));
            let answer = self.value(body);
            self.names.pop();
            match (kind, answer) {
                (Loop::Map, answer) => kept.push(answer?),
                (_, Ok(Value::Bool(true))) if kind == Loop::Exists => return Ok(Value::Bool(true)),
                (_, Ok(Value::Bool(false))) if kind == Loop::All => return Ok(Value::Bool(false)),
                (_, Ok(Value::Bool(true))) => {
                    count += 1;
                    kept.push(item);
                }
                (_, Ok(Value::Bool(false))) => {}
                (_, Ok(_)) => fault = Some(failed("it is neither true nor false")),
                (_, Err(error)) => fault = Some(error),
            }
            if self.steps > STEPS {
                break;
            }
        }
        match (fault, kind) {
            (Some(fault), _) => Err(fault),
            (None, Loop::Map | Loop::Filter) => Ok(Value::List(kept)),
            (None, Loop::All) => Ok(Value::Bool(true)),
            (None, Loop::Exists) => Ok(Value::Bool(false)),
            (None, Loop::ExistsOne) => Ok(Value::Bool(count == 1)),
        }
    }
}

fn overflow() -> Fault {
    failed("the number is too large")
}

fn arithmetic(sign: &str, one: Value, other: Value) -> Result<Value, Fault> {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => {
            let result = match sign {
                "+" => one.checked_add(other),
                "-" => one.checked_sub(other),
                "*" => one.checked_mul(other),
                "/" => one.checked_div(other),
                _ => one.checked_rem(other),
            };
            result.map(Value::Int).ok_or_else(overflow)
        }
        (Value::Double(one), Value::Double(other)) => match sign {
            "+" => Ok(Value::Double(one + other)),
            "-" => Ok(Value::Double(one - other)),
            "*" => Ok(Value::Double(one * other)),
            "/" => Ok(Value::Double(one / other)),
            _ => Err(failed("`%` is for whole numbers")),
        },
        (Value::Text(one), Value::Text(other)) if sign == "+" => Ok(Value::Text(one + &other)),
        (Value::List(mut one), Value::List(other)) if sign == "+" => {
            one.extend(other);
            Ok(Value::List(one))
        }
        (Value::Duration(one), Value::Duration(other)) if sign == "+" => {
            Ok(Value::Duration(one + other))
        }
        (Value::Duration(one), Value::Duration(other)) if sign == "-" => {
            Ok(Value::Duration(one - other))
        }
        _ => Err(failed(format!("`{sign}` is not for such values"))),
    }
}

fn call(name: &str, values: &[Value]) -> Result<Value, Fault> {
    let text = |text: &str| Ok(Value::Text(text.to_owned()));
    match (name, values) {
        ("size", [of]) => {
            let count = match of {
                Value::Text(it) => it.chars().count(),
                Value::List(it) => it.len(),
                Value::Map(it) => it.len(),
                _ => return Err(failed("it has no size")),
            };
            i64::try_from(count).map(Value::Int).map_err(|_| overflow())
        }
        ("contains", [Value::Text(of), Value::Text(part)]) => Ok(Value::Bool(of.contains(&**part))),
        ("startsWith", [Value::Text(of), Value::Text(part)]) => {
            Ok(Value::Bool(of.starts_with(&**part)))
        }
        ("endsWith", [Value::Text(of), Value::Text(part)]) => {
            Ok(Value::Bool(of.ends_with(&**part)))
        }
        ("upperAscii", [Value::Text(of)]) => text(&of.to_ascii_uppercase()),
        ("lowerAscii", [Value::Text(of)]) => text(&of.to_ascii_lowercase()),
        ("isURL", [Value::Text(of)]) => Ok(Value::Bool(Address::parse(of).is_some())),
        ("url", [Value::Text(of)]) => {
            let address = Address::parse(of).ok_or_else(|| failed("it is no URL"))?;
            Ok(Value::Address(Box::new(address)))
        }
        ("getScheme", [Value::Address(of)]) => text(&of.scheme),
        ("getHost", [Value::Address(of)]) => text(&of.host),
        ("getHostname", [Value::Address(of)]) => text(of.hostname()),
        ("getPort", [Value::Address(of)]) => text(of.port()),
        ("getEscapedPath", [Value::Address(of)]) => text(&of.path),
        ("duration", [Value::Text(of)]) => duration(of),
        _ => Err(failed(format!("`{name}` is not for such a value"))),
    }
}
