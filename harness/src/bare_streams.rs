//! Streams whose callbacks a test makes one by one, with nothing of a proxy around them.
//!
//! For test files of others, which say what a callback is given and what it must leave behind. Nothing is
//! added to a message and nothing is checked, no peer takes part, a reply is noted and not sent, resumes and
//! closes do nothing. What Envoy makes of a filter, [`Host::send`] plays.

use std::time::Duration;

use crate::abi::Direction;
use crate::entries::Protocol;
use crate::error::HostError;
use crate::filter_chain::{Data, DataResult, HeadersResult};
use crate::headers::{Headers, Kind};
use crate::host::{Host, HostBuilder};
use crate::stream::{BodyView, Reply};
use crate::timeline::Timeline;

/// Names a bare stream of a [`Host`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BareStream(usize);

/// What a callback of a bare stream left behind.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct BareResult {
    /// Whether the filter let the stream go on.
    pub continues: bool,
    /// The headers that the callback was about.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The piece of the body that it was about.
    pub body: Vec<u8>,
    /// The reply that it asked for.
    pub reply: Option<BareReply>,
    /// Whether a trap ended the VM.
    pub failed: bool,
}

/// A reply as a filter asked for it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct BareReply {
    /// The status.
    pub status: u32,
    /// The additional headers.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// The response code details, with `_` for blanks.
    pub details: String,
    /// The gRPC status, where it is one.
    pub grpc_status: Option<u32>,
}

/// What a bare stream has instead of peers.
#[derive(Debug, Default)]
pub(crate) struct Bare {
    reply: Option<BareReply>,
}

impl Bare {
    pub(crate) fn note(&mut self, reply: Reply) {
        self.reply.get_or_insert(BareReply {
            status: reply.status,
            headers: reply.headers,
            body: reply.body,
            details: reply.details,
            grpc_status: reply.grpc_status,
        });
    }
}

impl Host {
    /// Creates a stream of the first worker, and tells the only filter of its chain.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn bare_stream(&mut self) -> Result<BareStream, HostError> {
        self.check_alive()?;
        let chain = self.proxy.entries.find(Protocol::Http, None)?;
        let slot = self.proxy.world.open();
        let now = self.proxy.world.clock.now();
        let stream = &mut self.proxy.world.streams[slot];
        stream.bare = Some(Box::default());
        (stream.started, stream.active_at) = (now, now);
        self.proxy.open(slot, 1, chain)?;
        self.proxy.create_stream_context(slot, 0)?;
        self.settle()?;
        Ok(BareStream(slot))
    }

    /// Makes the callback for headers, which do not end the stream. They are in the order in which they are
    /// given, pseudo headers first.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn bare_headers(
        &mut self,
        stream: BareStream,
        direction: Direction,
        headers: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<BareResult, HostError> {
        let slot = stream.0;
        let mut map = Headers::new(Kind::Trailers);
        for (name, value) in headers {
            map.add(name, value);
        }
        self.proxy.world.streams[slot].flow(direction).headers = Some(map);
        let result = self.proxy.headers_callback(slot, 0, direction, false)?;
        self.settle()?;
        let mut left = self.left(slot, matches!(result, HeadersResult::Continue));
        let stream = &mut self.proxy.world.streams[slot];
        stream.side(0, direction).headers_visible = false;
        if let Some(headers) = &stream.flow(direction).headers {
            let pair = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
            left.headers = headers.iter().map(pair).collect();
        }
        Ok(left)
    }

    /// Makes the callback for a piece of a body. What a filter holds back is not shown again.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn bare_body(
        &mut self,
        stream: BareStream,
        direction: Direction,
        body: &[u8],
        end: bool,
    ) -> Result<BareResult, HostError> {
        let slot = stream.0;
        let mut data = Data::Fresh(body.to_vec());
        let result = self
            .proxy
            .data_callback(slot, 0, direction, &mut data, end)?;
        self.settle()?;
        let mut left = self.left(slot, result == DataResult::Continue);
        let side = self.proxy.world.streams[slot].side(0, direction);
        (side.buffering, side.body) = (false, BodyView::None);
        if let Data::Fresh(bytes) = data {
            left.body = bytes;
        }
        Ok(left)
    }

    /// What happened in the stream.
    #[must_use]
    pub fn bare_timeline(&self, stream: BareStream) -> &Timeline {
        &self.proxy.world.streams[stream.0].exchange.timeline
    }

    /// Ends the stream: done, log and delete.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn end_bare_stream(&mut self, stream: BareStream) -> Result<(), HostError> {
        let slot = stream.0;
        self.proxy.world.streams[slot].finished = true;
        self.proxy.end_contexts(slot)?;
        self.settle()
    }

    fn left(&mut self, slot: usize, continues: bool) -> BareResult {
        let stream = &mut self.proxy.world.streams[slot];
        let failed = stream.filters.first().and_then(|filter| filter.vm);
        let failed = failed.is_some_and(|vm| self.proxy.vms[vm].failed);
        BareResult {
            continues,
            reply: stream.bare.as_mut().and_then(|bare| bare.reply.take()),
            failed,
            ..BareResult::default()
        }
    }
}

