//! What surrounds the filters, as they read it in properties: node, listener, route, cluster.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value};

use crate::envoy_version::EnvoyVersion;

/// What `xds.*` and `upstream.*` tell a guest of Envoy's configuration, and where both ends of the
/// proxy are. The defaults are those of the configurations that `attache-envoy` writes: node and
/// node cluster `attache`, virtual host `all`, a route without a name, cluster `upstream`.
///
/// ```
/// use attache_harness::{Attributes, TrafficDirection};
/// use serde_json::json;
///
/// let attributes = Attributes::default()
///     .route_name("orders")
///     .route_metadata("auth", [("required", json!(true))])
///     .listener_direction(TrafficDirection::Inbound);
/// # let _ = attributes;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Attributes {
    pub(crate) node: Node,
    pub(crate) listener_metadata: Metadata,
    pub(crate) listener_direction: TrafficDirection,
    pub(crate) filter_chain_name: String,
    pub(crate) virtual_host_name: String,
    pub(crate) virtual_host_metadata: Metadata,
    pub(crate) route_name: String,
    pub(crate) route_metadata: Metadata,
    pub(crate) cluster_name: String,
    pub(crate) cluster_metadata: Metadata,
    pub(crate) host_metadata: Option<Metadata>,
    pub(crate) host_locality: Locality,
    pub(crate) locality_metadata: Option<Metadata>,
    pub(crate) upstream_address: SocketAddr,
    pub(crate) upstream_local_address: SocketAddr,
    pub(crate) endpoints: u64,
}

impl Default for Attributes {
    fn default() -> Self {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            node: Node {
                id: "attache".to_owned(),
                cluster: "attache".to_owned(),
                metadata: Map::new(),
                locality: Locality::default(),
                version: EnvoyVersion::default(),
            },
            listener_metadata: Metadata::default(),
            listener_direction: TrafficDirection::Unspecified,
            filter_chain_name: String::new(),
            virtual_host_name: "all".to_owned(),
            virtual_host_metadata: Metadata::default(),
            route_name: String::new(),
            route_metadata: Metadata::default(),
            cluster_name: "upstream".to_owned(),
            cluster_metadata: Metadata::default(),
            host_metadata: None,
            host_locality: Locality::default(),
            locality_metadata: None,
            upstream_address: local(8000),
            upstream_local_address: local(49_200),
            endpoints: 1,
        }
    }
}

impl Attributes {
    /// Sets `xds.node.id`.
    pub fn node_id(mut self, id: impl Into<String>) -> Self {
        self.node.id = id.into();
        self
    }

    /// Sets `xds.node.cluster`, the service cluster that this Envoy belongs to.
    pub fn node_cluster(mut self, cluster: impl Into<String>) -> Self {
        self.node.cluster = cluster.into();
        self
    }

    /// Adds fields to `xds.node.metadata`.
    pub fn node_metadata(
        mut self,
        fields: impl IntoIterator<Item = Field<impl Into<String>>>,
    ) -> Self {
        extend(&mut self.node.metadata, fields);
        self
    }

    /// Sets `xds.node.locality`.
    pub fn node_locality(mut self, locality: Locality) -> Self {
        self.node.locality = locality;
        self
    }

    /// Adds fields to a namespace of `xds.listener_metadata.filter_metadata`.
    pub fn listener_metadata(
        mut self,
        namespace: impl Into<String>,
        fields: impl IntoIterator<Item = Field<impl Into<String>>>,
    ) -> Self {
        self.listener_metadata.extend(namespace, fields);
        self
    }

    /// Sets `xds.listener_direction`.
    pub fn listener_direction(mut self, direction: TrafficDirection) -> Self {
        self.listener_direction = direction;
        self
    }

    /// Sets `xds.filter_chain_name`; empty unless set.
    pub fn filter_chain_name(mut self, name: impl Into<String>) -> Self {
        self.filter_chain_name = name.into();
        self
    }

    /// Sets `xds.virtual_host_name`.
    pub fn virtual_host_name(mut self, name: impl Into<String>) -> Self {
        self.virtual_host_name = name.into();
        self
    }

    /// Adds fields to a namespace of `xds.virtual_host_metadata.filter_metadata`.
    pub fn virtual_host_metadata(
        mut self,
        namespace: impl Into<String>,
        fields: impl IntoIterator<Item = Field<impl Into<String>>>,
    ) -> Self {
        self.virtual_host_metadata.extend(namespace, fields);
        self
    }

