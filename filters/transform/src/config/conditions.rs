use std::collections::BTreeMap;

use attache::schemars::{self, JsonSchema};
use serde::Deserialize;

/// When a rule applies: all that is set has to hold, and of a list one. In rules for responses, all but
/// `headers`, `status` and `body` look at the request as it came.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MatchConfig {
    /// The request's method.
    pub methods: Vec<String>,
    /// The host that the client asked for, with its port if there is one.
    pub authority: Vec<ValueConfig>,
    /// The path without its query.
    pub path: Vec<ValueConfig>,
    /// Query parameters by their decoded name; of one that is repeated, any value may hold.
    pub query: BTreeMap<String, Vec<ValueConfig>>,
    /// Headers of the message; of one that is repeated, any value may hold.
    pub headers: BTreeMap<String, Vec<ValueConfig>>,
    /// In rules for responses: headers of the request.
    pub request_headers: BTreeMap<String, Vec<ValueConfig>>,
    /// In rules for responses: statuses, such as `404`, `4xx` or `500-504`.
    pub status: Vec<String>,
    /// Places in the body, by JSON Pointer. Strings are compared as they are, all else as JSON.
    pub body: BTreeMap<String, Vec<ValueConfig>>,
}

/// A condition on a value, in the words of Envoy's `StringMatcher`. One of `exact`, `prefix`, `suffix`,
/// `contains`, `safe_regex`, `path_template` and `present_match` is set.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ValueConfig {
    /// All of the value.
    pub exact: Option<String>,
    /// Its beginning.
    pub prefix: Option<String>,
    /// Its end.
    pub suffix: Option<String>,
    /// A part of it.
    pub contains: Option<String>,
    /// A pattern for all of it.
    pub safe_regex: Option<PatternConfig>,
    /// For paths: segments with `*` or `{name}` for any one, and `**` or `{name=**}` for the rest.
    pub path_template: Option<String>,
    /// For headers, parameters and places in the body: whether it is there.
    pub present_match: Option<bool>,
    /// Whether letters count in either case; not for `safe_regex` and `path_template`. Default: false.
    pub ignore_case: bool,
    /// Whether the condition holds where no value is like this. Default: false.
    pub invert_match: bool,
}

/// A regular expression in RE2's syntax; classes such as `\w` are those of ASCII.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PatternConfig {
    /// The expression.
    pub regex: String,
}
