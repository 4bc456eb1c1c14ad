//! The client's end of the downstream connection.
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::source;
//!
//! /// Who the client is, for a log. It decides nothing: of a request it is what Envoy makes of `x-forwarded-for`, which
//! /// a client may write, too, unless Envoy is told how many proxies to trust.
//! fn client() -> Result<String, Error> {
//!     let address = source::ADDRESS.get()?.unwrap_or_default();
//!     let kind = if source::PORT.get()?.is_none() { "socket" } else { "network" };
//!     Ok(format!("{kind} {address}"))
//! }
//! ```

use super::Property;

/// Address and port, `192.0.2.1:443` or `[2001:db8::1]:443`; the path of a Unix socket.
///
/// Of a request it is the address that Envoy trusts, by `x-forwarded-for` and its settings.
pub const ADDRESS: Property<String> = Property::new("source\0address");

/// The port; absent on a Unix socket.
pub const PORT: Property<i64> = Property::new("source\0port");
