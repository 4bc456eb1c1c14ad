//! The proxy's end of the downstream connection.
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::destination;
//!
//! /// Only one port of the proxy is for administrators.
//! fn is_for_administrators() -> Result<bool, Error> {
//!     let here = destination::ADDRESS.get()?;
//!     log::debug!("came to {}", here.as_deref().unwrap_or("nowhere"));
//!     Ok(destination::PORT.get()? == Some(9_443))
//! }
//! ```

use super::Property;

/// Address and port, `192.0.2.1:443` or `[2001:db8::1]:443`; the path of a Unix socket.
pub const ADDRESS: Property<String> = Property::new("destination\0address");

/// The port; absent on a Unix socket.
pub const PORT: Property<i64> = Property::new("destination\0port");
