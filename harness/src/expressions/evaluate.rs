//! The value of a term. An attribute is looked up where a term names it, and nowhere else.

use std::collections::HashMap;

use regex::bytes::Regex;

use super::fault::{Fault, Work, graver, strict};
use super::operators;
use super::syntax::{Each, EachKind, Term};
use super::value::{Value, present};
use crate::mutation::Rule;
use crate::properties;
use crate::vm::VmState;

/// Turns of macros in one evaluation. Envoy answers an error at the next.
const TURNS: u32 = 9_999;

/// An evaluation under way.
pub(crate) struct Evaluation<'a> {
    /// Where attributes come from.
    pub(super) state: Option<&'a VmState>,
    pub(super) work: Work,
    /// The variables of macros, the innermost last.
    scope: Vec<(&'a str, Value<'a>)>,
    turns: u32,
    pub(super) patterns: HashMap<Vec<u8>, Option<Regex>>,
}

type Evaluated<'a> = Result<Value<'a>, Fault>;

impl<'a> Evaluation<'a> {
    pub(crate) fn new(state: Option<&'a VmState>, work: Work) -> Self {
        Self {
            state,
            work,
            scope: Vec::new(),
            turns: 0,
            patterns: HashMap::new(),
        }
    }

    /// Whether a rule is another, for tests of tests.
    pub(super) fn mutated(&self, rule: Rule) -> bool {
        self.state.is_some_and(|state| state.world.mutated(rule))
    }

    /// The bytes that a guest gets, and the work that is left.
    pub(crate) fn run(mut self, term: &'a Term) -> (Result<Vec<u8>, Fault>, Work) {
        let value = self.value(term);
        let bytes = value.and_then(|value| Ok(value.serialize(&mut self.work)?.into_owned()));
        (bytes, self.work)
    }

    pub(super) fn value(&mut self, term: &'a Term) -> Evaluated<'a> {
        self.work.charge(1)?;
        match term {
            Term::Literal(value) => Ok(value.clone()),
            Term::Name(name) => self.name(name),
            Term::Select(of, field) => self.select(of, field),
            Term::Has(of, field) => {
                let of = self.value(of)?;
                self.has(&of, field)
            }
            Term::Index(of, index) => {
                let [of, index] = self.two(of, index)?;
                self.index(&of, &index)
            }
            Term::Not(of) => match self.value(of)? {
                Value::Bool(value) => {
                    let kept = self.mutated(Rule::ExpressionsDoNotNegate);
                    Ok(Value::Bool(value == kept))
                }
                _ => Err(Fault::Error),
            },
            Term::Negate(of) => operators::negate(&self.value(of)?),
            Term::Binary(operator, left, right) => {
                let [left, right] = self.two(left, right)?;
                operators::binary(*operator, &left, &right, self)
            }
            Term::All(terms) => self.logical(terms, false),
            Term::Any(terms) => self.logical(terms, true),
            Term::Choice(branches) => {
                let [condition, then, other] = &**branches;
                let Value::Bool(mut chosen) = self.value(condition)? else {
                    return Err(Fault::Error);
                };
                chosen ^= self.mutated(Rule::ExpressionChoicesAreSwapped);
                self.value(if chosen { then } else { other })
            }
            Term::List(terms) => {
                let values = strict(terms.iter().map(|term| self.value(term)))?;
                Ok(Value::List(values.into()))
            }
            Term::Map(entries) => self.map(entries),
            Term::Call(function, arguments) => {
                let arguments = strict(arguments.iter().map(|term| self.value(term)))?;
                super::calls::call(*function, &arguments, self)
            }
            Term::Each(each) => self.each(each),
        }
    }

    fn two(&mut self, left: &'a Term, right: &'a Term) -> Result<[Value<'a>; 2], Fault> {
        let (left, right) = (self.value(left), self.value(right));
        let both = strict([left, right])?;
        <[Value<'a>; 2]>::try_from(both).map_err(|_| Fault::Error)
    }

    fn local(&self, name: &str) -> Option<&Value<'a>> {
        let mut innermost = self.scope.iter().rev();
        innermost.find_map(|(known, value)| (*known == name).then_some(value))
    }

    fn name(&mut self, name: &str) -> Evaluated<'a> {
        if let Some(value) = self.local(name) {
            return Ok(value.clone());
        }
        let name = name.trim_start_matches('.');
        if let Some(kind) = TYPES.iter().find(|kind| **kind == name) {
            return Ok(Value::Type(kind));
        }
        let state = self.state.ok_or(Fault::Error)?;
        let found = properties::variable(state, name.as_bytes());
        present(found, name.as_bytes(), &mut self.work)?.ok_or(Fault::Error)
    }

