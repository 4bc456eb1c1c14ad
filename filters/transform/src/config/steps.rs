use attache::schemars::{self, JsonSchema};
use serde::Deserialize;

use super::Literal;

/// One change. It has one target: `header`, `query`, `path`, `body`, `body_patch` or `body_jmespath`;
/// `copy` and `move` have `from` and `to` instead.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StepConfig {
    /// What is done.
    pub op: Op,
    /// A header's name. Not `host`, `content-length`, and those that belong to the connection.
    #[serde(default)]
    pub header: Option<String>,
    /// A query parameter's name, decoded.
    #[serde(default)]
    pub query: Option<String>,
    /// With `set`, the new path as a template; with `replace`, what of it is replaced.
    #[serde(default)]
    pub path: Option<PathChange>,
    /// A place in the body, as a JSON Pointer; with `keep`, several; with `template`, the new body. In a
    /// form, a pointer has one name.
    #[serde(default)]
    pub body: Option<Names>,
    /// With `patch`: a JSON Patch (RFC 6902).
    #[serde(default)]
    pub body_patch: Option<Literal>,
    /// With `select`: the JMESPath expression that makes the new body.
    #[serde(default)]
    pub body_jmespath: Option<String>,
    /// With `add`, `set` and `replace`: the value. Strings are templates. In the body it is JSON, and a
    /// template that is one expression keeps that one's type.
    #[serde(default)]
    pub value: Option<Literal>,
    /// With `add`: only where there is none yet. Default: false.
    #[serde(default)]
    pub if_absent: bool,
    /// With `remove`, `rename`, `replace`, `copy` and `move`: whether it is a failure where there is nothing to
    /// take. Default: false.
    #[serde(default)]
    pub required: bool,
    /// With `rename`: the new name. With `copy` and `move`: where to.
    #[serde(default)]
    pub to: Option<To>,
    /// With `copy` and `move`: where from.
    #[serde(default)]
    pub from: Option<Place>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Op {
    /// Takes it out, in all its repetitions.
    Remove,
    /// Gives it another name; what had that name goes.
    Rename,
    /// Adds a value: another line of a header, another parameter; in the body as JSON Patch does.
    Add,
    /// Gives it this value, be it there or not.
    Set,
    /// Gives it this value where it is there.
    Replace,
    /// Takes out all of a body but these places.
    Keep,
    /// Puts the value of one place into another one.
    Copy,
    /// As `copy`, and takes it out of the first place.
    Move,
    /// Applies a JSON Patch, all of it or nothing.
    Patch,
    /// Makes the body what a JMESPath expression selects.
    Select,
    /// Makes the body of a template.
    Template,
}

/// One or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a string, or with `keep` a list of strings"
)]
#[expect(clippy::exhaustive_enums, reason = "there is no third")]
pub enum Names {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// How a path changes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a template, or `regex` or `prefix` with `substitution`"
)]
#[non_exhaustive]
pub enum PathChange {
    /// To what a template makes; values that are put in become one segment each.
    To(String),
    /// Each match of a pattern; groups are `$1` or `\1`.
    Regex(RegexChange),
    /// Its beginning.
    Prefix(PrefixChange),
}

/// A pattern, and what its matches are replaced by.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RegexChange {
    /// The pattern.
    pub regex: String,
    /// The substitution.
    pub substitution: String,
}

/// A beginning of a path, and what it is replaced by.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PrefixChange {
    /// The beginning; the next character is the path's end or a `/`.
    pub prefix: String,
    /// The substitution.
    pub substitution: String,
}

/// Where `rename`, `copy` and `move` lead to.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a name, or a place: `header`, `query` or `body`"
)]
#[expect(clippy::exhaustive_enums, reason = "there is no third")]
pub enum To {
    /// A name.
    Name(String),
    /// A place.
    Place(Place),
}

/// A header, a parameter or a place in the body; one of them is set.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Place {
    /// A header's name.
    pub header: Option<String>,
    /// A query parameter's name, decoded.
    pub query: Option<String>,
    /// A JSON Pointer.
    pub body: Option<String>,
}
