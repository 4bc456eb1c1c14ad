//! Texts with expressions in them: `Bearer {{ headers['x-token'] }}`.

use crate::escape;
use crate::failure::Failure;
use crate::fuel::Fuel;
use crate::jmespath::{Dialect, Expression};
use crate::json::{self, Value};

/// How long a template may be.
pub const MAX_LENGTH: usize = 64 * 1024;

/// A template that has been read. What stands between `{{` and `}}` is JMESPath.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    /// Within the quotes of JSON or outside of them, where the template is one of JSON.
    Expression(Expression, Within),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Within {
    Quotes,
    Json,
}

/// What becomes of a value where it is put in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Put {
    /// Strings as they are, all else as JSON.
    Plain,
    /// So that it is one segment of a path.
    Segment,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// Why not, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err("a template has at most 64 KiB".to_owned());
        }
        let mut parts = Vec::new();
        let mut rest = text;
        let mut quotes = Quotes::default();
        while let Some((before, behind)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            quotes.pass(before);
            let end = end(behind).ok_or("a `{{` of the template has no `}}`")?;
            let expression = behind.get(..end).unwrap_or_default();
            let parsed = Expression::parse(expression, Dialect::Template)
                .map_err(|fault| format!("between `{{{{` and `}}}}`: {fault}"))?;
            parts.push(Part::Expression(parsed, quotes.within()));
            rest = behind.get(end + 2..).unwrap_or_default();
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether it may look at this member of what it is rendered with.
    #[must_use]
    pub fn looks_at(&self, name: &str) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Text(_) => false,
            Part::Expression(expression, _) => expression.looks_at(name),
        })
    }

    /// The text, where it has no expressions.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match &self.parts[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The expression, where there is nothing else.
    pub(crate) fn single(&self) -> Option<&Expression> {
        match &self.parts[..] {
            [Part::Expression(expression, _)] => Some(expression),
            _ => None,
        }
    }

    /// What stands around the expressions.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Expression(..) => None,
        })
    }

    /// Puts in what the expressions give of `context`, at most `limit` bytes in all. `None` where one of
    /// them gives null and `put` has no way to say so.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn render(
        &self,
        context: &Value<'_>,
        put: Put,
        limit: usize,
        fuel: &Fuel,
    ) -> Result<Option<String>, Failure> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Expression(expression, _) => match expression.search(context, fuel)? {
                    Value::Null => return Ok(None),
                    value => text.push_str(&said(&value, put, limit, fuel)?),
                },
            }
            fuel.spend(text.len() / 64)?;
            if text.len() > limit {
                return Err(Failure::Large);
            }
        }
        Ok(Some(text))
    }

    /// As [`render`](Self::render) of a text of JSON. Within quotes, what is put in is escaped; outside
    /// of them it is JSON. So no value can become anything but a value.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn render_json(
        &self,
        context: &Value<'_>,
        limit: usize,
        fuel: &Fuel,
    ) -> Result<String, Failure> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Expression(expression, within) => {
                    let value = expression.search(context, fuel)?;
                    match (within, &value) {
                        (Within::Quotes, Value::Null) => {}
                        (Within::Quotes, value) => {
                            let said = said(value, Put::Plain, limit, fuel)?;
                            json::encode_into(&mut text, &said);
                        }
                        // Already JSON.
                        (Within::Json, Value::String(made)) if expression.ends_in_json() => {
                            text.push_str(&made.decoded());
                        }
                        (Within::Json, value) => {
                            text.push_str(&json::print(&json::compact(value, fuel)?, limit)?);
                        }
                    }
                }
            }
            fuel.spend(text.len() / 64)?;
            if text.len() > limit {
                return Err(Failure::Large);
            }
        }
        Ok(text)
    }
}

/// Where a text of JSON is, read from its front.
#[derive(Debug, Default)]
struct Quotes {
    is_open: bool,
    is_escaped: bool,
}

impl Quotes {
    fn pass(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = self.is_open,
                b'"' => self.is_open = !self.is_open,
                _ => {}
            }
        }
    }

    fn within(&self) -> Within {
        if self.is_open {
            Within::Quotes
        } else {
            Within::Json
        }
    }
}

