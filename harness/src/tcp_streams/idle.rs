//! How long nothing may move on a TCP connection, where a filter has said so.

use std::time::Duration;

use super::{CloseType, TcpProxy};
use crate::exchange::Outcome;
use crate::filter_state::FilterState;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::stream::Stream;

/// The filter state by which a filter says how long, in milliseconds, with `set_envoy_filter_state`.
const TIMEOUT: &[u8] = b"envoy.tcp_proxy.per_connection_idle_timeout_ms";

/// What a filter has said by now. Envoy's own hour is not played.
pub(super) fn timeout(state: &FilterState) -> Option<Duration> {
    let text = str::from_utf8(state.get(TIMEOUT)?.bytes()?).ok()?;
    text.parse().ok().map(Duration::from_millis)
}

impl Stream {
    /// When nothing will have moved for too long on an open TCP connection.
    pub(crate) fn tcp_idle_at(&self) -> Option<Duration> {
        let tcp = self.tcp.as_deref()?;
        let runs = !self.finished && tcp.proxy == TcpProxy::Connected;
        let timeout = tcp.idle_timeout.filter(|_| runs)?;
        Some(self.active_at.saturating_add(timeout))
    }
}

impl Proxy {
    /// Bytes have moved: the time begins anew.
    pub(super) fn moves(&mut self, slot: usize) {
        self.world.streams[slot].active_at = self.world.clock.now();
    }

    /// Nothing has moved for too long: Envoy closes both connections.
    pub(crate) fn end_idle_connection(&mut self, slot: usize) -> Moved {
        self.moves(slot);
        if self.world.mutated(Rule::TcpIdleConnectionsStay) {
            self.tcp(slot).idle_timeout = None;
            return Ok(());
        }
        let note = "nothing has moved for too long";
        self.world.timeline(Some(slot)).note(note);
        self.close_connection(slot, CloseType::Local, Outcome::Reset)
    }
}
