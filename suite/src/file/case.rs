use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;

use super::{
    CaseExpect, ClusterFile, ConnectFile, Metadata, PluginFile, ProtocolsFile, ReloadFile,
    ReplyFile, RequestFile, Span, StreamExpect, TcpFile, Text,
};

/// A case: one request, or a play of several steps, and what must be seen.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a case, such as `name` and `request`"
)]
pub(crate) struct CaseFile {
    /// A sentence about behaviour; no other case of the file has it.
    pub(crate) name: String,
    /// What the case is evidence of: ids of requirements or of rows in a document.
    #[serde(default)]
    pub(crate) covers: Vec<String>,
    /// The configuration of the suite's only plugin, instead of the suite's.
    pub(crate) configuration: Option<serde_json::Value>,
    /// The chain, instead of the suite's.
    pub(crate) plugins: Option<Vec<PluginFile>>,
    /// Plugins that log each request on their root context, instead of the suite's.
    pub(crate) access_loggers: Option<Vec<PluginFile>>,
    /// Plugins that run for themselves, instead of the suite's.
    pub(crate) services: Option<Vec<PluginFile>>,
    /// Plugins that are told of all statistics, instead of the suite's.
    pub(crate) stats_sinks: Option<Vec<PluginFile>>,
    /// How often these are told, instead of the suite's.
    pub(crate) stats_flush_interval: Option<Span>,
    /// From where on the log is looked at; `first_step` unless set.
    #[serde(default)]
    pub(crate) log_from: LogFromFile,
    /// What client and upstream speak, instead of the suite's.
    pub(crate) protocols: Option<ProtocolsFile>,
    /// What requests may ask an upgrade to, instead of the suite's.
    pub(crate) upgrades: Option<Vec<String>>,
    /// The buffer limit, instead of the suite's; clients of HTTP/2 have 16 MiB.
    pub(crate) buffer_limit: Option<NonZeroU32>,
    /// What the route's metadata say, instead of the suite's.
    pub(crate) route_metadata: Option<Metadata>,
    /// What the upstream answers, instead of the suite's.
    pub(crate) upstream: Option<ReplyFile>,
    /// Makes the chain one of TCP filters, and says what the upstream does, instead of the suite's.
    pub(crate) tcp: Option<TcpFile>,
    /// Clusters besides the suite's, or instead of those of the same names.
    #[serde(default)]
    pub(crate) clusters: BTreeMap<String, ClusterFile>,
    /// The request of a case with one. Either this or `steps`.
    pub(crate) request: Option<RequestFile>,
    /// What happens, in order. Either this or `request`.
    pub(crate) steps: Option<Vec<StepFile>>,
    /// What must be seen. With `steps`, what is expected of a request stands at its step.
    pub(crate) expect: Option<CaseExpect>,
}

/// One thing that happens: a request begins, time passes, or a client goes away. A request comes as
/// far as it can, to its end or to where a filter holds it, before the next step.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a step, such as `request` or `wait`")]
pub(crate) struct StepFile {
    /// A request begins.
    pub(crate) request: Option<RequestFile>,
    /// What later steps call the request.
    pub(crate) name: Option<String>,
    /// The client connection of this request; those of one name come one after the other on one.
    pub(crate) connection: Option<String>,
    /// What the upstream answers to this request.
    pub(crate) upstream: Option<ReplyFile>,
    /// What must be seen of this request in the end.
    pub(crate) expect: Option<StreamExpect>,
    /// Time passes.
    pub(crate) wait: Option<Span>,
    /// The client of the request of this name goes away; the TCP connection of this name is reset.
    pub(crate) disconnect: Option<String>,
    /// A plugin is replaced while streams are under way.
    pub(crate) reload: Option<ReloadFile>,
    /// A client connects, where the chain is of TCP filters.
    pub(crate) connect: Option<ConnectFile>,
    /// The client of a TCP connection, or of a request that asked for an upgrade, sends these bytes, in one
    /// piece.
    pub(crate) send: Option<Text>,
    /// Which connection or request is meant with `send`; the last one unless set.
    pub(crate) to: Option<String>,
    /// The client of the connection of this name ends its side.
    pub(crate) half_close: Option<String>,
}

/// From where on the log is looked at.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFromFile {
    /// From the start of the plugins.
    Start,
    /// From the first step.
    #[default]
    FirstStep,
}
