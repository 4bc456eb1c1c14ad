//! The numbers of the proxy-wasm ABI, as Envoy 1.40 reads and writes them.
//!
//! The names are those of the [specification](https://github.com/proxy-wasm/spec), so that a search for one finds the
//! other.

use std::fmt;

/// The version of the ABI that a module asks for by the name of an export.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_enums,
    reason = "Envoy 1.40 recognises exactly these three"
)]
pub enum AbiVersion {
    /// `proxy_abi_version_0_1_0`.
    V0_1_0,
    /// `proxy_abi_version_0_2_0`.
    V0_2_0,
    /// `proxy_abi_version_0_2_1`.
    V0_2_1,
}

impl AbiVersion {
    /// The version that the export `name` marks.
    pub(crate) fn from_marker(name: &str) -> Option<Self> {
        match name {
            "proxy_abi_version_0_1_0" => Some(Self::V0_1_0),
            "proxy_abi_version_0_2_0" => Some(Self::V0_2_0),
            "proxy_abi_version_0_2_1" => Some(Self::V0_2_1),
            _ => None,
        }
    }
}

impl fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_2_1 => "0.2.1",
        })
    }
}

/// What a host call answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the ABI")]
#[repr(u32)]
pub enum Status {
    /// The call did what it says.
    Ok = 0,
    /// The key, metric or buffer does not exist.
    NotFound = 1,
    /// The map is not available in this phase, or an argument is out of range.
    BadArgument = 2,
    /// The value cannot be written as bytes.
    SerializationFailure = 3,
    /// An argument cannot be parsed.
    ParseFailure = 4,
    /// An expression cannot be evaluated.
    BadExpression = 5,
    /// A pointer leads outside of the guest's memory, or its allocator gave nothing.
    InvalidMemoryAccess = 6,
    /// The queue is empty.
    Empty = 7,
    /// The shared value was changed by somebody else.
    CasMismatch = 8,
    /// The result has another type than expected.
    ResultMismatch = 9,
    /// The host failed, or the call is not allowed.
    InternalFailure = 10,
    /// The connection broke.
    BrokenConnection = 11,
    /// The host has no such function.
    Unimplemented = 12,
}

impl Status {
    /// The number that the guest sees.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }

    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::Ok,
            1 => Self::NotFound,
            2 => Self::BadArgument,
            3 => Self::SerializationFailure,
            4 => Self::ParseFailure,
            5 => Self::BadExpression,
            6 => Self::InvalidMemoryAccess,
            7 => Self::Empty,
            8 => Self::CasMismatch,
            9 => Self::ResultMismatch,
            10 => Self::InternalFailure,
            11 => Self::BrokenConnection,
            12 => Self::Unimplemented,
            _ => return None,
        })
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {self:?}", self.code())
    }
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "fixed by the ABI")]
#[repr(u32)]
pub enum LogLevel {
    /// 0
    Trace = 0,
    /// 1
    Debug = 1,
    /// 2
    Info = 2,
    /// 3
    Warn = 3,
    /// 4
    Error = 4,
    /// 5
    Critical = 5,
}

impl LogLevel {
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::Trace,
            1 => Self::Debug,
            2 => Self::Info,
            3 => Self::Warn,
            4 => Self::Error,
            5 => Self::Critical,
            _ => return None,
        })
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        })
    }
}

/// A map of a call-out's answer. It is there in a callback about the call and cannot be changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CallMap {
    GrpcInitialMetadata,
    GrpcTrailingMetadata,
    HttpHeaders,
    HttpTrailers,
}

/// Which header map a call names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MapType {
    RequestHeaders,
    RequestTrailers,
    ResponseHeaders,
    ResponseTrailers,
    OfCall(CallMap),
}

impl MapType {
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::RequestHeaders,
            1 => Self::RequestTrailers,
            2 => Self::ResponseHeaders,
            3 => Self::ResponseTrailers,
            4 => Self::OfCall(CallMap::GrpcInitialMetadata),
            5 => Self::OfCall(CallMap::GrpcTrailingMetadata),
            6 => Self::OfCall(CallMap::HttpHeaders),
            7 => Self::OfCall(CallMap::HttpTrailers),
            _ => return None,
        })
    }

    /// Its number.
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::RequestHeaders => 0,
            Self::RequestTrailers => 1,
            Self::ResponseHeaders => 2,
            Self::ResponseTrailers => 3,
            Self::OfCall(map) => 4 + map as u32,
        }
    }

    /// What it is called in texts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RequestHeaders => "request headers",
            Self::RequestTrailers => "request trailers",
            Self::ResponseHeaders => "response headers",
            Self::ResponseTrailers => "response trailers",
            Self::OfCall(_) => "headers of a call",
        }
    }
}

/// Which buffer a call names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BufferType {
    RequestBody,
    ResponseBody,
    /// Data of a TCP connection.
    DownstreamData,
    UpstreamData,
    HttpCallBody,
    GrpcMessage,
    VmConfiguration,
    PluginConfiguration,
    CallData,
}

impl BufferType {
    pub(crate) fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            0 => Self::RequestBody,
            1 => Self::ResponseBody,
            2 => Self::DownstreamData,
            3 => Self::UpstreamData,
            4 => Self::HttpCallBody,
            5 => Self::GrpcMessage,
            6 => Self::VmConfiguration,
            7 => Self::PluginConfiguration,
            8 => Self::CallData,
            _ => return None,
        })
    }
}

/// One of the two ways through a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a stream has two ways")]
pub enum Direction {
    /// From downstream to the upstream, filters in chain order.
    Request,
    /// From the upstream to downstream, filters in reverse order.
    Response,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Response => "response",
        })
    }
}
