//! Expressions that Envoy evaluates: which texts are some, and in what form Envoy is asked.

use std::cell::RefCell;
use std::rc::Rc;

use attache::foreign::Expression;

/// What begins the names of attributes.
const ROOTS: [&[u8]; 8] = [
    b"request",
    b"response",
    b"source",
    b"destination",
    b"connection",
    b"upstream",
    b"metadata",
    b"xds",
];

/// The expressions of a configuration, each of which Envoy reads once.
#[derive(Debug, Default)]
pub(crate) struct Compiled(RefCell<Vec<(String, Rc<Expression>)>>);

impl Compiled {
    /// Has Envoy read an expression.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub(crate) fn get(&self, text: &str) -> Result<Rc<Expression>, &'static str> {
        let mut known = self.0.borrow_mut();
        if let Some((_, expression)) = known.iter().find(|(own, _)| own == text) {
            return Ok(Rc::clone(expression));
        }
        let made =
            Expression::new(text).map_err(|_| "this host evaluates no expressions in CEL")?;
        let made = Rc::new(made.ok_or("expected an expression in CEL that Envoy can read")?);
        known.push((text.to_owned(), Rc::clone(&made)));
        Ok(made)
    }
}

/// The expression as a text, whatever it gives: Envoy hands out the bytes of a value and not its type.
pub(crate) fn as_text(text: &str) -> String {
    // A comment may end the text.
    let is_truth = "\n) == bool ? ((";
    let shown = "\n) ? \"true\" : \"false\") : string(";
    String::from_iter(["type(", text, is_truth, text, shown, text, "\n)"])
}

/// The expression as a whole number.
pub(crate) fn as_number(text: &str) -> String {
    String::from_iter(["int(", text, "\n)"])
}

/// Whether a text has operators or calls, which attributes, numbers and texts have not.
pub(crate) fn is_like(text: &str) -> bool {
    let (mut has_sign, mut has_name) = (false, false);
    for (inside, byte) in marked(text) {
        has_sign |= !inside && b" ()=!<>?:+*%&|,-/".contains(&byte);
        has_name |= inside || byte.is_ascii_alphabetic();
    }
    has_sign && has_name
}

/// Refuses names below those of attributes that no attribute has: Envoy would take them for absent ones.
///
/// # Errors
///
/// What is wrong, without the text.
pub(crate) fn check(text: &str, is_known: fn(&[&[u8]]) -> bool) -> Result<(), &'static str> {
    // What stands in quotes ends a name as a sign does.
    let outside: Vec<u8> = marked(text)
        .map(|(inside, byte)| if inside { b'"' } else { byte })
        .collect();
    let of_path = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    let mut rest = &outside[..];
    while !rest.is_empty() {
        let length = rest.iter().take_while(|byte| of_path(**byte)).count();
        let (path, after) = rest.split_at_checked(length).unwrap_or((rest, b""));
        let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'.').collect();
        if after.trim_ascii_start().starts_with(b"(") {
            // The function.
            parts.pop();
        }
        let is_attribute = parts.first().is_some_and(|root| ROOTS.contains(root));
        if is_attribute && !is_known(&parts) {
            return Err("no such property among Envoy's attributes");
        }
        rest = after.get(1..).unwrap_or_default();
    }
    Ok(())
}

/// The bytes, each with whether it stands in quotes or is one.
fn marked(text: &str) -> impl Iterator<Item = (bool, u8)> {
    let mut quote = None;
    let mut escaped = false;
    text.bytes().map(move |byte| match quote {
        None => {
            quote = Some(byte).filter(|byte| b"'\"".contains(byte));
            (quote.is_some(), byte)
        }
        Some(own) => {
            if byte == own && !escaped {
                quote = None;
            }
            escaped = byte == b'\\' && !escaped;
            (true, byte)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_quotes_are_not_looked_into() {
        let text = r#"a + 'b\'c' + "d'" +"#;
        let outside: String = marked(text)
            .filter(|(inside, _)| !inside)
            .map(|(_, byte)| char::from(byte))
            .collect();
        assert_eq!(outside, "a +  +  +");
        assert!(!is_like("'a + b'"));
        assert!(!is_like("-1"));
        assert!(is_like("-a"));
    }

    #[test]
    fn without_a_host_nothing_is_an_expression() {
        assert!(Compiled::default().get("1 + 1").is_err());
    }
}
