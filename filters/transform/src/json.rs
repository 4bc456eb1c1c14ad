//! JSON that keeps its bytes: what is not changed is written as it was read, with its white space, its
//! spelling of numbers and strings, the order of its keys and the keys that stand there twice.
//!
//! Where a key stands twice, reading takes the last one, as most parsers do, and changes meet them all:
//! an upstream that takes the first one sees no other body.

use std::borrow::Cow;
use std::rc::Rc;

mod depth;
mod edit;
mod equal;
mod number;
mod parse;
mod pointer;
mod print;
mod text;

pub use self::depth::depth;
pub use self::edit::{add, get, keep, remove, rename, replace, set};
pub use self::equal::equal;
pub(crate) use self::number::spelt;
pub use self::number::{compare, integer_of, number_of};
pub(crate) use self::parse::parse_for;
pub use self::parse::{Document, Fault, MAX_DEPTH, parse};
pub use self::pointer::{Malformed, Pointer};
pub(crate) use self::print::compact;
pub use self::print::{owned, print, print_document};
pub use self::text::{encode, encode_into};

/// A value; clones share what they have.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "JSON has no other type, and one is not read"
)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` and `false`
    Bool(bool),
    /// A number as it is spelt.
    Number(Text<'a>),
    /// A string as it is spelt, in its quotes.
    String(Text<'a>),
    /// Values in order.
    Array(Rc<Array<'a>>),
    /// Keys and values in order.
    Object(Rc<Object<'a>>),
    /// An array or an object as it is spelt, where what was parsed is only asked for something else.
    Unread(&'a str),
}

/// JSON text of the source, or made since.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is no third place for it")]
pub enum Text<'a> {
    /// Of the source.
    Source(&'a str),
    /// Made.
    Made(Rc<str>),
}

/// The elements of an array, with the white space around them.
#[derive(Clone, Debug, Default)]
pub struct Array<'a> {
    pub(crate) elements: Vec<Element<'a>>,
    /// What stands between the brackets of an empty one.
    pub(crate) blank: &'a str,
}

#[derive(Clone, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) before: &'a str,
    pub(crate) value: Value<'a>,
    pub(crate) after: &'a str,
}

/// The members of an object, with the white space around them.
#[derive(Clone, Debug, Default)]
pub struct Object<'a> {
    pub(crate) members: Vec<Member<'a>>,
    pub(crate) blank: &'a str,
}

#[derive(Clone, Debug)]
pub(crate) struct Member<'a> {
    pub(crate) before: &'a str,
    pub(crate) key: Text<'a>,
    /// The colon with the white space around it.
    pub(crate) between: &'a str,
    pub(crate) value: Value<'a>,
    pub(crate) after: &'a str,
}

impl Text<'_> {
    /// As it is spelt.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Source(text) => text,
            Self::Made(text) => text,
        }
    }

    /// What a string says. A surrogate without its other half, which no text can hold, reads as
    /// U+FFFD.
    #[must_use]
    pub fn decoded(&self) -> Cow<'_, str> {
        text::decode(self.as_str())
    }

    /// Whether this string says `text`.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        let spelt = self.as_str();
        match spelt.get(1..spelt.len().saturating_sub(1)) {
            Some(inner) if !inner.contains('\\') => inner == text,
            _ => self.decoded() == text,
        }
    }
}

impl<'a> Value<'a> {
    /// A string that says `text`.
    #[must_use]
    pub fn string(text: &str) -> Self {
        Self::String(Text::Made(encode(text).into()))
    }

    /// A number as `text` spells it.
    #[must_use]
    pub(crate) fn number(text: &str) -> Self {
        Self::Number(Text::Made(text.into()))
    }

    /// An array of these.
    #[must_use]
    pub fn array(values: Vec<Self>) -> Self {
        let elements = values.into_iter().map(Element::new).collect();
        Self::Array(Rc::new(Array {
            elements,
            blank: "",
        }))
    }

    /// An object of these.
    #[must_use]
    pub fn object(members: impl IntoIterator<Item = (Text<'a>, Self)>) -> Self {
        let members = members
            .into_iter()
            .map(|(key, value)| Member::new(key, value))
            .collect();
        Self::Object(Rc::new(Object { members, blank: "" }))
    }

    /// An object of these, whose keys are names.
    #[must_use]
    pub fn named<'n>(members: impl IntoIterator<Item = (&'n str, Self)>) -> Self {
        let text = |name: &str| Text::Made(encode(name).into());
        Self::object(members.into_iter().map(|(key, value)| (text(key), value)))
    }

    /// Its member of this name, the last one where there are several.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Self> {
        let Self::Object(object) = self else {
            return None;
        };
        let found = object.members.iter().rfind(|member| member.key.says(name));
        found.map(|member| &member.value)
    }

    /// Its elements, where it is an array.
    pub fn elements(&self) -> Option<impl ExactSizeIterator<Item = &Self> + DoubleEndedIterator> {
        match self {
            Self::Array(array) => Some(array.elements.iter().map(|element| &element.value)),
            _ => None,
        }
    }

    /// What it says, where it is a string.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::String(text) => Some(text.decoded()),
            _ => None,
        }
    }
}

impl<'a> Element<'a> {
    pub(crate) fn new(value: Value<'a>) -> Self {
        Self {
            before: "",
            value,
            after: "",
        }
    }
}

impl<'a> Member<'a> {
    pub(crate) fn new(key: Text<'a>, value: Value<'a>) -> Self {
        Self {
            before: "",
            key,
            between: ":",
            value,
            after: "",
        }
    }
}
