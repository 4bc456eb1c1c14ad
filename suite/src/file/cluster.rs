use serde::Deserialize;

use super::{FaultFile, Headers, ProtocolFile, ReplyFile, Span, Text};

/// A cluster that filters call out to, and what it answers.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a cluster's answer, such as `status` or `grpc`"
)]
pub(crate) struct ClusterFile {
    /// The status code; 200 unless set.
    pub(crate) status: Option<u16>,
    /// Header lines.
    #[serde(default)]
    pub(crate) headers: Headers,
    /// A body sent in one piece, with its `content-length`.
    pub(crate) body: Option<Text>,
    /// A body sent in pieces (`transfer-encoding: chunked`), instead of `body`.
    pub(crate) chunks: Option<Vec<Text>>,
    /// Trailers, after chunks.
    #[serde(default)]
    pub(crate) trailers: Headers,
    /// How long the server thinks before it answers.
    pub(crate) after: Option<Span>,
    /// What goes wrong instead of an answer, or within it.
    pub(crate) fault: Option<FaultFile>,
    /// What is spoken with it; `http1` unless set, and always `http2` with `grpc`.
    pub(crate) protocol: Option<ProtocolFile>,
    /// What it answers to gRPC calls and streams, instead of `status`, `headers`, `body` and the
    /// like.
    pub(crate) grpc: Option<GrpcFile>,
}

/// What a gRPC server answers: to the end of a call's messages, unless it says so before.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a gRPC answer, such as `messages` and `status`"
)]
pub(crate) struct GrpcFile {
    /// Initial metadata, which goes out before all else.
    #[serde(default)]
    pub(crate) metadata: Headers,
    /// Messages.
    #[serde(default)]
    pub(crate) messages: Vec<Text>,
    /// The status, `grpc-status`; 0 unless set.
    pub(crate) status: Option<u32>,
    /// The status's message, `grpc-message`, as it goes out; none unless set.
    pub(crate) status_message: Option<String>,
    /// Trailing metadata, behind the status.
    #[serde(default)]
    pub(crate) trailers: Headers,
    /// Whether all goes out in one block of headers, without messages.
    #[serde(default)]
    pub(crate) trailers_only: bool,
    /// What goes out when a stream begins.
    pub(crate) opening: Option<GrpcPartFile>,
    /// What goes out for each message of a stream.
    pub(crate) each_message: Option<GrpcPartFile>,
}

/// What a gRPC server sends while more messages may come; without a status the stream goes on.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    deny_unknown_fields,
    expecting = "the keys of a part of a gRPC answer, such as `messages`"
)]
pub(crate) struct GrpcPartFile {
    /// How long the server thinks before; not at all unless set.
    pub(crate) after: Option<Span>,
    /// Messages.
    #[serde(default)]
    pub(crate) messages: Vec<Text>,
    /// A status, which ends the stream.
    pub(crate) status: Option<u32>,
    /// The status's message, `grpc-message`, as it goes out.
    pub(crate) status_message: Option<String>,
    /// Trailing metadata, behind the status.
    #[serde(default)]
    pub(crate) trailers: Headers,
}

impl ClusterFile {
    /// What of it is as with the upstream.
    pub(crate) fn reply(&self) -> ReplyFile {
        ReplyFile {
            status: self.status,
            headers: self.headers.clone(),
            body: self.body.clone(),
            chunks: self.chunks.clone(),
            trailers: self.trailers.clone(),
            after: self.after,
            answer_each: None,
            fault: self.fault,
        }
    }

    /// The first key that is about an answer without gRPC.
    pub(crate) fn plain_key(&self) -> Option<&'static str> {
        [
            ("status", self.status.is_some()),
            ("headers", !self.headers.0.is_empty()),
            ("body", self.body.is_some()),
            ("chunks", self.chunks.is_some()),
            ("trailers", !self.trailers.0.is_empty()),
        ]
        .into_iter()
        .find_map(|(key, given)| given.then_some(key))
    }
}
