//! The plugin configuration, as JSON. The README has the table of all fields.

mod conditions;
mod literal;
mod steps;

use attache::FailureMode;
use attache::schemars::{self, JsonSchema};
use serde::Deserialize;

pub use self::conditions::{Condition, MatchConfig};
pub use self::literal::Literal;
pub use self::steps::{Names, Op, PathChange, Place, PrefixChange, RegexChange, StepConfig, To};

/// The plugin configuration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Whether messages are changed: `enforce`, or `report_only`, which computes and logs what would
    /// change. Default: `enforce`.
    #[serde(default)]
    pub mode: RunMode,
    /// What becomes of a message on which a step fails, or which the filter cannot handle: `allow` lets
    /// it pass as it came, `deny` refuses it. Default: `allow`.
    #[serde(default = "allow")]
    pub failure_mode: FailureMode,
    /// What is done with requests.
    #[serde(default)]
    pub request: SideConfig,
    /// What is done with responses.
    #[serde(default)]
    pub response: SideConfig,
}

fn allow() -> FailureMode {
    FailureMode::Allow
}

/// Whether messages are changed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunMode {
    /// They are.
    #[default]
    Enforce,
    /// They pass as they came; the log says what would change.
    ReportOnly,
}

/// One direction.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SideConfig {
    /// The rules; each whose `match` holds applies, in order. Conditions look at the message as it came.
    #[serde(default)]
    pub rules: Vec<RuleConfig>,
    /// How bodies are handled.
    #[serde(default)]
    pub body: BodyConfig,
}

/// Conditions and what is done where they hold.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RuleConfig {
    /// A word for people who read the configuration.
    #[serde(default)]
    pub name: String,
    /// When the rule applies; always, unless set.
    #[serde(default, rename = "match")]
    pub conditions: MatchConfig,
    /// What is done, in order.
    pub steps: Vec<StepConfig>,
}

/// How bodies are handled.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct BodyConfig {
    /// Whether headers wait for the body, so that they may say what is in it, and how long it is. Needs
    /// `allow_on_headers_stop_iteration: true` in the plugin's configuration, which Istio cannot set.
    /// Default: false.
    pub hold_headers: bool,
    /// How large a body may be: as it comes, decoded, and as it goes on. Default: 1048576; at most
    /// 16777216. Keep it at or below Envoy's `per_connection_buffer_limit_bytes`.
    pub max_bytes: u32,
    /// What becomes of a larger one: `reject` (413), or `pass`, as it came. Default: `reject` for
    /// requests, `pass` for responses.
    pub on_too_large: Option<Otherwise>,
    /// What becomes of one that is not what its type says: `reject` (400, or 502 for a response), or
    /// `pass`, as it came. Default: `pass`.
    pub on_parse_error: Otherwise,
    /// What becomes of one that a rule asks for and that is not looked into, for its type, charset or
    /// coding, because it is a part, or because what follows is a tunnel or an upgrade: `reject` (415, or 502 for a response), or `pass`, as it came.
    /// Default: `pass`.
    pub on_unsupported: Otherwise,
    /// The types that are looked into: `json` (`application/json`, `…+json`) and `form`. Where the
    /// upstream takes one alone, name it, and with `on_unsupported: reject` nothing passes as the other: a client
    /// may say of JSON that it is a form, and steps on forms do nothing to it. Default: both.
    pub types: Vec<Kind>,
    /// The codings that are read; a body in another one is not looked into. Default: `gzip`, `br` and
    /// `zstd`.
    pub content_encoding: Vec<CodingName>,
    /// How a changed body goes on that came compressed: `identity` or `gzip`. Without `hold_headers`, a
    /// body that came in gzip goes on in gzip. Default: `identity`.
    pub recompress: Recompress,
}

impl Default for BodyConfig {
    fn default() -> Self {
        Self {
            hold_headers: false,
            max_bytes: 1 << 20,
            on_too_large: None,
            on_parse_error: Otherwise::Pass,
            on_unsupported: Otherwise::Pass,
            types: vec![Kind::Json, Kind::Form],
            content_encoding: vec![CodingName::Gzip, CodingName::Br, CodingName::Zstd],
            recompress: Recompress::Identity,
        }
    }
}

/// What becomes of a message whose body cannot be changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Otherwise {
    /// It is refused.
    Reject,
    /// It passes as it came.
    Pass,
}

/// What a body is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// JSON.
    Json,
    /// A form.
    Form,
}

/// A coding that can be read.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CodingName {
    /// gzip.
    Gzip,
    /// Brotli.
    Br,
    /// Zstandard.
    Zstd,
}

/// How a changed body goes on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recompress {
    /// Not compressed.
    Identity,
    /// In gzip, where it came compressed.
    Gzip,
}
