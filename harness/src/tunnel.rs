//! Connections that become something else: `upgrade` over HTTP/1.1. Behind the upgrade come bytes in both
//! directions, which filters see as bodies without an end.

use std::collections::VecDeque;

use crate::abi::Direction;
use crate::arrival::Piece;
use crate::codec::Codec;
use crate::error::HostError;
use crate::exchange::StreamId;
use crate::filter_chain::Data;
use crate::headers::Headers;
use crate::host::{Host, HostBuilder};
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::response::Response;
use crate::upstream_failure::UpstreamFailure;

/// What a request that went to the upstream with an `upgrade` has become.
#[derive(Debug, Default)]
pub(crate) struct Tunnel {
    /// Whether it asks for a WebSocket: of that Envoy looks at the answer.
    websocket: bool,
    /// Whether the upstream has agreed.
    open: bool,
    /// What the upstream is not sent before it has answered.
    early: Vec<u8>,
    /// What the upstream sends for each piece that arrives.
    answer: Option<Vec<u8>>,
    /// Whether it goes away behind the first such answer.
    closes: bool,
}

impl Tunnel {
    /// What the upstream sends when so many bytes have arrived.
    fn answers(&self, length: usize) -> impl Iterator<Item = Piece> {
        let answer = self.answer.clone().filter(|_| self.open && length > 0);
        let cut = self.closes && answer.is_some();
        let cut = cut.then_some(Piece::Cut(UpstreamFailure::Closed));
        answer.map(Piece::Chunk).into_iter().chain(cut)
    }
}

/// Whether a message asks for an upgrade, or agrees to one (`Utility::isUpgrade`).
pub(crate) fn is_upgrade(headers: &Headers) -> bool {
    let Some(named) = headers.get("connection") else {
        return false;
    };
    let mut names = named.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    names.any(|name| name.eq_ignore_ascii_case(b"upgrade"))
        && headers.get("upgrade").is_some_and(|to| !to.is_empty())
}

/// Takes an upgrade to HTTP/2 for none, as Envoy's codec does.
pub(crate) fn ignore_http2(headers: &mut Headers) {
    let to = headers.get("upgrade").unwrap_or_default();
    if !to.eq_ignore_ascii_case(b"h2c") || !is_upgrade(headers) {
        return;
    }
    headers.remove(b"upgrade");
    headers.remove(b"http2-settings");
    let of_http2 = |name: &&[u8]| {
        let names = [&b"upgrade"[..], b"http2-settings"];
        names.iter().any(|of| name.eq_ignore_ascii_case(of))
    };
    let named = headers.get("connection").unwrap_or_default();
    let names = named.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let left: Vec<&[u8]> = names.filter(|name| !of_http2(name)).collect();
    match left.join(&b","[..]) {
        left if left.is_empty() => headers.remove(b"connection"),
        left => headers.set(b"connection", &left),
    }
}

impl HostBuilder {
    /// Lets requests over HTTP/1.1 ask for an upgrade, such as `websocket`, as `upgrade_configs` of the
    /// connection manager. Those that ask for another one are answered 403.
    pub fn upgrade(mut self, protocol: impl Into<String>) -> Self {
        self.upgrades.push(protocol.into());
        self
    }
}

impl Response {
    /// Lets the upstream send this for each piece that arrives once a connection is upgraded: an answer
    /// of 101 with the headers that say so. Its chunks go out before.
    #[must_use]
    pub fn answer_each(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.each = Some(bytes.as_ref().to_vec());
        self
    }
}

impl Host {
    /// Whether the bytes are those of a client whose request asked for an upgrade; they come in one
    /// piece, behind what it has sent before.
    pub(super) fn send_behind(&mut self, slot: usize, bytes: &[u8]) -> Result<(), HostError> {
        let stream = &mut self.proxy.world.streams[slot];
        if !stream.finished && stream.request.endless {
            let piece = Piece::Chunk(bytes.to_vec());
            stream.request.unread.push_back(piece);
        }
        self.settle()
    }

    /// The stream of this id, if its client may send more than its request.
    pub(super) fn endless(&self, id: StreamId) -> Option<usize> {
        let world = &self.proxy.world;
        let slot = world.find(id)?;
        world.streams[slot].request.endless.then_some(slot)
    }
}

