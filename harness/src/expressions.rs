//! Expressions in CEL, by which guests ask for attributes: what `expr_create`, `expr_evaluate` and
//! `expr_delete` are about.
//!
//! Envoy's expressions are those of <https://github.com/google/cel-cpp> with its options as they are
//! by default: macros, no optional values, no extensions, no checking of types before the evaluation.

mod calls;
mod conversions;
mod evaluate;
mod fault;
mod functions;
mod lexer;
mod literals;
mod macros;
mod operators;
mod parser;
mod patterns;
mod syntax;
mod time;
mod value;

use std::collections::HashMap;

pub(crate) use self::evaluate::Evaluation;
pub(crate) use self::fault::{Fault, Work};
pub(crate) use self::parser::{Refused, parse};
pub(crate) use self::syntax::Term;

/// Bytes of text that the expressions of a root may have.
const MOST_TEXT: usize = 16 << 20;

/// Bytes that the smallest expression counts for: a kept one takes about as many.
const LEAST_TEXT: usize = 64;

/// The expressions of a root context, by token.
#[derive(Debug, Default)]
pub(crate) struct Expressions {
    terms: HashMap<u32, (Term, usize)>,
    next: u32,
    text: usize,
}

impl Expressions {
    /// Keeps an expression; none if there are too many. Envoy counts tokens from 0, and tries those
    /// that are taken no second time.
    pub(crate) fn add(&mut self, term: Term, size: usize) -> Option<u32> {
        let size = size.max(LEAST_TEXT);
        self.text = self
            .text
            .checked_add(size)
            .filter(|all| *all <= MOST_TEXT)?;
        let token = self.next;
        self.next = self.next.wrapping_add(1);
        self.terms.insert(token, (term, size));
        Some(token)
    }

    /// Counts a token for an expression that is none.
    pub(crate) fn skip(&mut self) {
        self.next = self.next.wrapping_add(1);
    }

    pub(crate) fn get(&self, token: u32) -> Option<&Term> {
        self.terms.get(&token).map(|(term, _)| term)
    }

    pub(crate) fn delete(&mut self, token: u32) {
        if let Some((_, size)) = self.terms.remove(&token) {
            self.text -= size;
        }
    }
}
