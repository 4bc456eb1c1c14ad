//! How Envoy loses an upstream, and what it makes of it.

use crate::envoy_version::{EnvoyVersion, VersionDifference};
use crate::response_flags::ResponseFlags;

/// Why the upstream of a stream or of a call-out is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UpstreamFailure {
    /// Nobody listens.
    Refused,
    /// The connection was closed before the response began.
    Closed,
    /// The stream was reset; over HTTP/1.1 there is only the connection to close.
    Reset,
    /// The response cannot be read; with HTTP/1.1 also one that ends too early.
    Malformed,
}

impl UpstreamFailure {
    /// Envoy's `StreamResetReason` in words.
    fn reason(self) -> &'static str {
        match self {
            Self::Refused => "remote connection failure",
            Self::Closed => "connection termination",
            Self::Reset => "remote reset",
            Self::Malformed => "protocol error",
        }
    }

    pub(crate) fn flag(self) -> ResponseFlags {
        match self {
            Self::Refused => ResponseFlags::UPSTREAM_CONNECTION_FAILURE,
            Self::Closed => ResponseFlags::UPSTREAM_CONNECTION_TERMINATION,
            Self::Reset => ResponseFlags::UPSTREAM_REMOTE_RESET,
            Self::Malformed => ResponseFlags::UPSTREAM_PROTOCOL_ERROR,
        }
    }

    /// The status of the reply, where there is still one to make.
    pub(crate) fn status(self) -> u16 {
        if self == Self::Malformed { 502 } else { 503 }
    }

    /// The body of that reply.
    pub(crate) fn body(self, envoy: EnvoyVersion, retried: bool) -> String {
        let hidden = !envoy.is_before(VersionDifference::RepliesHideTheTransport);
        let transport = match self {
            Self::Refused if !hidden => {
                ", transport failure reason: delayed connect error: Connection refused"
            }
            _ => "",
        };
        let latest = if retried {
            "retried and the latest "
        } else {
            ""
        };
        format!(
            "upstream connect error or disconnect/reset before headers. {latest}reset reason: {}{transport}",
            self.reason()
        )
    }

    /// The response code details before the response has begun.
    pub(crate) fn details_before(self) -> String {
        let why = match self {
            Self::Refused => "|delayed_connect_error:_Connection_refused",
            _ => "",
        };
        let reason = self.reason().replace(' ', "_");
        format!("upstream_reset_before_response_started{{{reason}{why}}}")
    }

    /// The response code details once it has begun.
    pub(crate) fn details_after(self) -> String {
        let reason = self.reason().replace(' ', "_");
        format!("upstream_reset_after_response_started{{{reason}}}")
    }
}
