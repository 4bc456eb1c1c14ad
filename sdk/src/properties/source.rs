//! The client's end of the downstream connection.
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::source;
//!
//! /// Whether the client is on this machine: on a Unix socket, or of its own address.
//! fn is_local() -> Result<bool, Error> {
//!     let on_socket = source::PORT.get()?.is_none();
//!     let address = source::ADDRESS.get()?.unwrap_or_default();
//!     Ok(on_socket || address.starts_with("127.") || address.starts_with("[::1]"))
//! }
//! ```

use super::Property;

/// Address and port, `192.0.2.1:443` or `[2001:db8::1]:443`; the path of a Unix socket.
///
/// Of a request it is the address that Envoy trusts, by `x-forwarded-for` and its settings.
pub const ADDRESS: Property<String> = Property::new("source\0address");

/// The port; absent on a Unix socket.
pub const PORT: Property<i64> = Property::new("source\0port");
