use super::{Document, MAX_DEPTH, Text, Value, parse};
use crate::failure::Failure;
use crate::fuel::Fuel;

/// Writes a value, at most `limit` bytes of it.
///
/// # Errors
///
/// [`Failure::Large`] where it is longer, [`Failure::Depth`] where it is deeper than what was read may
/// be.
pub fn print(value: &Value<'_>, limit: usize) -> Result<String, Failure> {
    let mut printer = Printer {
        text: String::new(),
        limit,
    };
    printer.value(value, 0)?;
    Ok(printer.text)
}

/// Writes a text, at most `limit` bytes of it.
///
/// # Errors
///
/// As [`print()`].
pub fn print_document(document: &Document<'_>, limit: usize) -> Result<String, Failure> {
    let mut printer = Printer {
        text: String::new(),
        limit,
    };
    printer.put(document.before)?;
    printer.value(&document.value, 0)?;
    printer.put(document.after)?;
    Ok(printer.text)
}

/// The value without white space.
pub(crate) fn compact<'a>(value: &Value<'a>, fuel: &Fuel) -> Result<Value<'a>, Failure> {
    fuel.spend(1)?;
    Ok(match value {
        Value::Array(array) => {
            let elements = array.elements.iter();
            let made = elements.map(|element| compact(&element.value, fuel));
            Value::array(made.collect::<Result<_, _>>()?)
        }
        Value::Object(object) => {
            let members = object.members.iter();
            let made =
                members.map(|member| Ok((member.key.clone(), compact(&member.value, fuel)?)));
            Value::object(made.collect::<Result<Vec<_>, _>>()?)
        }
        leaf => leaf.clone(),
    })
}

/// The value without its source.
#[must_use]
pub fn owned(value: &Value<'_>) -> Value<'static> {
    let made = |text: &Text<'_>| Text::Made(text.as_str().into());
    match value {
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(*value),
        Value::Number(text) => Value::Number(made(text)),
        Value::String(text) => Value::String(made(text)),
        Value::Array(array) => {
            let elements = array.elements.iter();
            Value::array(elements.map(|element| owned(&element.value)).collect())
        }
        Value::Object(object) => {
            let members = object.members.iter();
            Value::object(members.map(|member| (made(&member.key), owned(&member.value))))
        }
        Value::Unread(text) => parse(text).map_or(Value::Null, |document| owned(&document.value)),
    }
}

struct Printer {
    text: String,
    limit: usize,
}

impl Printer {
    fn put(&mut self, text: &str) -> Result<(), Failure> {
        if text.len() > self.limit - self.text.len() {
            return Err(Failure::Large);
        }
        self.text.push_str(text);
        Ok(())
    }

    fn value(&mut self, value: &Value<'_>, depth: usize) -> Result<(), Failure> {
        let is_level = matches!(value, Value::Array(_) | Value::Object(_));
        if depth + usize::from(is_level) > MAX_DEPTH {
            return Err(Failure::Depth);
        }
        match value {
            Value::Null => self.put("null"),
            Value::Bool(true) => self.put("true"),
            Value::Bool(false) => self.put("false"),
            Value::Number(text) | Value::String(text) => self.put(text.as_str()),
            Value::Unread(text) => self.put(text),
            Value::Array(array) => {
                self.put("[")?;
                for (index, element) in array.elements.iter().enumerate() {
                    self.put(if index > 0 { "," } else { "" })?;
                    self.put(element.before)?;
                    self.value(&element.value, depth + 1)?;
                    self.put(element.after)?;
                }
                if array.elements.is_empty() {
                    self.put(array.blank)?;
                }
                self.put("]")
            }
            Value::Object(object) => {
                self.put("{")?;
                for (index, member) in object.members.iter().enumerate() {
                    self.put(if index > 0 { "," } else { "" })?;
                    self.put(member.before)?;
                    self.put(member.key.as_str())?;
                    self.put(member.between)?;
                    self.value(&member.value, depth + 1)?;
                    self.put(member.after)?;
                }
                if object.members.is_empty() {
                    self.put(object.blank)?;
                }
                self.put("}")
            }
        }
    }
}
