//! What the parser replaces: `has`, `all`, `exists`, `exists_one`, `map`, `filter`.

use super::parser::Refused;
use super::syntax::{Each, EachKind, Term};

/// Whether `range.name(…)` with so many arguments is a macro.
pub(super) fn named(name: &str, arguments: usize) -> bool {
    match name {
        "all" | "exists" | "exists_one" | "filter" => arguments == 2,
        "map" => arguments == 2 || arguments == 3,
        _ => false,
    }
}

/// A macro over a range; its first argument is a variable, the last what is done with it.
pub(super) fn each(name: &str, range: Term, arguments: Vec<Term>) -> Result<Term, Refused> {
    let mut arguments = arguments.into_iter();
    let variable = match arguments.next() {
        Some(Term::Name(name)) if !name.starts_with('.') && name != "__result__" => name,
        _ => return Err(Refused::Syntax),
    };
    let last = arguments.next_back();
    let kind = match name {
        "all" => EachKind::All,
        "exists" => EachKind::Exists,
        "exists_one" => EachKind::ExistsOne,
        "filter" => EachKind::Filter,
        _ => EachKind::Map,
    };
    let (filter, transform) = match kind {
        EachKind::Map => (arguments.next(), last),
        _ => (last, None),
    };
    Ok(Term::Each(Box::new(Each {
        kind,
        range,
        variable,
        filter,
        transform,
    })))
}

/// `has(term.field)`.
pub(super) fn has(arguments: Vec<Term>) -> Result<Term, Refused> {
    match arguments.into_iter().next() {
        Some(Term::Select(of, field)) => Ok(Term::Has(of, field)),
        _ => Err(Refused::Syntax),
    }
}