/// What a value says in a text.
fn said(value: &Value<'_>, put: Put, limit: usize, fuel: &Fuel) -> Result<String, Failure> {
    let text = match value.as_text() {
        Some(text) => text.into_owned(),
        None => json::print(&json::compact(value, fuel)?, limit)?,
    };
    fuel.spend(text.len() / 8)?;
    Ok(match put {
        Put::Plain => text,
        Put::Segment => escape::percent(text.as_bytes()),
    })
}

/// Where the `}}` is that ends an expression: not within quotes.
fn end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut braces = 0_usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'' | b'`') => quote = Some(byte),
            (None, b'{') => braces += 1,
            (None, b'}') if braces > 0 => braces -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    const CONTEXT: &str =
        r#"{"headers": {"x-tenant": "a/b"}, "n": 1.0, "s": "q\"", "o": {"a": [1, 2]}}"#;

    fn rendered(template: &str, put: Put) -> Option<String> {
        let context = parse(CONTEXT).expect("JSON").value;
        let template = Template::parse(template).expect("a template");
        let fuel = Fuel::new(10_000);
        template
            .render(&context, put, 100, &fuel)
            .expect("little work")
    }

    #[test]
    fn expressions_are_put_in() {
        for (template, text) in [
            ("", ""),
            ("{ }", "{ }"),
            ("t={{ headers['x-tenant'] }}!", "t=a/b!"),
            ("{{n}}{{ o.a }}", "1.0[1,2]"),
            ("{{ {x: n} | tojson }}", r#"{"x":1.0}"#),
            ("{{ '}}' }}", "}}"),
            ("{{ s }}", "q\""),
            ("{{ s | tojson }}", r#""q\"""#),
            ("{{ missing || 'none' }}", "none"),
        ] {
            assert_eq!(
                rendered(template, Put::Plain).as_deref(),
                Some(text),
                "{template}"
            );
        }
        let segment = rendered("/t/{{ headers['x-tenant'] }}", Put::Segment);
        assert_eq!(segment.as_deref(), Some("/t/a%2Fb"));
    }

    #[test]
    fn what_is_missing_makes_no_text() {
        assert_eq!(rendered("a{{ missing }}", Put::Plain), None);
        let context = parse("{}").expect("JSON").value;
        let template = Template::parse("[{{ missing }}, \"{{ missing }}\"]").expect("a template");
        let text = template.render_json(&context, 100, &Fuel::new(100));
        assert_eq!(text.as_deref(), Ok("[null, \"\"]"));
    }

    #[test]
    fn a_value_in_json_stays_a_value() {
        let context = parse(r#"{"s": "\",\"admin\":\"\\", "o": {"a": "\""}}"#)
            .expect("JSON")
            .value;
        for (template, made) in [
            (r#"{"s": "{{ s }}"}"#, r#"{"s": "\",\"admin\":\"\\"}"#),
            (r#"{"s": {{ s }}}"#, r#"{"s": "\",\"admin\":\"\\"}"#),
            (
                r#"{"s": {{ s | tojson }}}"#,
                r#"{"s": "\",\"admin\":\"\\"}"#,
            ),
            (
                r#"{"\"{{ s }}": "\\", "o": {{ tojson(o) }}}"#,
                r#"{"\"\",\"admin\":\"\\": "\\", "o": {"a":"\""}}"#,
            ),
            (
                r#"["{{ o }}", {{ o }}]"#,
                r#"["{\"a\":\"\\\"\"}", {"a":"\""}]"#,
            ),
        ] {
            let template = Template::parse(template).expect("a template");
            let text = template.render_json(&context, 200, &Fuel::new(1_000));
            assert_eq!(text.as_deref(), Ok(made));
        }
    }

    #[test]
    fn what_is_made_is_bounded() {
        let template = Template::parse(&"{{ s }}".repeat(100)).expect("a template");
        let context = parse(r#"{"s": "0123456789"}"#).expect("JSON").value;
        let made = template.render(&context, Put::Plain, 100, &Fuel::new(10_000));
        assert_eq!(made, Err(Failure::Large));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for template in ["{{", "{{ }}", "{{ a", "{{ '}} }}", "{{ nothing() }}"] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
        assert!(Template::parse(&"x".repeat(MAX_LENGTH + 1)).is_err());
    }
}
