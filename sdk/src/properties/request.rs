//! The request, as it came to this filter.
//!
//! What comes from its headers is absent where the headers cannot be read; see [the module above](super).
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::request;
//!
//! /// The first line of a request, for an access logger.
//! fn line() -> Result<String, Error> {
//!     let text = |bytes: Option<Vec<u8>>| bytes.unwrap_or_default().escape_ascii().to_string();
//!     Ok(format!(
//!         "{} {}://{}{} {}",
//!         text(request::METHOD.get()?),
//!         text(request::SCHEME.get()?),
//!         text(request::HOST.get()?),
//!         text(request::PATH.get()?),
//!         text(request::PROTOCOL.get()?),
//!     ))
//! }
//!
//! /// Where its client says that it comes from.
//! fn origin() -> Result<[Option<Vec<u8>>; 3], Error> {
//!     Ok([request::REFERER.get()?, request::USER_AGENT.get()?, request::ID.get()?])
//! }
//! ```
//!
//! Parts of the path, sizes and times:
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::request;
//!
//! /// Whether the path was seen, and never what stood in the query.
//! fn seen(path: &[u8]) -> Result<bool, Error> {
//!     let is_asked = request::QUERY.get()?.is_some_and(|query| !query.is_empty());
//!     let headers = request::HEADERS.get()?.unwrap_or_default();
//!     log::debug!("{} headers, is_asked={is_asked}", headers.len());
//!     Ok(request::URL_PATH.get()?.as_deref() == Some(path))
//! }
//!
//! /// What it cost, at its end.
//! fn cost() -> Result<String, Error> {
//!     Ok(format!(
//!         "begun={:?} took={:?} headers={:?} body={:?} all={:?}",
//!         request::TIME.get()?,
//!         request::DURATION.get()?,
//!         request::HEADERS_BYTES.get()?,
//!         request::SIZE.get()?,
//!         request::TOTAL_SIZE.get()?,
//!     ))
//! }
//! ```

use std::time::Duration;

use super::{Map, Property};
use crate::clock::Timestamp;

/// Path and query (`:path`).
pub const PATH: Property<Vec<u8>> = Property::new("request\0path");

/// The path without its query.
pub const URL_PATH: Property<Vec<u8>> = Property::new("request\0url_path");

/// The query without its `?`; empty when there is none.
pub const QUERY: Property<Vec<u8>> = Property::new("request\0query");

/// The host that the client asked for (`:authority`).
pub const HOST: Property<Vec<u8>> = Property::new("request\0host");

/// `http` or `https` (`:scheme`).
pub const SCHEME: Property<Vec<u8>> = Property::new("request\0scheme");

/// The method (`:method`).
pub const METHOD: Property<Vec<u8>> = Property::new("request\0method");

/// All headers, pseudo headers among them; one by [`header`]. Where the headers cannot be read it is
/// an empty map.
pub const HEADERS: Property<Map> = Property::new("request\0headers");

/// The header `referer`; absent without it.
pub const REFERER: Property<Vec<u8>> = Property::new("request\0referer");

/// The header `user-agent`; absent without it.
pub const USER_AGENT: Property<Vec<u8>> = Property::new("request\0useragent");

/// The header `x-request-id`, which Envoy makes unless told otherwise; absent without it.
pub const ID: Property<Vec<u8>> = Property::new("request\0id");

/// `HTTP/1.0`, `HTTP/1.1`, `HTTP/2` or `HTTP/3`. Absent on TCP.
pub const PROTOCOL: Property<Vec<u8>> = Property::new("request\0protocol");

/// When its first byte came.
pub const TIME: Property<Timestamp> = Property::new("request\0time");

/// How long the stream took, from the request's first byte to the response's last. In the access log
/// only; absent before.
pub const DURATION: Property<Duration> = Property::new("request\0duration");

/// The `content-length`, if there is one; otherwise the bytes of the body so far.
pub const SIZE: Property<i64> = Property::new("request\0size");

/// The bytes of headers and body so far, as filters see them and not as they were on the wire.
pub const TOTAL_SIZE: Property<i64> = Property::new("request\0total_size");

/// The bytes of the headers' names and values.
pub const HEADERS_BYTES: Property<i64> = Property::new("request\0headers_bytes");

/// One header, in whatever case; several of one name are joined by a comma. Absent when there is none.
///
/// ```
/// let agent = attache::properties::request::header("User-Agent");
/// assert_eq!(agent.to_string(), "request.headers.user-agent");
/// ```
#[must_use]
pub fn header(name: &str) -> Property<Vec<u8>> {
    HEADERS.child(&name.to_ascii_lowercase())
}
