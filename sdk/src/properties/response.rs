//! The response, as it came to this filter, or as the client received it, in the access log.
//!
//! What comes from its headers and trailers is absent where they cannot be read.
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::response;
//!
//! /// Why a response is what it is.
//! fn cause() -> Result<String, Error> {
//!     Ok(format!(
//!         "code={:?} grpc={:?} flags={:#x} details={}",
//!         response::CODE.get()?,
//!         response::GRPC_STATUS.get()?,
//!         response::FLAGS.get()?.unwrap_or(0),
//!         response::CODE_DETAILS.get()?.unwrap_or_default(),
//!     ))
//! }
//!
//! /// What it cost.
//! fn cost() -> Result<String, Error> {
//!     Ok(format!(
//!         "headers={:?} body={:?} all={:?} upstream={:?}",
//!         response::HEADERS_BYTES.get()?,
//!         response::SIZE.get()?,
//!         response::TOTAL_SIZE.get()?,
//!         response::BACKEND_LATENCY.get()?,
//!     ))
//! }
//!
//! /// Whether a name is among its headers or its trailers.
//! fn has(name: &str) -> Result<bool, Error> {
//!     for map in [response::HEADERS.get()?, response::TRAILERS.get()?] {
//!         if map.is_some_and(|map| map.get(name).is_some()) {
//!             return Ok(true);
//!         }
//!     }
//!     Ok(false)
//! }
//! ```

use std::time::Duration;

use super::{Map, Property};

/// The status. Absent until there is a response.
pub const CODE: Property<i64> = Property::new("response\0code");

/// Why there is this response, such as `via_upstream` (Envoy's list of response code details). Absent
/// until there is a response.
pub const CODE_DETAILS: Property<String> = Property::new("response\0code_details");

/// What went wrong, as the bits of Envoy's response flags (`stream_info.h`); 0 when nothing did.
pub const FLAGS: Property<i64> = Property::new("response\0flags");

/// The gRPC status, from trailers or headers. Without one, Envoy makes one of the status, also where
/// nobody speaks gRPC.
pub const GRPC_STATUS: Property<i64> = Property::new("response\0grpc_status");

/// All headers, pseudo headers among them. Where they cannot be read it is an empty map.
pub const HEADERS: Property<Map> = Property::new("response\0headers");

/// All trailers. Where they cannot be read, as in the access log, it is an empty map.
pub const TRAILERS: Property<Map> = Property::new("response\0trailers");

/// The bytes of the body so far.
pub const SIZE: Property<i64> = Property::new("response\0size");

/// The bytes of headers, body and trailers so far.
pub const TOTAL_SIZE: Property<i64> = Property::new("response\0total_size");

/// The bytes of the headers' names and values.
pub const HEADERS_BYTES: Property<i64> = Property::new("response\0headers_bytes");

/// How long the upstream took, from the request's first byte to the response's last. In the access log;
/// absent before the response's end, and without an upstream.
pub const BACKEND_LATENCY: Property<Duration> = Property::new("response\0backend_latency");

/// One header, in whatever case; several of one name are joined by a comma. Absent when there is none.
///
/// ```
/// let server = attache::properties::response::header("server");
/// assert_eq!(server.to_string(), "response.headers.server");
/// ```
#[must_use]
pub fn header(name: &str) -> Property<Vec<u8>> {
    HEADERS.child(&name.to_ascii_lowercase())
}
