//! What a suite file holds, as it is written. `suite/README.md` explains every key.

mod case;
mod cluster;
mod expect;
mod message;
mod plugin;
mod reload;
mod tcp;
mod text;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;

pub(crate) use case::{CaseFile, LogFromFile, StepFile};
pub(crate) use cluster::{ClusterFile, GrpcFile, GrpcPartFile};
pub(crate) use expect::{
    AccessExpect, CaseExpect, HarnessExpect, HeaderExpect, Level, LineExpect, OutcomeExpect,
    RequestExpect, ResponseExpect, StreamExpect, UpstreamExpect,
};
pub(crate) use message::{FaultFile, Headers, ProtocolFile, ProtocolsFile, ReplyFile, RequestFile};
pub(crate) use plugin::{PluginFile, PolicyFile, configuration};
pub(crate) use reload::ReloadFile;
pub(crate) use tcp::{
    ConnectFile, ConnectionExpect, EndExpect, PeerExpect, TcpEndsFile, TcpFaultFile, TcpFile,
};
pub(crate) use text::{Matcher, Span, Text, Version};

/// Metadata by namespace.
pub(crate) type Metadata = BTreeMap<String, serde_json::Map<String, serde_json::Value>>;

/// A suite of cases: requests through a chain of plugins, and what must be seen. The same file runs
/// on the harness and on a real Envoy.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(title = "Attaché suite, version 1"))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a suite, such as `version` and `cases`"
)]
pub(crate) struct SuiteFile {
    /// The version of this format: "1", in quotes.
    #[serde(rename = "version")]
    _version: FormatVersion,
    /// A word for people.
    #[serde(rename = "description")]
    _description: Option<String>,
    /// The Envoy that the suite is for, such as "1.40", in quotes; `--envoy` overrides it.
    pub(crate) envoy: Option<Version>,
    /// The chain: a request passes the plugins in this order, a response in the other.
    #[serde(default)]
    pub(crate) plugins: Vec<PluginFile>,
    /// Plugins that log each request on their root context, after the filters.
    #[serde(default)]
    pub(crate) access_loggers: Vec<PluginFile>,
    /// Plugins that run for themselves, without requests.
    #[serde(default)]
    pub(crate) services: Vec<PluginFile>,
    /// Plugins that are told of all statistics.
    #[serde(default)]
    pub(crate) stats_sinks: Vec<PluginFile>,
    /// How often these are told; every 5 s unless set.
    pub(crate) stats_flush_interval: Option<Span>,
    /// How many worker threads Envoy has; 1 unless set. On the harness all requests go to the first.
    pub(crate) workers: Option<NonZeroU32>,
    /// What client and upstream speak.
    pub(crate) protocols: Option<ProtocolsFile>,
    /// What requests over HTTP/1.1 may ask an upgrade to, such as `websocket`; nothing unless set.
    #[serde(default)]
    pub(crate) upgrades: Vec<String>,
    /// How many bytes of a body filters can hold back (`per_connection_buffer_limit_bytes`); 1 MiB
    /// unless set.
    pub(crate) buffer_limit: Option<NonZeroU32>,
    /// What the route's metadata say, by namespace (`filter_metadata`); nothing unless set.
    pub(crate) route_metadata: Option<Metadata>,
    /// What the upstream answers, where a case or a step does not say otherwise; 200 without a body
    /// unless set.
    pub(crate) upstream: Option<ReplyFile>,
    /// Makes the chain one of TCP filters, and says what the upstream does.
    pub(crate) tcp: Option<TcpFile>,
    /// Clusters that filters call out to, by name, each with what it answers.
    #[serde(default)]
    pub(crate) clusters: BTreeMap<String, ClusterFile>,
    /// The cases; each begins with a freshly started chain.
    pub(crate) cases: Vec<CaseFile>,
}

/// The only version there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FormatVersion;

impl<'de> Deserialize<'de> for FormatVersion {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let version = Version::deserialize(deserializer)?;
        if version.as_str() == "1" {
            return Ok(Self);
        }
        Err(serde::de::Error::custom(format_args!(
            "version `{}` of the format is unknown; this program reads version \"1\"",
            version.as_str()
        )))
    }
}
