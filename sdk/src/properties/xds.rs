//! Envoy's configuration around the stream.
//!
//! Metadata are serialized messages `envoy.config.core.v3.Metadata`; [`metadata`](super::metadata) reads what is in
//! them.
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::xds;
//!
//! /// Which part of the configuration a request was handled by.
//! fn part() -> Result<String, Error> {
//!     Ok(format!(
//!         "chain={:?} host={:?} route={:?} cluster={:?}",
//!         xds::FILTER_CHAIN_NAME.get()?,
//!         xds::VIRTUAL_HOST_NAME.get()?,
//!         xds::ROUTE_NAME.get()?,
//!         xds::CLUSTER_NAME.get()?,
//!     ))
//! }
//!
//! /// Traffic that leaves the proxy's machine is not this filter's business.
//! fn is_inbound() -> Result<bool, Error> {
//!     Ok(xds::LISTENER_DIRECTION.get()? == Some(1))
//! }
//! ```
//!
//! The proxy itself, and metadata:
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::{FromProperty, xds};
//!
//! /// Where this Envoy is; also when a plugin is configured.
//! fn place() -> Result<String, Error> {
//!     let region = xds::NODE.child::<String>("locality").child::<String>("region").get()?;
//!     let labels = xds::NODE_METADATA.get()?.unwrap_or_default();
//!     let team = labels.get("team").map(<[u8]>::to_vec).map(String::from_property);
//!     Ok(format!(
//!         "{:?} of {:?} in {region:?}, team {team:?}",
//!         xds::NODE_ID.get()?,
//!         xds::NODE_CLUSTER.get()?,
//!     ))
//! }
//!
//! /// Serialized messages, for a filter that has a crate for Protobuf.
//! fn messages() -> Result<Vec<Vec<u8>>, Error> {
//!     let mut messages = Vec::new();
//!     for metadata in [
//!         xds::LISTENER_METADATA,
//!         xds::VIRTUAL_HOST_METADATA,
//!         xds::ROUTE_METADATA,
//!         xds::CLUSTER_METADATA,
//!         xds::UPSTREAM_HOST_METADATA,
//!         xds::UPSTREAM_HOST_LOCALITY_METADATA,
//!     ] {
//!         messages.extend(metadata.get()?);
//!     }
//!     Ok(messages)
//! }
//! ```

use super::{Map, Property};

/// This Envoy, a serialized `envoy.config.core.v3.Node` of some 60 kB: read what is below it, by
/// [`child`](Property::child). Also there when a plugin is configured.
pub const NODE: Property<Vec<u8>> = Property::new("xds\0node");

/// The id of this Envoy (`--service-node`). Also there when a plugin is configured.
pub const NODE_ID: Property<String> = Property::new("xds\0node\0id");

/// The cluster that this Envoy is one of (`--service-cluster`). Also there when a plugin is configured.
pub const NODE_CLUSTER: Property<String> = Property::new("xds\0node\0cluster");

/// What this Envoy's configuration says of it. Also there when a plugin is configured.
pub const NODE_METADATA: Property<Map> = Property::new("xds\0node\0metadata");

/// The cluster of the route. Absent without a route.
pub const CLUSTER_NAME: Property<String> = Property::new("xds\0cluster_name");

/// The cluster's metadata. Absent without a route.
pub const CLUSTER_METADATA: Property<Vec<u8>> = Property::new("xds\0cluster_metadata");

/// The route's name, which may be empty. Absent without a route, and on TCP.
///
/// After a change of headers that chooses another route, it is still the old one in the same callback.
pub const ROUTE_NAME: Property<String> = Property::new("xds\0route_name");

/// The route's metadata. Absent without a route, and on TCP.
pub const ROUTE_METADATA: Property<Vec<u8>> = Property::new("xds\0route_metadata");

/// The virtual host's name. Absent without a route, and on TCP.
pub const VIRTUAL_HOST_NAME: Property<String> = Property::new("xds\0virtual_host_name");

/// The virtual host's metadata. Absent without a route, and on TCP.
pub const VIRTUAL_HOST_METADATA: Property<Vec<u8>> = Property::new("xds\0virtual_host_metadata");

/// The metadata of the host. Absent until one is chosen; a host without metadata is an error
/// ([`Status::SERIALIZATION_FAILURE`](crate::Status::SERIALIZATION_FAILURE)).
pub const UPSTREAM_HOST_METADATA: Property<Vec<u8>> = Property::new("xds\0upstream_host_metadata");

/// The metadata of the host's locality. As that of the host.
pub const UPSTREAM_HOST_LOCALITY_METADATA: Property<Vec<u8>> =
    Property::new("xds\0upstream_host_locality_metadata");

/// The name of the listener's filter chain, which may be empty.
pub const FILTER_CHAIN_NAME: Property<String> = Property::new("xds\0filter_chain_name");

/// The listener's metadata.
pub const LISTENER_METADATA: Property<Vec<u8>> = Property::new("xds\0listener_metadata");

/// Which way the listener's traffic goes: 0 unspecified, 1 inbound, 2 outbound.
pub const LISTENER_DIRECTION: Property<i64> = Property::new("xds\0listener_direction");
