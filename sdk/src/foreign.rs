//! What Envoy does for a filter by the name of a function (`source/extensions/common/wasm/foreign.cc`).
//!
//! ```
//! # fn call(report: &[u8]) -> Result<(), attache::Error> {
//! let packed = attache::foreign::compress(report)?;
//! # Ok(())
//! # }
//! ```
//!
//! All of them need the capability `proxy_call_foreign_function`. A host that is no Envoy may have none:
//! it answers [`Status::NOT_FOUND`](crate::Status::NOT_FOUND). What [`FilterState`](crate::filter_state::FilterState)
//! declares goes this way too.

mod expression;
mod message;
mod signature;

use crate::error::Error;
use crate::host::surroundings::foreign_function;
use crate::status::HostError;

pub use self::expression::Expression;
pub(crate) use self::message::{Field, Message, read};
pub use self::signature::{Hash, Key, sign, verify};

/// Calls a function by its name: one of Envoy's that has no function here, or one of another host.
///
/// ```
/// fn is_known(name: &str) -> bool {
///     attache::foreign::call(name, b"").is_ok()
/// }
/// ```
///
/// # Errors
///
/// A [`HostError`] with whatever the function answers; an unknown one is
/// [`Status::NOT_FOUND`](crate::Status::NOT_FOUND).
pub fn call(name: &str, argument: &[u8]) -> Result<Vec<u8>, HostError> {
    foreign_function(name, argument)
}

/// Packs bytes as a zlib stream (RFC 1950), at the level that zlib calls its default.
///
/// ```
/// fn pack(body: &[u8]) -> Result<Vec<u8>, attache::Error> {
///     attache::foreign::compress(body)
/// }
/// ```
///
/// # Errors
///
/// An [`Error`] when the host refuses.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    Ok(foreign_function("compress", bytes)?)
}

/// Unpacks a zlib stream; `None` for bytes that are no whole one. What follows the stream is not
/// looked at.
///
/// Envoy has no limit: a thousand bytes may become a million, in the proxy's memory and in the
/// filter's. So this is for what the filter has packed itself, and not for what a client sends.
///
/// ```
/// /// `None` for what is no zlib stream.
/// fn unpack(body: &[u8]) -> Result<Option<Vec<u8>>, attache::Error> {
///     attache::foreign::uncompress(body)
/// }
/// ```
///
/// # Errors
///
/// An [`Error`] when the host refuses.
pub fn uncompress(stream: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    match foreign_function("uncompress", stream) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if cause.status == crate::Status::SERIALIZATION_FAILURE => Ok(None),
        Err(cause) => Err(cause.into()),
    }
}

/// Has the route chosen anew, by the request's headers as they are then.
///
/// Envoy does that by itself when a filter changes a request's headers. This is for a route that depends
/// on something else, such as filter state; it works while the request's headers have not gone on.
///
/// ```
/// fn route_again() -> Result<(), attache::Error> {
///     attache::foreign::clear_route_cache()
/// }
/// ```
///
/// # Errors
///
/// An [`Error`] when the host refuses.
pub fn clear_route_cache() -> Result<(), Error> {
    foreign_function("clear_route_cache", b"")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::double::{self, Answer};

    #[test]
    fn what_is_no_stream_is_told_apart_from_a_refusal() {
        double::answer([Answer::status(3)]);
        assert!(matches!(uncompress(b"x"), Ok(None)));
        double::answer([Answer::status(10)]);
        assert!(uncompress(b"x").is_err());
        double::answer([Answer::ok()]);
        assert_eq!(uncompress(b"x").unwrap().unwrap(), b"");
    }

    #[test]
    fn whatever_the_host_answers_is_a_result_or_an_error() {
        for answer in double::hostile() {
            let status = answer.status;
            double::answer([answer]);
            assert_eq!(compress(b"x").is_ok(), status == 0);
            assert_eq!(uncompress(b"x").is_ok(), matches!(status, 0 | 3));
            assert_eq!(clear_route_cache().is_ok(), status == 0);
            assert_eq!(call("f", b"x").is_ok(), status == 0);
        }
    }
}
