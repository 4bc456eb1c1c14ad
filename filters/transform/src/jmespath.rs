//! JMESPath (<https://jmespath.org/specification.html>) over JSON that keeps its bytes, with bounded work.
//!
//! The crate `jmespath` reads into numbers of 64 bits and sorts keys, so that what it selects is spelt
//! otherwise; and it bounds no work: `[@,@][]|[@,@][]|…` doubles with every nine characters.

use std::fmt;

use crate::failure::Failure;
use crate::fuel::Fuel;
use crate::json::Value;

mod evaluate;
mod functions;
mod lexer;
mod parser;

use self::functions::Function;

/// How long an expression may be.
const MAX_LENGTH: usize = 4096;

/// An expression that has been read.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Node,
}

/// Why a text is no expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Fault {
    /// The byte where that shows.
    pub at: usize,
    /// What was expected.
    pub reason: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at character {}", self.reason, self.at + 1)
    }
}

impl std::error::Error for Fault {}

/// What is read beyond the specification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Dialect {
    /// Nothing.
    Standard,
    /// `headers['x-tenant']` for `headers."x-tenant"`, and behind `|` the names of functions that take
    /// one value, as in `body | tojson`.
    Template,
}

#[derive(Clone, Debug)]
enum Node {
    Current,
    Literal(Value<'static>),
    Field(String),
    Index(i64),
    Slice {
        start: Option<i64>,
        stop: Option<i64>,
        step: i64,
    },
    /// The second is evaluated on what the first one gives.
    Then(Box<Self>, Box<Self>),
    /// The second is evaluated on each element that the first one gives.
    Projection(Box<Self>, Box<Self>),
    /// On each value of an object.
    Values(Box<Self>, Box<Self>),
    /// On each element for which the third holds.
    Filter(Box<Self>, Box<Self>, Box<Self>),
    Flatten(Box<Self>),
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Compare(Comparator, Box<Self>, Box<Self>),
    List(Vec<Self>),
    Hash(Vec<(String, Self)>),
    Call(Function, Vec<Self>),
    /// `&expression`, for functions.
    Reference(Box<Self>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// A [`Fault`], for unknown functions and wrong numbers of arguments too.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, Fault> {
        if text.len() > MAX_LENGTH {
            return Err(Fault {
                at: MAX_LENGTH,
                reason: "an expression has at most 4096 bytes",
            });
        }
        let tokens = lexer::tokens(text)?;
        Ok(Self {
            root: parser::parse(tokens, dialect)?,
        })
    }

    /// What it gives of `value`.
    ///
    /// # Errors
    ///
    /// [`Failure::Query`] where a function is given what it does not take, and [`Failure::Work`].
    pub fn search<'a>(&self, value: &Value<'a>, fuel: &Fuel) -> Result<Value<'a>, Failure> {
        evaluate::evaluate(&self.root, value, fuel)
    }

    /// Whether what it gives is JSON in a string.
    pub(crate) fn ends_in_json(&self) -> bool {
        let mut node = &self.root;
        while let Node::Then(_, second) = node {
            node = second;
        }
        matches!(node, Node::Call(Function::ToJson, _))
    }

    /// Whether it may look at the member `name` of what it is searched in.
    #[must_use]
    pub fn looks_at(&self, name: &str) -> bool {
        self.root.looks_at(name)
    }
}

impl Node {
    /// Errs towards yes.
    fn looks_at(&self, name: &str) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Field(field) => field == name,
            Self::Then(first, _) => first.looks_at(name),
            Self::Or(left, right) | Self::And(left, right) | Self::Compare(_, left, right) => {
                left.looks_at(name) || right.looks_at(name)
            }
            Self::Not(inner) | Self::Flatten(inner) => inner.looks_at(name),
            Self::Projection(first, _) => first.looks_at(name),
            Self::List(nodes) => nodes.iter().any(|node| node.looks_at(name)),
            Self::Hash(members) => members.iter().any(|(_, node)| node.looks_at(name)),
            Self::Call(_, arguments) => arguments.iter().any(|node| node.looks_at(name)),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests;
