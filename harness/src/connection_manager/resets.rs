//! Requests that do not come to their end: the client goes away, or sends what is none.

use crate::abi::Direction;
use crate::codec::{Codec, http2};
use crate::headers::Headers;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::response_flags::ResponseFlags;

impl Proxy {
    /// The client goes away: its stream is reset.
    pub(crate) fn disconnect(&mut self, slot: usize) -> Moved {
        let stream = &mut self.world.streams[slot];
        stream.abandoned = true;
        stream.exchange.timeline.note("the client disconnects");
        if !self.world.mutated(Rule::DisconnectHasNoFlag) {
            let exchange = &mut self.world.streams[slot].exchange;
            exchange
                .flags
                .set(ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION);
        }
        if !self.world.mutated(Rule::DisconnectHasNoDetails) {
            let exchange = &mut self.world.streams[slot].exchange;
            exchange.details = Some("downstream_remote_disconnect".into());
        }
        self.reset(slot)
    }

    /// Why the codec of HTTP/2 takes no such trailers of a request.
    pub(super) fn refused_trailers(
        &self,
        slot: usize,
        direction: Direction,
        trailers: &Headers,
    ) -> Option<&'static str> {
        let stream = &self.world.streams[slot];
        if stream.codec != Codec::Http2 || direction != Direction::Request {
            return None;
        }
        let details = http2::trailers(trailers, stream.request_bytes).err()?;
        (!self.world.mutated(Rule::TrailersAreNotLookedAt)).then_some(details)
    }

    /// What the client has sent is no request any more: its stream is reset.
    pub(super) fn break_off(&mut self, slot: usize, details: &str) -> Moved {
        let stream = &mut self.world.streams[slot];
        stream.abandoned = true;
        let exchange = &mut stream.exchange;
        exchange.timeline.note("the client breaks the protocol");
        exchange.flags.set(ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR);
        exchange.details = Some(details.to_owned().into());
        self.reset(slot)
    }
}
