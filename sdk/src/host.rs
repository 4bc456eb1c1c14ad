//! Every call to the host, and the only `unsafe` code of the crate.
//!
//! The crate below declares the same imports with an enum as the answer and panics on numbers it
//! does not expect; here a status is a number. What each call answers: proxy-wasm ABI 0.2.1 and,
//! for Envoy, `proxy-wasm-cpp-host`, `src/exports.cc`.

use crate::status::{HostError, Status};

pub(crate) mod calls;
pub(crate) mod metrics;
pub(crate) mod shared;
pub(crate) mod surroundings;
pub(crate) mod timers;

#[cfg(not(target_arch = "wasm32"))]
mod absent;
#[cfg(any(
    test,
    all(
        feature = "allocator",
        target_arch = "wasm32",
        not(target_feature = "atomics")
    )
))]
mod allocator;
#[cfg(test)]
pub(crate) use self::allocator::allocations;
#[cfg(test)]
pub(crate) mod double;
#[cfg(target_arch = "wasm32")]
mod imports;

#[cfg(not(target_arch = "wasm32"))]
use absent as raw;
#[cfg(target_arch = "wasm32")]
use imports as raw;

/// Which header map of the effective stream, with the ABI's numbers (`proxy_map_type_t`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Map {
    RequestHeaders = 0,
    RequestTrailers = 1,
    ResponseHeaders = 2,
    ResponseTrailers = 3,
    GrpcInitialMetadata = 4,
    GrpcTrailingMetadata = 5,
    CallHeaders = 6,
    CallTrailers = 7,
}

/// Which direction of the effective stream (`proxy_stream_type_t`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Direction {
    Request = 0,
    Response = 1,
}

impl Direction {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Request => Self::Response,
            Self::Response => Self::Request,
        }
    }
}

/// Which peer of the effective connection; the same enum of the ABI. Their buffers have the same
/// numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Peer {
    Downstream = 2,
    Upstream = 3,
}

/// The ABI's log levels (`proxy_log_level_t`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LogLevel {
    Trace = 0,
    Debug = 1,
    Info = 2,
    Warn = 3,
    Error = 4,
    Critical = 5,
}

fn check(call: &'static str, raw: u32) -> Result<(), HostError> {
    match Status::new(raw) {
        Status::OK => Ok(()),
        status => Err(HostError { call, status }),
    }
}

/// What was asked for; `None` when it is not there.
fn found<T>(call: &'static str, raw: u32, what: T) -> Result<Option<T>, HostError> {
    if Status::new(raw) == Status::NOT_FOUND {
        return Ok(None);
    }
    check(call, raw)?;
    Ok(Some(what))
}

/// Writes a line to the host's log. There is nobody to tell when even that fails.
pub(crate) fn log(level: LogLevel, line: &str) {
    let _ = raw::log(level as u32, line.as_bytes());
}

/// The host's log level by the numbering of spdlog: 0 trace to 5 critical, 6 off.
pub(crate) fn log_level() -> Result<u32, HostError> {
    let mut level = 0;
    check("proxy_get_log_level", raw::log_level(&mut level))?;
    Ok(level)
}

/// The plugin's configuration; readable while it is being configured only.
pub(crate) fn plugin_configuration(size: usize) -> Result<Vec<u8>, HostError> {
    const PLUGIN_CONFIGURATION: u32 = 7;
    let (status, bytes) = raw::buffer(PLUGIN_CONFIGURATION, 0, size);
    check("proxy_get_buffer_bytes", status)?;
    Ok(bytes)
}

/// Bytes of the body that the effective stream has in view in `direction`.
pub(crate) fn body(direction: Direction, start: usize, size: usize) -> Result<Vec<u8>, HostError> {
    // The bodies' numbers are those of the directions.
    let (status, bytes) = raw::buffer(direction as u32, start, size);
    check("proxy_get_buffer_bytes", status)?;
    Ok(bytes)
}

/// Replaces all of that body.
pub(crate) fn set_body(direction: Direction, body: &[u8]) -> Result<(), HostError> {
    check(
        "proxy_set_buffer_bytes",
        raw::set_buffer(direction as u32, 0, usize::MAX, body),
    )
}

