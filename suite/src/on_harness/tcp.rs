//! TCP connections on the harness.

use attache_harness::{Arrival, Connection, Host, HostError, Peer, StreamId, TcpReply};

use super::{Insight, insight};
use crate::case::{TcpEnds, TcpFault, TcpStep, TcpUpstream};
use crate::seen::{Connection as Seen, PeerEnd, Received};

/// The connections of a play.
#[derive(Default)]
pub(super) struct Connections(Vec<StreamId>);

impl Connections {
    pub(super) fn step(&mut self, host: &mut Host, step: &TcpStep) -> Result<(), HostError> {
        match step {
            TcpStep::Connect => self.0.push(host.connect()?),
            TcpStep::Send(number, bytes) => {
                if let Some(id) = self.0.get(*number) {
                    host.send_data(*id, bytes)?;
                }
            }
            TcpStep::HalfClose(number) => {
                if let Some(id) = self.0.get(*number) {
                    host.half_close(*id)?;
                }
            }
            TcpStep::Abort(number) => {
                if let Some(id) = self.0.get(*number) {
                    host.disconnect(*id)?;
                }
            }
        }
        Ok(())
    }

    /// What was seen of them.
    pub(super) fn seen(&self, host: &Host) -> Result<(Vec<Seen>, Vec<Insight>), HostError> {
        let mut seen = Vec::new();
        let mut insights = Vec::new();
        for id in &self.0 {
            let connection: Connection = host.connection(*id)?;
            seen.push(Seen {
                upstream: received(connection.upstream()),
                downstream: received(connection.downstream()),
            });
            insights.push(insight(connection.exchange(), connection.to_string()));
        }
        Ok((seen, insights))
    }
}

fn received(peer: &Peer) -> Received {
    Received {
        bytes: peer.bytes(),
        end: match peer.end() {
            attache_harness::End::Open => PeerEnd::Open,
            attache_harness::End::Fin => PeerEnd::Fin,
            attache_harness::End::Reset => PeerEnd::Reset,
        },
    }
}

/// Lets the upstream of the host do as the case says.
pub(super) fn upstream(host: &mut Host, upstream: &TcpUpstream) {
    for (name, cluster) in &upstream.clusters {
        let cluster = cluster.clone();
        host.tcp_cluster(name, move |arrival| reply(&cluster, arrival));
    }
    let upstream = upstream.clone();
    host.tcp_upstream(move |arrival| reply(&upstream, arrival));
}

fn reply(upstream: &TcpUpstream, arrival: Arrival<'_>) -> TcpReply {
    match arrival {
        Arrival::Connection if upstream.fault == Some(TcpFault::Refused) => TcpReply::refuse(),
        Arrival::Connection => said(
            upstream.greeting.as_ref(),
            upstream.ends == TcpEnds::AfterGreeting,
        ),
        Arrival::Data(_) if upstream.fault == Some(TcpFault::Reset) => TcpReply::none().reset(),
        Arrival::Data(_) => said(
            upstream.answer.as_ref(),
            upstream.ends == TcpEnds::AfterAnswer,
        ),
        // One that waits for bytes, to answer or to reset at, is gone when none come.
        Arrival::End
            if upstream.ends != TcpEnds::Never || upstream.fault == Some(TcpFault::Reset) =>
        {
            TcpReply::none().end()
        }
        _ => TcpReply::none(),
    }
}

fn said(text: Option<&Vec<u8>>, last: bool) -> TcpReply {
    match text {
        // A server that writes nothing sends no piece.
        Some(text) if text.is_empty() && last => TcpReply::none().end(),
        Some(text) if text.is_empty() => TcpReply::none(),
        Some(text) if last => TcpReply::none().send_last(text.clone()),
        Some(text) => TcpReply::none().send(text.clone()),
        None => TcpReply::none(),
    }
}
