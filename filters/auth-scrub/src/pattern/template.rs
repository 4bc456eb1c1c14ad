//! Envoy's path templates: `/users/{id}`, `/files/**`, `/{all=**}`.

use super::syntax::{Expression, Set};

const SYNTAX: &str = "expected a path template: segments that are text, `*`, `**` as the last one, \
                      `{name}`, `{name=*}` or `{name=**}`";

/// Makes an expression of a template.
pub(super) fn parse(template: &[u8], ignore_case: bool) -> Result<Expression, &'static str> {
    let segments = template.strip_prefix(b"/").ok_or(SYNTAX)?;
    let mut parts = Vec::new();
    let mut is_last = false;
    for segment in segments.split(|&byte| byte == b'/') {
        if is_last {
            return Err(SYNTAX);
        }
        parts.push(one(Set::byte(b'/')));
        let inside = segment
            .strip_prefix(b"{")
            .map(|rest| rest.strip_suffix(b"}").ok_or(SYNTAX));
        let meaning = match inside.transpose()? {
            None => segment,
            Some(variable) => {
                let mut sides = variable.splitn(2, |&byte| byte == b'=');
                let name = sides.next().unwrap_or_default();
                let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                if name.is_empty() || !name.iter().all(is_name) {
                    return Err(SYNTAX);
                }
                sides.next().unwrap_or(b"*")
            }
        };
        match meaning {
            b"*" => parts.push(many(Set::without(Set::byte(b'/')), 1)),
            b"**" => {
                is_last = true;
                parts.push(many(Set::without(Set::default()), 0));
            }
            text if inside_is_text(segment) => {
                parts.extend(text.iter().map(|&byte| match ignore_case {
                    true => one(Set::byte(byte).without_case()),
                    false => one(Set::byte(byte)),
                }));
            }
            _ => return Err(SYNTAX),
        }
    }
    Ok(Expression::Sequence(parts))
}

fn inside_is_text(segment: &[u8]) -> bool {
    !segment.iter().any(|byte| b"*{}=".contains(byte))
}

fn one(set: Set) -> Expression {
    Expression::Set(Box::new(set))
}

fn many(set: Set, least: u32) -> Expression {
    Expression::Repeat(Box::new(one(set)), least, None)
}
