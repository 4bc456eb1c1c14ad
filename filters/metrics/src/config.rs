use std::collections::BTreeMap;

use attache::FailureMode;
use attache::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

/// The plugin configuration, as JSON. The README has the table of all fields.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Config {
    /// What the names of all metrics begin with, before an underscore: letters, digits, `_` and `:`.
    pub stat_prefix: String,
    /// Which end of a request this proxy is, as the label `reporter` says.
    pub reporter: Reporter,
    /// Where the service that was asked for is known by the `host` header only: which hosts a label may
    /// say. Without it the header is not looked at.
    pub host_header: Option<HostHeader>,
    /// What is otherwise than by default with the metrics, each entry after the ones before it.
    pub metrics: Vec<MetricConfig>,
    /// Metrics besides the standard ones, with the standard labels.
    pub definitions: Vec<Definition>,
    /// Names for paths, which the expression `path_template` gives.
    pub path_templates: Option<PathTemplates>,
    /// How many series there may be.
    pub cardinality: Cardinality,
    /// Whether `response_code` says the class only, such as `2xx`.
    pub response_code_class: bool,
    /// What is looked at in gRPC.
    pub grpc: Grpc,
    /// What becomes of a stream when the filter fails; `allow` unless set.
    pub failure_mode: FailureMode,
}

/// Which end of a request a proxy is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reporter {
    /// `destination` on a listener whose `traffic_direction` is `INBOUND`, or else `source`. Costs one
    /// host call a request.
    #[default]
    Auto,
    /// The proxy of who asks, and a gateway.
    Source,
    /// The proxy of who is asked.
    Destination,
}

/// Which hosts a label may say.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HostHeader {
    /// The hosts, as clients write them, without port, in any case. All others are `unknown`.
    #[schemars(length(min = 1))]
    pub allow: Vec<String>,
}

/// What is otherwise than by default with one metric, or with all.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct MetricConfig {
    /// Which metric, without the prefix; all if absent.
    pub name: Option<String>,
    /// Labels to add, by name, with the expression that gives their value.
    pub dimensions: BTreeMap<String, String>,
    /// Labels that the metric has already, with the expression that gives their value instead.
    pub overrides: BTreeMap<String, String>,
    /// Labels to leave out.
    pub tags_to_remove: Vec<String>,
    /// Whether to leave the metric out.
    pub drop: bool,
}

/// A metric besides the standard ones.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Definition {
    /// Its name, without the prefix.
    pub name: String,
    /// What kind it is.
    #[serde(rename = "type")]
    pub kind: MetricKind,
    /// The expression that gives what is added, set or recorded for each request: a number or a time. A
    /// request for which it is not there is not counted.
    pub value: String,
}

/// What kind a metric is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum MetricKind {
    /// Adds the value.
    Counter,
    /// Sets the value.
    Gauge,
    /// Records the value.
    Histogram,
}

/// Names for paths.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PathTemplates {
    /// Templates such as `/users/{id}` and `/static/{rest...}`, also as `/users/*` and `/static/**`; the first that fits names the path.
    #[schemars(length(min = 1))]
    pub templates: Vec<String>,
    /// What becomes of a path that none of them fits.
    #[serde(default)]
    pub on_miss: OnMiss,
}

/// What becomes of a path that no template fits.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct OnMiss {
    /// Whether to count the request, under one value, or not at all.
    pub action: MissAction,
    /// The value of the label then, `other` if absent.
    pub value: Option<String>,
}

/// Whether to count a request whose path has no template.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MissAction {
    /// Count it under one value.
    #[default]
    Emit,
    /// Do not count it in the metrics that have the label.
    Drop,
}

/// How many series there may be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Cardinality {
    /// How many series a worker defines, over all metrics.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_series: usize,
    /// How many bytes of a label's value are kept.
    #[schemars(range(min = 8, max = 1_000))]
    pub max_label_length: usize,
    /// What becomes of a request that would make one more.
    pub on_overflow: Overflow,
}

/// What becomes of a request that would make a series too many.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overflow {
    /// It counts in the one whose labels are `__overflow__`.
    #[default]
    OverflowSeries,
    /// It does not count, but in `metrics_overflow_total`.
    Drop,
}

/// What is looked at in gRPC.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Grpc {
    /// Whether there is the label `grpc_response_status`.
    pub status: bool,
    /// Whether messages are counted, which looks at every piece of the bodies of gRPC.
    pub message_counts: bool,
    /// After how many seconds messages of a call that lasts are counted, when one comes; with 0, at its
    /// end only.
    pub report_seconds: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            stat_prefix: "istio".to_owned(),
            reporter: Reporter::default(),
            host_header: None,
            metrics: Vec::new(),
            definitions: Vec::new(),
            path_templates: None,
            cardinality: Cardinality::default(),
            response_code_class: false,
            grpc: Grpc::default(),
            failure_mode: FailureMode::Allow,
        }
    }
}

impl Default for Cardinality {
    fn default() -> Self {
        Self {
            max_series: 2_000,
            max_label_length: 120,
            on_overflow: Overflow::default(),
        }
    }
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            status: true,
            message_counts: false,
            report_seconds: 5,
        }
    }
}
