use std::fmt;
use std::rc::Rc;

use http::StatusCode;

use crate::error::Error;
use crate::status::HostError;

/// A call-out that was not made, or not answered, or whose answer is of no use.
///
/// A peer that refuses or takes too long is no such error: Envoy answers 503 or 504 in its place.
/// [`CallResponse::error_for_server_failure`](super::CallResponse::error_for_server_failure) makes
/// one of that.
///
/// ```
/// use attache::cluster::Cluster;
///
/// async fn warm_up(keys: &Cluster) {
///     if let Err(error) = keys.get("/keys").send().await {
///         // cluster `keys`: the host refused the call
///         attache::log::warn!("{error}");
///     }
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallError {
    pub(crate) cluster: Rc<str>,
    pub(crate) kind: CallErrorKind,
}

/// What went wrong with a call-out.
///
/// ```
/// use attache::cluster::{CallError, CallErrorKind};
///
/// /// Whether the peer said that there is no such thing.
/// fn is_unknown(error: &CallError) -> bool {
///     matches!(error.kind(), CallErrorKind::GrpcStatus { code: 5, .. })
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// It cannot be sent as it is.
    Unsendable {
        /// Why not.
        what: &'static str,
    },
    /// The host refused to make it. [`Status::BAD_ARGUMENT`](crate::Status::BAD_ARGUMENT) says, in
    /// Envoy, that there is no such cluster.
    Refused(HostError),
    /// The stream was reset and nothing answered, as when the answer is larger than what the proxy
    /// buffers.
    Unanswered {
        /// What the host says of it.
        reason: String,
    },
    /// The answer is larger than [`Call::limit`](super::Call::limit) allows.
    TooLarge {
        /// Bytes of body.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The host handed over an answer that is none.
    Garbled {
        /// The host call that did.
        call: &'static str,
    },
    /// The peer, or Envoy in its place, answered with a status from 500 on.
    ServerFailure(StatusCode),
    /// A gRPC call, or a stream, ended with a status other than 0, the peer's or Envoy's own.
    GrpcStatus {
        /// The status, such as 5 for `NOT_FOUND` or 14 for `UNAVAILABLE`.
        code: u32,
        /// What was said of it. Envoy adds its details in braces.
        message: String,
    },
    /// The body is not the JSON that was asked for.
    NotJson {
        /// The line, from 1.
        line: usize,
        /// The byte in the line, from 1.
        column: usize,
    },
    /// The answer is not the Protobuf message that was asked for.
    NotProtobuf,
    /// The stream has ended that the call was made for, so the answer never arrives.
    StreamEnded,
    /// The time of a [`Retry`](crate::Retry) was up before any attempt ended.
    OutOfTime,
}

impl CallError {
    pub(crate) fn new(cluster: &Rc<str>, kind: CallErrorKind) -> Self {
        Self {
            cluster: Rc::clone(cluster),
            kind,
        }
    }

    /// The cluster that was called; empty for [`CallErrorKind::OutOfTime`], which knows none.
    ///
    /// ```
    /// use attache::cluster::CallError;
    /// use attache::metrics::{Counter, Series};
    ///
    /// fn count(failures: &Series<Counter, 1>, error: &CallError) {
    ///     failures.with([error.cluster()]).increment();
    /// }
    /// ```
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// What went wrong.
    ///
    /// ```
    /// use attache::Status;
    /// use attache::cluster::{CallError, CallErrorKind};
    ///
    /// /// Whether it is the configuration that has to be mended.
    /// fn is_misconfigured(error: &CallError) -> bool {
    ///     match error.kind() {
    ///         CallErrorKind::Refused(refusal) => refusal.status == Status::BAD_ARGUMENT,
    ///         CallErrorKind::TooLarge { .. } => true,
    ///         _ => false,
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn kind(&self) -> &CallErrorKind {
        &self.kind
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.cluster.is_empty() {
            write!(formatter, "cluster `{}`: ", self.cluster)?;
        }
        match &self.kind {
            CallErrorKind::Unsendable { what } => formatter.write_str(what),
            CallErrorKind::Refused(_) => formatter.write_str("the host refused the call"),
            CallErrorKind::Unanswered { reason } => write!(formatter, "no answer: {reason:?}"),
            CallErrorKind::TooLarge { size, limit } => {
                write!(
                    formatter,
                    "the answer has {size} bytes, and {limit} are allowed"
                )
            }
            CallErrorKind::Garbled { call } => {
                write!(formatter, "`{call}` handed over what is no answer")
            }
            CallErrorKind::ServerFailure(status) => {
                write!(formatter, "answered {}", status.as_u16())
            }
            CallErrorKind::GrpcStatus { code, message } => {
                write!(formatter, "gRPC status {code}: {message:?}")
            }
            CallErrorKind::NotJson { line, column } => {
                write!(
                    formatter,
                    "the body is not what is expected, at line {line} column {column}"
                )
            }
            CallErrorKind::NotProtobuf => {
                formatter.write_str("the answer is not the message that was asked for")
            }
            CallErrorKind::StreamEnded => {
                formatter.write_str("the stream has ended that made the call")
            }
            CallErrorKind::OutOfTime => {
                formatter.write_str("no attempt ended before the time was up")
            }
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            CallErrorKind::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::call_out(error)
    }
}