    fn select(&mut self, of: &'a Term, field: &str) -> Evaluated<'a> {
        if field == "NULL_VALUE" && names_null_value(of) && self.local("google").is_none() {
            return Ok(Value::Int(0));
        }
        let of = self.value(of)?;
        match &of {
            Value::Host(property) if property.message().is_some() => {
                let found = property.clone().field(field.as_bytes());
                present(found, field.as_bytes(), &mut self.work)?.ok_or(Fault::Error)
            }
            _ => self.index(&of, &Value::text(field)),
        }
    }

    fn has(&mut self, of: &Value<'a>, field: &str) -> Evaluated<'a> {
        let found = match of {
            Value::Host(property) if property.message().is_some() => {
                property.has(field.as_bytes()).ok_or(Fault::Error)?
            }
            of if !of.is_map() => return Err(Fault::Error),
            of => of
                .lookup(&Value::text(field), self.state, &mut self.work)?
                .is_some(),
        };
        Ok(Value::Bool(found || self.mutated(Rule::ExpressionsHaveAll)))
    }

    fn index(&mut self, of: &Value<'a>, index: &Value<'a>) -> Evaluated<'a> {
        if let Some(elements) = of.elements(&mut self.work)? {
            let index = index.as_whole().and_then(|at| usize::try_from(at).ok());
            let first = usize::from(self.mutated(Rule::ExpressionIndexesBeginAt1));
            let index = index.and_then(|at| at.checked_sub(first));
            let element = index.and_then(|at| elements.get(at).cloned());
            return element.ok_or(Fault::Error);
        }
        let found = of.lookup(index, self.state, &mut self.work)?;
        match found {
            None if self.mutated(Rule::ExpressionKeysAreNotMissed) => Ok(Value::Bool(false)),
            found => found.ok_or(Fault::Error),
        }
    }

    /// `&&`, which false decides, or `||`, which true does.
    fn logical(&mut self, terms: &'a [Term], decisive: bool) -> Evaluated<'a> {
        let mut fault = None;
        for term in terms {
            match self.value(term) {
                Ok(Value::Bool(value)) if value == decisive => return Ok(Value::Bool(decisive)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => fault = Some(graver(fault, Fault::Error)),
                Err(last) if last.is_last() => return Err(last),
                Err(next) if self.mutated(Rule::ExpressionFaultsStay) => return Err(next),
                Err(next) => fault = Some(graver(fault, next)),
            }
        }
        fault.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn map(&mut self, entries: &'a [(Term, Term)]) -> Evaluated<'a> {
        let both = entries.iter().map(|(key, value)| self.two(key, value));
        let mut known: Vec<(Value<'a>, Value<'a>)> = Vec::new();
        for [key, value] in strict(both)? {
            self.work.charge(known.len())?;
            if !matches!(
                key,
                Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::String(_)
            ) {
                return Err(Fault::Error);
            }
            let twice =
                |(one, _): &(Value<'_>, Value<'_>)| one.kind() == key.kind() && one.same_key(&key);
            if known.iter().any(twice) && !self.mutated(Rule::ExpressionKeysAreTakenTwice) {
                return Err(Fault::Abort);
            }
            known.push((key, value));
        }
        Ok(Value::Map(known.into()))
    }

    fn each(&mut self, each: &'a Each) -> Evaluated<'a> {
        let range = self.value(&each.range)?;
        let mut elements = match range.elements(&mut self.work)? {
            Some(elements) => elements.into_owned(),
            None => range.keys(&mut self.work)?.ok_or(Fault::Error)?,
        };
        self.work.charge(elements.len())?;
        if self.mutated(Rule::ExpressionMacrosSkipTheLast) {
            elements.pop();
        }
        let decisive = each.kind == EachKind::Exists;
        let (mut made, mut fault) = (Vec::new(), None);
        for element in elements {
            self.turns += 1;
            if self.turns > TURNS && !self.mutated(Rule::ExpressionTurnsHaveNoEnd) {
                return Err(Fault::Abort);
            }
            self.scope.push((&each.variable, element.clone()));
            let turn = self.turn(each, element);
            self.scope.pop();
            match (each.kind, turn) {
                (_, Err(last)) if last.is_last() => return Err(last),
                (EachKind::All | EachKind::Exists, Ok(Some(Value::Bool(value)))) => {
                    if value == decisive {
                        return Ok(Value::Bool(decisive));
                    }
                }
                (_, Ok(Some(value))) => made.push(value),
                (_, Ok(None)) => {}
                (_, Err(next)) => fault = Some(graver(fault, next)),
            }
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        Ok(match each.kind {
            EachKind::All | EachKind::Exists => Value::Bool(!decisive),
            EachKind::ExistsOne => {
                let several = self.mutated(Rule::ExpressionExistsOneIsExists);
                Value::Bool(made.len() == 1 || (several && !made.is_empty()))
            }
            EachKind::Map | EachKind::Filter => Value::List(made.into()),
        })
    }

    /// What a macro makes of one element; none if its predicate leaves the element out.
    fn turn(&mut self, each: &'a Each, element: Value<'a>) -> Result<Option<Value<'a>>, Fault> {
        let chosen = match &each.filter {
            Some(filter) => match self.value(filter)? {
                Value::Bool(chosen) => chosen,
                _ => return Err(Fault::Error),
            },
            None => true,
        };
        match each.kind {
            EachKind::All | EachKind::Exists => Ok(Some(Value::Bool(chosen))),
            _ if !chosen => Ok(None),
            _ => match &each.transform {
                Some(transform) => self.value(transform).map(Some),
                None => Ok(Some(element)),
            },
        }
    }
}

fn names_null_value(term: &Term) -> bool {
    let Term::Select(of, last) = term else {
        return false;
    };
    let Term::Select(of, middle) = &**of else {
        return false;
    };
    let Term::Name(first) = &**of else {
        return false;
    };
    first.trim_start_matches('.') == "google" && middle == "protobuf" && last == "NullValue"
}

/// Names of types, which variables of macros alone can hide.
const TYPES: [&str; 10] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];
