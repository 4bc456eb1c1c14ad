//! The upstream of TCP chains, and the clusters that filters lead connections to.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use attache_envoy::{Cluster, Codec};

use super::server::Server;
use crate::case::{Case, TcpUpstream};
use crate::seen::Received;

/// The servers of several cases, which are played one after the other.
pub(in crate::on_envoy) struct Servers {
    upstream: Server,
    clusters: BTreeMap<String, Server>,
}

impl Servers {
    pub(in crate::on_envoy) fn start(cases: &[Case]) -> io::Result<Self> {
        let mut clusters = BTreeMap::new();
        for name in cases.iter().flat_map(names) {
            if !clusters.contains_key(name) {
                clusters.insert(name.clone(), Server::start()?);
            }
        }
        Ok(Self {
            upstream: Server::start()?,
            clusters,
        })
    }

    /// Whether two cases can share an Envoy: both are of TCP or not, and a cluster that one knows the other does,
    /// too.
    pub(in crate::on_envoy) fn fit(one: &Case, other: &Case) -> bool {
        one.tcp.is_some() == other.tcp.is_some() && names(one).eq(names(other))
    }

    /// Where the upstream listens.
    pub(in crate::on_envoy) fn address(&self) -> SocketAddr {
        self.upstream.address()
    }

    /// How Envoy reaches the others.
    pub(in crate::on_envoy) fn configured(&self) -> impl Iterator<Item = (String, Cluster)> {
        let clusters = self.clusters.iter();
        clusters.map(|(name, server)| (name.clone(), Cluster::new(server.address(), Codec::Http1)))
    }

    /// Forgets what was received, and does something else from now on.
    pub(in crate::on_envoy) fn play(&self, upstream: &TcpUpstream) {
        self.upstream.play(upstream);
        for (name, server) in &self.clusters {
            server.play(upstream.clusters.get(name).unwrap_or(upstream));
        }
    }

    fn all(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.upstream).chain(self.clusters.values())
    }

    /// What was received, in the order in which connections came, and when they came.
    pub(super) fn received(&self) -> Vec<(Instant, Received)> {
        let mut received: Vec<_> = self.all().flat_map(Server::received).collect();
        received.sort_by_key(|(accepted, _)| *accepted);
        received
    }

    /// How much that is, and how many have ended.
    pub(in crate::on_envoy) fn weight(&self) -> usize {
        self.all().map(Server::weight).sum()
    }
}

/// The clusters that filters of a case may lead connections to.
fn names(case: &Case) -> impl Iterator<Item = &String> {
    case.tcp.iter().flat_map(|tcp| tcp.clusters.keys())
}
