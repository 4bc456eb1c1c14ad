//! YAML with places: a tree that remembers where each value stands, and what was in quotes.

mod deserializer;
mod fault;
mod json;
mod parse;
mod write;

use std::ops::Range;

pub(crate) use deserializer::{QUOTED, from_node};
pub(crate) use fault::{Fault, nearest};
pub(crate) use parse::parse;
pub(crate) use write::Yaml;

/// A value in a file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    /// The bytes of the value in the text, without comments after it.
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
    /// An alias, whose values stand elsewhere, or what has a name for aliases to repeat.
    pub(crate) shared: bool,
}

/// A line and a column, counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar {
        text: String,
        /// Without quotes, so that it may mean a number, a boolean or nothing.
        plain: bool,
    },
    List(Vec<Node>),
    Map {
        entries: Vec<(Node, Node)>,
        /// With braces.
        flow: bool,
    },
}

impl Node {
    /// The value under a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map { entries, .. } = &self.value else {
            return None;
        };
        let named = |(name, _): &&(Self, Self)| name.as_key() == Some(key);
        entries.iter().find(named).map(|(_, value)| value)
    }

    /// The element of a list.
    pub(crate) fn at(&self, index: usize) -> Option<&Self> {
        match &self.value {
            Value::List(elements) => elements.get(index),
            _ => None,
        }
    }

    pub(crate) fn as_key(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it, or anything in it, is shared.
    pub(crate) fn holds_shared(&self) -> bool {
        let within = match &self.value {
            Value::Scalar { .. } => false,
            Value::List(elements) => elements.iter().any(Self::holds_shared),
            Value::Map { entries, .. } => entries
                .iter()
                .any(|(key, value)| key.holds_shared() || value.holds_shared()),
        };
        self.shared || within
    }

    /// Whether it is `null`, `~` or nothing at all.
    pub(crate) fn is_null(&self) -> bool {
        let Value::Scalar { text, plain: true } = &self.value else {
            return false;
        };
        matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}
