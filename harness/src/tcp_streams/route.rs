//! Which cluster Envoy's TCP proxy connects to: that of the listener, or the one that a filter has named.

use super::{CloseType, TcpProxy, TcpStream};
use crate::clusters::UPSTREAM;
use crate::connection::{Arrival, TcpReply};
use crate::error::HostError;
use crate::exchange::Outcome;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::response_flags::ResponseFlags;

/// The filter state by which a filter names a cluster, with `set_envoy_filter_state`: Envoy's
/// `PerConnectionCluster`.
const NAMED: &[u8] = b"envoy.tcp_proxy.cluster";

impl TcpStream {
    /// The cluster that a filter has named, once the TCP proxy has looked.
    pub(crate) fn named_cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }
}

impl Proxy {
    /// The connection has come to the TCP proxy, which looks once where it goes. Where no cluster is called as a
    /// filter says, it closes the connection at once.
    pub(super) fn choose_cluster(&mut self, slot: usize) -> Moved {
        if let Some(name) = self.named_cluster(slot) {
            if !self.tcp_clusters.contains_key(&name) {
                return self.no_cluster(slot, &name);
            }
            self.tcp(slot).cluster = Some(name);
        }
        self.tcp(slot).proxy = TcpProxy::Connecting;
        self.schedule(slot, TcpReply::default().connect());
        Ok(())
    }

    /// The cluster that a filter has named, unless it is the listener's.
    fn named_cluster(&self, slot: usize) -> Option<String> {
        let state = &self.world.streams[slot].exchange.filter_state;
        let name = state.get(NAMED)?.bytes()?;
        let own = self.world.clusters.find(name) == Some(UPSTREAM);
        let heard = !own && !self.world.mutated(Rule::TcpClustersAreNotChosen);
        heard.then(|| String::from_utf8_lossy(name).into_owned())
    }

    fn no_cluster(&mut self, slot: usize, name: &str) -> Moved {
        if self.world.clusters.find(name.as_bytes()).is_some() {
            return Err(HostError::NotAnswered {
                what: format!("a TCP connection to `{name}`, a cluster that speaks HTTP"),
                timeline: self.timeline(Some(slot)),
            });
        }
        let note = format!("no cluster is called `{name}`, which a filter has named");
        self.world.timeline(Some(slot)).note(note);
        self.flag(slot, ResponseFlags::NO_CLUSTER_FOUND);
        self.close_connection(slot, CloseType::Local, Outcome::Reset)
    }

    /// What the upstream of a connection does about what arrives there.
    pub(super) fn tell_upstream(&mut self, slot: usize, arrival: Arrival<'_>) -> TcpReply {
        let cluster = self.tcp(slot).cluster.clone();
        let named = cluster.and_then(|name| self.tcp_clusters.get_mut(&name));
        named.unwrap_or(&mut self.tcp_upstream)(arrival)
    }
}
