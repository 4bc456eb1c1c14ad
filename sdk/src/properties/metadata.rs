//! Metadata: what filters tell each other of a stream, and what operators say of the parts of their
//! configuration.
//!
//! All of it is read by a namespace and a key. A value is whatever JSON has: text, a number (`f64`), a
//! truth (`bool`), a [`Map`] or a [`List`](super::List); `null` is an error of the host's
//! ([`Status::SERIALIZATION_FAILURE`](crate::Status::SERIALIZATION_FAILURE)).
//!
//! ```
//! use attache::properties::metadata;
//!
//! # fn call() -> Result<(), attache::Error> {
//! let subject = metadata::dynamic::<String>("envoy.filters.http.jwt_authn", "subject").get()?;
//! let tier = metadata::route::<String>("acme", "tier").get()?;
//! # Ok(())
//! # }
//! ```
//!
//! Envoy gives a Wasm filter no way to write dynamic metadata: no host call and no foreign function does.
//! What later filters and the access log are to see is kept as
//! [`FilterState`](crate::filter_state::FilterState).
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::metadata;
//!
//! /// Which filters have left something, and whether there is anything at all.
//! fn namespaces() -> Result<Vec<String>, Error> {
//!     if metadata::ALL.get()?.is_none_or(|all| all.is_empty()) {
//!         return Ok(Vec::new());
//!     }
//!     let namespaces = metadata::NAMESPACES.get()?.unwrap_or_default();
//!     let names = namespaces.iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned());
//!     Ok(names.collect())
//! }
//! ```

use super::{Map, Property};

/// All dynamic metadata of the stream, a serialized `envoy.config.core.v3.Metadata`.
pub const ALL: Property<Vec<u8>> = Property::new("metadata");

/// The dynamic metadata of the stream by namespace; each of these is a [`Map`].
pub const NAMESPACES: Property<Map> = Property::new("metadata\0filter_metadata");

/// What a filter has left for those after it: dynamic metadata of the stream.
///
/// ```
/// let team = attache::properties::metadata::dynamic::<String>("acme", "team");
/// assert!(team.to_string().ends_with(".filter_metadata.acme.team"));
/// ```
#[must_use]
pub fn dynamic<T>(namespace: &str, key: &str) -> Property<T> {
    Property::at(&["metadata", "filter_metadata", namespace, key])
}

/// What the operator says of the route. Absent without a route, and on TCP.
///
/// ```
/// let team = attache::properties::metadata::route::<String>("acme", "team");
/// assert!(team.to_string().ends_with(".filter_metadata.acme.team"));
/// ```
#[must_use]
pub fn route<T>(namespace: &str, key: &str) -> Property<T> {
    of("route_metadata", namespace, key)
}

/// What the operator says of the virtual host. Absent without a route, and on TCP.
///
/// ```
/// let team = attache::properties::metadata::virtual_host::<String>("acme", "team");
/// assert!(team.to_string().ends_with(".filter_metadata.acme.team"));
/// ```
#[must_use]
pub fn virtual_host<T>(namespace: &str, key: &str) -> Property<T> {
    of("virtual_host_metadata", namespace, key)
}

/// What the operator says of the route's cluster. Absent without a route.
///
/// ```
/// let team = attache::properties::metadata::cluster::<String>("acme", "team");
/// assert!(team.to_string().ends_with(".filter_metadata.acme.team"));
/// ```
#[must_use]
pub fn cluster<T>(namespace: &str, key: &str) -> Property<T> {
    of("cluster_metadata", namespace, key)
}

/// What the operator, or discovery, says of the host. Absent until one is chosen.
///
/// ```
/// let team = attache::properties::metadata::upstream_host::<String>("acme", "team");
/// assert!(team.to_string().ends_with(".filter_metadata.acme.team"));
/// ```
#[must_use]
pub fn upstream_host<T>(namespace: &str, key: &str) -> Property<T> {
    of("upstream_host_metadata", namespace, key)
}

/// What the operator says of the listener.
///
/// ```
/// let team = attache::properties::metadata::listener::<String>("acme", "team");
/// assert!(team.to_string().ends_with(".filter_metadata.acme.team"));
/// ```
#[must_use]
pub fn listener<T>(namespace: &str, key: &str) -> Property<T> {
    of("listener_metadata", namespace, key)
}

fn of<T>(part: &str, namespace: &str, key: &str) -> Property<T> {
    Property::at(&["xds", part, "filter_metadata", namespace, key])
}