    /// Sets `xds.route_name`; empty unless set.
    pub fn route_name(mut self, name: impl Into<String>) -> Self {
        self.route_name = name.into();
        self
    }

    /// Adds fields to a namespace of `xds.route_metadata.filter_metadata`.
    pub fn route_metadata(
        mut self,
        namespace: impl Into<String>,
        fields: impl IntoIterator<Item = Field<impl Into<String>>>,
    ) -> Self {
        self.route_metadata.extend(namespace, fields);
        self
    }

    /// Sets `xds.cluster_name`, the cluster of the route.
    pub fn cluster_name(mut self, name: impl Into<String>) -> Self {
        self.cluster_name = name.into();
        self
    }

    /// Adds fields to a namespace of `xds.cluster_metadata.filter_metadata`.
    pub fn cluster_metadata(
        mut self,
        namespace: impl Into<String>,
        fields: impl IntoIterator<Item = Field<impl Into<String>>>,
    ) -> Self {
        self.cluster_metadata.extend(namespace, fields);
        self
    }

    /// Adds fields to a namespace of `xds.upstream_host_metadata.filter_metadata`.
    pub fn upstream_host_metadata(
        mut self,
        namespace: impl Into<String>,
        fields: impl IntoIterator<Item = Field<impl Into<String>>>,
    ) -> Self {
        let metadata = self.host_metadata.get_or_insert_default();
        metadata.extend(namespace, fields);
        self
    }

    /// Adds fields to a namespace of `xds.upstream_host_locality_metadata.filter_metadata`.
    pub fn upstream_host_locality_metadata(
        mut self,
        namespace: impl Into<String>,
        fields: impl IntoIterator<Item = Field<impl Into<String>>>,
    ) -> Self {
        let metadata = self.locality_metadata.get_or_insert_default();
        metadata.extend(namespace, fields);
        self
    }

    /// Sets `upstream.locality`.
    pub fn upstream_locality(mut self, locality: Locality) -> Self {
        self.host_locality = locality;
        self
    }

    /// Sets `upstream.address` and `upstream.port`; 127.0.0.1:8000 unless set.
    pub fn upstream_address(mut self, address: impl Into<SocketAddr>) -> Self {
        self.upstream_address = address.into();
        self
    }

    /// Sets `upstream.local_address`, Envoy's end of the connection to the upstream;
    /// 127.0.0.1:49200 unless set.
    pub fn upstream_local_address(mut self, address: impl Into<SocketAddr>) -> Self {
        self.upstream_local_address = address.into();
        self
    }
}

/// A name and its value in a namespace of metadata, or in the metadata of a node.
pub type Field<K> = (K, Value);

/// Metadata by namespace: the `filter_metadata` of an `envoy.config.core.v3.Metadata`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metadata(pub(crate) BTreeMap<String, Map<String, Value>>);

impl Metadata {
    pub(crate) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(crate) fn extend(
        &mut self,
        namespace: impl Into<String>,
        fields: impl IntoIterator<Item = Field<impl Into<String>>>,
    ) {
        extend(self.0.entry(namespace.into()).or_default(), fields);
    }
}

fn extend(
    map: &mut Map<String, Value>,
    fields: impl IntoIterator<Item = Field<impl Into<String>>>,
) {
    map.extend(fields.into_iter().map(|(name, value)| (name.into(), value)));
}

/// Who an Envoy is: the parts of `envoy.config.core.v3.Node` that a host has.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) cluster: String,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) locality: Locality,
    /// What it is a release of.
    pub(crate) version: EnvoyVersion,
}

/// Where something runs: `envoy.config.core.v3.Locality`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the three fields of Envoy's message"
)]
pub struct Locality {
    /// The region; empty if unknown.
    pub region: String,
    /// The zone; empty if unknown.
    pub zone: String,
    /// The part of the zone; empty if unknown.
    pub sub_zone: String,
}

/// Which way a listener's traffic goes, seen from the workload: `envoy.config.core.v3.TrafficDirection`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the three values of Envoy's enum")]
#[repr(i64)]
pub enum TrafficDirection {
    /// 0: the configuration does not say.
    #[default]
    Unspecified = 0,
    /// 1: to the workload.
    Inbound = 1,
    /// 2: from the workload.
    Outbound = 2,
}
