use std::collections::BTreeMap;

use serde::Deserialize;

use super::{HarnessExpect, Matcher, Text};

/// Makes the chain one of TCP filters, and says what the upstream does.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a TCP upstream, such as `answer`"
)]
pub(crate) struct TcpFile {
    /// What it sends as soon as Envoy is connected.
    pub(crate) greeting: Option<Text>,
    /// What it sends for each piece that arrives.
    pub(crate) answer: Option<Text>,
    /// When it ends its side; `with_client` unless set.
    pub(crate) ends: Option<TcpEndsFile>,
    /// What goes wrong.
    pub(crate) fault: Option<TcpFaultFile>,
    /// Other upstreams, which a filter may lead a connection to: clusters by name, each with the keys above.
    #[serde(default)]
    pub(crate) clusters: BTreeMap<String, Self>,
}

/// When a TCP upstream ends its side.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum TcpEndsFile {
    /// When the client has ended its side.
    WithClient,
    /// With its greeting.
    AfterGreeting,
    /// With its first answer.
    AfterAnswer,
    /// Never.
    Never,
}

/// What goes wrong at a TCP upstream.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum TcpFaultFile {
    /// Nobody listens.
    Refused,
    /// It resets the connection when bytes arrive.
    Reset,
}

/// A client connects.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a connection: `name` and `expect`"
)]
pub(crate) struct ConnectFile {
    /// What other steps call the connection; `client` unless set.
    pub(crate) name: Option<String>,
    /// What must be seen of it in the end.
    pub(crate) expect: Option<ConnectionExpect>,
}

/// What must be seen of a TCP connection.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "what must be seen: `upstream` and `downstream`"
)]
pub(crate) struct ConnectionExpect {
    /// What the upstream received.
    pub(crate) upstream: Option<PeerExpect>,
    /// What the client received.
    pub(crate) downstream: Option<PeerExpect>,
    /// What only the harness can tell; not looked at on Envoy.
    pub(crate) harness: Option<HarnessExpect>,
}

/// What one peer of a connection received.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "`bytes` and `end`")]
pub(crate) struct PeerExpect {
    /// All bytes.
    pub(crate) bytes: Option<Matcher>,
    /// How Envoy ended its side.
    pub(crate) end: Option<EndExpect>,
}

/// How Envoy ended its side of a connection.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndExpect {
    /// Not so far, or there was no connection.
    Open,
    /// With a FIN.
    Fin,
    /// With a RST, be it the peer's own.
    Reset,
}