impl Proxy {
    /// What the client sends behind the headers of an upgrade: the codec hands on at once what came with
    /// them, be it nothing.
    pub(crate) fn behind_upgrade(pieces: &mut VecDeque<Piece>) {
        if !matches!(pieces.front(), Some(Piece::Chunk(_))) {
            pieces.push_front(Piece::Chunk(Vec::new()));
        }
    }

    /// The headers of a request go to the upstream: is it to be asked at once?
    pub(crate) fn asks_for_tunnel(&mut self, slot: usize, sent: &Headers) -> bool {
        let asks = self.upstream_codec == Codec::Http1 && is_upgrade(sent);
        self.world.streams[slot].tunnel = asks.then(|| {
            let to = sent.get("upgrade").unwrap_or_default();
            Box::new(Tunnel {
                websocket: to.eq_ignore_ascii_case(b"websocket"),
                ..Tunnel::default()
            })
        });
        asks
    }

    /// Keeps bytes that come before the upstream's answer. Whether they were kept.
    pub(crate) fn is_early(&mut self, slot: usize, bytes: &[u8]) -> bool {
        match &mut self.world.streams[slot].tunnel {
            Some(tunnel) if !tunnel.open => {
                tunnel.early.extend(bytes);
                !self.world.mutated(Rule::TunnelIsOpenAtOnce)
            }
            _ => false,
        }
    }

    /// The upstream has received bytes of a tunnel, and may answer.
    pub(crate) fn tunnelled(&mut self, slot: usize, length: usize) {
        let stream = &mut self.world.streams[slot];
        if let Some(tunnel) = &stream.tunnel {
            stream.response.unread.extend(tunnel.answers(length));
        }
    }

    /// The upstream answers who asked for a tunnel. Whether the answer ends with its headers, if that
    /// is decided here.
    pub(crate) fn answer_tunnel(
        &mut self,
        slot: usize,
        status: Option<u32>,
        headers: &mut Headers,
        response: &mut Response,
    ) -> Option<bool> {
        let stream = &mut self.world.streams[slot];
        if let Some(request) = &mut stream.exchange.upstream
            && stream.tunnel.is_some()
            && status != Some(101)
        {
            request.complete = true;
            // Its server has no more to do with the connection.
            stream.refused_tunnel = true;
        }
        let Some(tunnel) = &mut stream.tunnel else {
            // Of an answer that switches to nothing the end comes apart.
            return (status == Some(101)).then(|| {
                response.pieces.clear();
                false
            });
        };
        match status {
            Some(101) if is_upgrade(headers) => {
                tunnel.open = true;
                tunnel.answer = response.each.take();
                let cut = response
                    .pieces
                    .pop_if(|piece| matches!(piece, Piece::Cut(_)));
                tunnel.closes = cut.is_some() && tunnel.answer.is_some();
                response.pieces.extend(cut.filter(|_| !tunnel.closes));
                let early = std::mem::take(&mut tunnel.early);
                stream.response.endless = true;
                response.pieces.extend(tunnel.answers(early.len()));
                let note = "the connection is upgraded";
                stream.exchange.timeline.note(note);
                if let Some(request) = &mut stream.exchange.upstream {
                    request.message.push(early);
                }
                Some(false)
            }
            Some(101) => {
                response.pieces.clear();
                Some(false)
            }
            Some(status) if tunnel.websocket && status < 400 => {
                headers.remove(b"content-length");
                response.pieces.clear();
                stream.exchange.details = Some("websocket_handshake_unsuccessful".into());
                stream.tunnel = None;
                Some(true)
            }
            _ => {
                stream.tunnel = None;
                None
            }
        }
    }

    /// The upstream of a tunnel closes its connection: a reset behind an empty piece.
    pub(crate) fn close_tunnel(&mut self, slot: usize) -> Moved {
        let empty = Data::Fresh(Vec::new());
        self.data(slot, Direction::Response, None, empty, false)?;
        if self.world.streams[slot].finished {
            return Ok(());
        }
        self.upstream_failed(slot, UpstreamFailure::Closed)
    }
}
