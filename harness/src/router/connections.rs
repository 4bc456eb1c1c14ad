//! Connections to the upstream: whether there is one when a request is to be sent.

use std::time::Duration;

use crate::codec::Codec;
use crate::mutation::Rule;
use crate::proxy::Proxy;

/// The connection on which a stream's request goes to the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum UpstreamConnection {
    #[default]
    None,
    /// It is made from this time on.
    Connecting(Duration),
    /// It was there.
    Connected,
    /// The stream does not need it any more.
    Returned,
}

impl UpstreamConnection {
    /// Whether it is made. That takes a turn.
    pub(crate) fn is_there(self, now: Duration) -> bool {
        match self {
            Self::Connected => true,
            Self::Connecting(begun) => begun < now,
            Self::None | Self::Returned => false,
        }
    }
}

/// Connections that another request can use: how many, and when one was begun for nobody.
#[derive(Debug, Default)]
pub(crate) struct IdleConnections(usize, Duration);

impl Proxy {
    /// Finds a connection for a request, or makes one.
    pub(super) fn connect_upstream(&mut self, slot: usize) {
        for slot in 0..self.world.streams.len() {
            self.return_connection(slot);
        }
        let now = self.world.clock.now();
        if self.world.idle_connections.1 == now {
            let id = self.world.streams[slot].exchange.id;
            self.world.is_undecided(id);
        }
        let idle = &mut self.world.idle_connections.0;
        let connection = if *idle == 0 {
            UpstreamConnection::Connecting(now)
        } else {
            // One carries many streams over HTTP/2.
            if self.upstream_codec == Codec::Http1 {
                *idle -= 1;
            }
            UpstreamConnection::Connected
        };
        let stream = &mut self.world.streams[slot];
        stream.upstream_connection = connection;
        stream.host_is_chosen = true;
    }

    /// Leaves the connection of a stream that has its whole answer to others.
    fn return_connection(&mut self, slot: usize) {
        let stream = &mut self.world.streams[slot];
        let answered = stream.latency.is_some() && !stream.response.reading;
        let used = !matches!(
            stream.upstream_connection,
            UpstreamConnection::None | UpstreamConnection::Returned
        );
        if used && answered && stream.asked_at.is_some() {
            stream.upstream_connection = UpstreamConnection::Returned;
            self.world.idle_connections.0 += 1;
        }
    }

    /// The stream is over, or a local reply is made. Its request was not sent if that comes in the turn in
    /// which the connection is begun; the connection is there a little later, for whoever comes then.
    pub(crate) fn leave_upstream(&mut self, slot: usize) {
        self.return_connection(slot);
        let now = self.world.clock.now();
        let stream = &mut self.world.streams[slot];
        let left = [UpstreamConnection::None, UpstreamConnection::Returned];
        if left.contains(&stream.upstream_connection) {
            return;
        }
        let connecting = stream.upstream_connection == UpstreamConnection::Connecting(now);
        let is_unwritten = stream.unacceptable.take().is_some();
        let is_unanswered = stream.exchange.upstream.is_some();
        if connecting
            && (is_unanswered || is_unwritten)
            && !self.world.mutated(Rule::UpstreamIsConnectedAtOnce)
        {
            let stream = &mut self.world.streams[slot];
            stream.exchange.upstream = None;
            let note = "there is no connection to the upstream yet: it receives nothing";
            stream.exchange.timeline.note(note);
            self.world.idle_connections.0 += 1;
            self.world.idle_connections.1 = now;
        } else if self.upstream_codec == Codec::Http2 {
            self.world.idle_connections.0 += 1;
        }
        let stream = &mut self.world.streams[slot];
        stream.upstream_connection = UpstreamConnection::Returned;
        let asked = stream.asked_at.is_some();
        if let Some(request) = &mut stream.exchange.upstream {
            // Its end is the connection's.
            request.complete |= stream.tunnel.is_some();
            request.cut = !asked && !request.complete;
        }
    }
}