/// The first `size` bytes of those that have come from `peer` and are in view.
pub(crate) fn data(peer: Peer, size: usize) -> Result<Vec<u8>, HostError> {
    let (status, bytes) = raw::buffer(peer as u32, 0, size);
    check("proxy_get_buffer_bytes", status)?;
    Ok(bytes)
}

/// Puts `bytes` in the place of the first `size` of them.
pub(crate) fn set_data(peer: Peer, size: usize, bytes: &[u8]) -> Result<(), HostError> {
    check(
        "proxy_set_buffer_bytes",
        raw::set_buffer(peer as u32, 0, size, bytes),
    )
}

/// A property by its path; `None` when it is not there.
pub(crate) fn property(path: &[&str]) -> Result<Option<Vec<u8>>, HostError> {
    let mut joined = Vec::new();
    for (index, part) in path.iter().enumerate() {
        if index > 0 {
            joined.push(0);
        }
        joined.extend_from_slice(part.as_bytes());
    }
    property_at(&joined)
}

/// A property by its path, whose parts are parted by NUL; `None` when it is not there.
pub(crate) fn property_at(path: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
    let (status, bytes) = raw::property(path);
    found("proxy_get_property", status, bytes)
}

/// Keeps bytes for the effective stream, under a name that is taken letter for letter.
pub(crate) fn set_property(name: &[u8], value: &[u8]) -> Result<(), HostError> {
    check("proxy_set_property", raw::set_property(name, value))
}

/// All pairs of a header map, serialized as [`crate::pairs`] reads it.
pub(crate) fn header_pairs(map: Map) -> Result<Vec<u8>, HostError> {
    let (status, bytes) = raw::header_pairs(map as u32);
    check("proxy_get_header_map_pairs", status)?;
    Ok(bytes)
}

/// Appends a value. For a pseudo header Envoy joins it to the old one by a comma.
pub(crate) fn add_header(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    check(
        "proxy_add_header_map_value",
        raw::add_header(map as u32, name, value),
    )
}

/// Sets the only value.
pub(crate) fn replace_header(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    check(
        "proxy_replace_header_map_value",
        raw::replace_header(map as u32, name, value),
    )
}

/// Removes every value of a name, in one call.
pub(crate) fn remove_header(map: Map, name: &[u8]) -> Result<(), HostError> {
    check(
        "proxy_remove_header_map_value",
        raw::remove_header(map as u32, name),
    )
}

/// What [`send_local_response`] sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) details: &'a str,
    pub(crate) body: &'a [u8],
    /// Serialized by [`crate::pairs::serialize`].
    pub(crate) headers: &'a [u8],
    /// A gRPC status, or -1 to let the host derive one.
    pub(crate) grpc_status: i32,
}

/// Answers in the upstream's place; the stream goes no further.
pub(crate) fn send_local_response(reply: Reply<'_>) -> Result<(), HostError> {
    check("proxy_send_local_response", raw::send_local_response(reply))
}

/// Lets a paused direction of the effective stream go on.
pub(crate) fn continue_stream(direction: Direction) -> Result<(), HostError> {
    check(
        "proxy_continue_stream",
        raw::continue_stream(direction as u32),
    )
}

/// Resets the effective stream in one direction.
pub(crate) fn close_stream(direction: Direction) -> Result<(), HostError> {
    check("proxy_close_stream", raw::close_stream(direction as u32))
}

/// Lets a new connection, or what a client sends, go on where it was paused. There is no such call
/// for what an upstream sends.
pub(crate) fn continue_connection() -> Result<(), HostError> {
    check(
        "proxy_continue_stream",
        raw::continue_stream(Peer::Downstream as u32),
    )
}

/// Closes the effective connection towards both peers, once what has gone on is delivered.
pub(crate) fn close_connection() -> Result<(), HostError> {
    check(
        "proxy_close_stream",
        raw::close_stream(Peer::Downstream as u32),
    )
}

/// Acts on another context until the end of the callback, or until the next such call; 0 is the
/// callback's own context.
pub(crate) fn set_effective_context(id: u32) -> Result<(), HostError> {
    check(
        "proxy_set_effective_context",
        raw::set_effective_context(id),
    )
}
