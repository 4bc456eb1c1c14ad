use std::time::Duration;

use super::{Fault, HeaderLine, Protocol, Reply};

/// A cluster that filters call out to.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) protocol: Protocol,
    /// What it answers; of a gRPC server only when, and what goes wrong.
    pub(crate) answer: Reply,
    pub(crate) grpc: Option<Grpc>,
}

/// What a gRPC server answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grpc {
    /// Initial metadata, which goes out before all else.
    pub(crate) metadata: Vec<HeaderLine>,
    /// To the beginning of a call.
    pub(crate) opening: GrpcPart,
    /// To each message.
    pub(crate) each_message: GrpcPart,
    /// To the end of the call's messages.
    pub(crate) last: GrpcPart,
    /// Whether metadata and status go out in one block where there are no messages.
    pub(crate) trailers_only: bool,
}

/// Messages, and the end of the call.
#[derive(Clone, Debug, Default)]
pub(crate) struct GrpcPart {
    /// How long the server thinks before; that of the last part stands with the answer.
    pub(crate) after: Duration,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) status: Option<GrpcStatus>,
}

/// How a call ends.
#[derive(Clone, Debug)]
pub(crate) struct GrpcStatus {
    pub(crate) code: u32,
    pub(crate) message: String,
    pub(crate) trailers: Vec<HeaderLine>,
}

/// What a cluster of one name is on an Envoy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ClusterKind {
    Http1,
    Http2,
    Grpc,
}

impl Cluster {
    /// A cluster that answers requests over HTTP/1.1.
    pub(crate) fn http1(answer: Reply) -> Self {
        Self {
            protocol: Protocol::Http1,
            answer,
            grpc: None,
        }
    }

    pub(crate) fn kind(&self) -> ClusterKind {
        match (&self.grpc, self.protocol) {
            (Some(_), _) => ClusterKind::Grpc,
            (None, Protocol::Http2) => ClusterKind::Http2,
            (None, Protocol::Http1) => ClusterKind::Http1,
        }
    }
}

impl Cluster {
    /// Whether somebody is there to receive anything.
    pub(crate) fn listens(&self) -> bool {
        self.answer.fault != Some(Fault::Refused)
    }
}

impl Grpc {
    /// Whether everything is answered to the end of the call's messages.
    pub(crate) fn answers_whole(&self) -> bool {
        self.opening.is_empty() && self.each_message.is_empty()
    }
}

impl GrpcPart {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.status.is_none()
    }
}