impl HostBuilder {
    /// Sets what the clock shows when the host starts, since the Unix epoch; the beginning of 2026 unless set.
    pub fn clock(mut self, time: Duration) -> Self {
        self.clock = Some(time);
        self
    }

    /// Sets what a property is to filters of streams, whatever Envoy would say. Dots separate the parts of its
    /// path.
    pub fn property(mut self, path: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.given_properties.insert(path.into(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Plugin;

    /// Replies 403 to headers of a request that has `x-deny`, and makes each body `ab`.
    const GUEST: &str = r#"(module
      (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
      (import "env" "proxy_send_local_response"
        (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
      (import "env" "proxy_set_buffer_bytes" (func $set (param i32 i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "x-denyab no way")
      (func (export "proxy_abi_version_0_2_1"))
      (func (export "malloc") (param i32) (result i32) i32.const 1024)
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (if (i32.eqz (call $get (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 64) (i32.const 68)))
          (then (drop (call $reply (i32.const 403) (i32.const 9) (i32.const 6) (i32.const 6) (i32.const 2)
            (i32.const 0) (i32.const 0) (i32.const -1)))))
        i32.const 0)
      (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
        (drop (call $set (i32.const 1) (i32.const 0) (i32.const 99) (i32.const 6) (i32.const 2)))
        i32.const 1))"#;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let pair = |(name, value): &(&str, &str)| (name.as_bytes().into(), value.as_bytes().into());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn callbacks_are_made_one_by_one_and_a_reply_is_noted() {
        let plugin = Plugin::from_bytes("bare", wat::parse_str(GUEST).unwrap());
        let mut host = Host::with(plugin).unwrap();
        let given = pairs(&[(":authority", "b"), ("x-tag", "1"), ("host", "a")]);
        let stream = host.bare_stream().unwrap();
        let passed = host
            .bare_headers(stream, Direction::Request, &given)
            .unwrap();
        assert!(passed.continues && passed.reply.is_none() && !passed.failed);
        assert_eq!(passed.headers, given);
        for piece in ["one", "two"] {
            let changed = host
                .bare_body(stream, Direction::Response, piece.as_bytes(), false)
                .unwrap();
            assert_eq!((changed.continues, &changed.body[..]), (false, &b"ab"[..]));
        }
        host.end_bare_stream(stream).unwrap();

        let stream = host.bare_stream().unwrap();
        let denied = pairs(&[("x-deny", "1")]);
        let replied = host
            .bare_headers(stream, Direction::Request, &denied)
            .unwrap();
        assert!(!replied.continues);
        let reply = replied.reply.unwrap();
        assert_eq!(
            (reply.status, &reply.body[..], reply.details.as_str()),
            (403, &b"ab"[..], "no_way")
        );
        assert_eq!(reply.grpc_status, None);
        host.end_bare_stream(stream).unwrap();
    }
}
