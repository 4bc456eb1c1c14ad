//! An expression as it was read.

use super::functions::Function;
use super::value::Value;

/// A part of an expression.
#[derive(Debug)]
pub(crate) enum Term {
    Literal(Value<'static>),
    /// A variable, an attribute, or the name of a type.
    Name(String),
    /// `google.protobuf.NullValue.NULL_VALUE`, or a path that only looks like it.
    Select(Box<Self>, String),
    /// `has(term.field)`.
    Has(Box<Self>, String),
    Index(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Negate(Box<Self>),
    Binary(Operator, Box<Self>, Box<Self>),
    /// `&&` of two or more.
    All(Vec<Self>),
    /// `||` of two or more.
    Any(Vec<Self>),
    /// Condition, then, else.
    Choice(Box<[Self; 3]>),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
    /// A function with its arguments; the receiver is the first.
    Call(Function, Vec<Self>),
    Each(Box<Each>),
}

/// Operators of two terms, but for the logical ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

/// A macro that goes through the elements of a list or the keys of a map.
#[derive(Debug)]
pub(crate) struct Each {
    pub(crate) kind: EachKind,
    pub(crate) range: Term,
    pub(crate) variable: String,
    /// The predicate; `map` may have none.
    pub(crate) filter: Option<Term>,
    /// What `map` makes of each.
    pub(crate) transform: Option<Term>,
}

/// Which macro it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum EachKind {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}
