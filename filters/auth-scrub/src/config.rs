//! The plugin configuration: what may stand in it, in tables, and what does, as [`Place`]s.
//!
//! Types that `serde` reads would be a quarter of the module. Here one function checks a document
//! against the tables, and the JSON Schema is made of the same tables, and of words that the module does
//! not keep.

use std::borrow::Cow;
use std::fmt;

use attache::schemars::{JsonSchema, Schema, SchemaGenerator};
use attache::{ConfigError, Document};
use serde::Deserialize;

use self::shapes::{CONFIG, WORDS};

pub(crate) use self::place::Place;

mod place;
mod schema;
mod shapes;

/// The plugin configuration. The README has the table of all fields.
#[derive(Deserialize)]
pub struct Config(Document);

/// An object: its fields by name.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
}

/// A field of an object.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
}

/// What a value may be.
pub(crate) enum Kind {
    Flag,
    Number,
    Text,
    /// One of these.
    Word(&'static [&'static str]),
    Object(&'static Shape),
    Objects(&'static Shape),
    Texts,
    /// A name, or the beginning of names.
    Name,
    /// What texts are compared with.
    Patterns,
    /// Texts by text.
    Map,
    /// A text, or an object with a text.
    Regex,
}

impl Config {
    /// Reads a configuration from JSON.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for what is no JSON.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        Document::read(json).map(Self)
    }

    /// The whole of it, once all of it is known to be of the right shape.
    pub(crate) fn place(&self) -> Result<Place<'_>, ConfigError> {
        let place = Place::root(&self.0);
        place.check(&Kind::Object(&CONFIG))?;
        Ok(place)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Config").finish_non_exhaustive()
    }
}

impl JsonSchema for Config {
    fn schema_name() -> Cow<'static, str> {
        "Config".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema::of(&CONFIG, WORDS, generator)
    }
}
