use std::collections::BTreeMap;

use attache::matching;
use attache::schemars::{self, JsonSchema};
use serde::Deserialize;

use crate::path::Pattern;

/// A condition on a value.
pub type Condition = matching::Condition<Pattern>;

/// When a rule applies: all that is set has to hold, and of a list one. In rules for responses, all but
/// `headers`, `status` and `body` look at the request as it came.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MatchConfig {
    /// The request's method.
    pub methods: Vec<String>,
    /// The host that the client asked for, with its port if there is one.
    pub authority: Vec<Condition>,
    /// The path without its query.
    pub path: Vec<Condition>,
    /// Query parameters by their decoded name; of one that is repeated, any value may hold.
    pub query: BTreeMap<String, Vec<Condition>>,
    /// Headers of the message; of one that is repeated, any value may hold.
    pub headers: BTreeMap<String, Vec<Condition>>,
    /// In rules for responses: headers of the request.
    pub request_headers: BTreeMap<String, Vec<Condition>>,
    /// In rules for responses: statuses, such as `404`, `4xx` or `500-504`.
    pub status: Vec<String>,
    /// Places in the body, by JSON Pointer. Strings are compared as they are, all else as JSON.
    pub body: BTreeMap<String, Vec<Condition>>,
}
