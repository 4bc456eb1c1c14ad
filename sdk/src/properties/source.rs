//! The client's end of the downstream connection.

use super::Property;

/// Address and port, `192.0.2.1:443` or `[2001:db8::1]:443`; the path of a Unix socket.
///
/// Of a request it is the address that Envoy trusts, by `x-forwarded-for` and its settings.
pub const ADDRESS: Property<String> = Property::new("source\0address");

/// The port; absent on a Unix socket.
pub const PORT: Property<i64> = Property::new("source\0port");
