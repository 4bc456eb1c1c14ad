//! What Envoy knows of a stream or connection while it lasts: its `StreamInfo`, as far as
//! properties read it.

use std::time::Duration;

use crate::attributes::Metadata;
use crate::downstream::Downstream;
use crate::filter_state::FilterState;
use crate::response_flags::ResponseFlags;
use crate::stream::{Routing, Stream};
use crate::tcp_streams::TcpStream;

/// A stream, or a connection, as properties see it. Header maps are not part of it: they come and
/// go with the callbacks.
pub(crate) struct StreamInfo<'a> {
    /// Absent where everything about it is as by default.
    pub(crate) downstream: Option<&'a Downstream>,
    pub(crate) connection: u64,
    /// None for TCP.
    pub(crate) protocol: Option<&'static str>,
    pub(crate) started: Duration,
    /// Whether it is over.
    pub(crate) complete: bool,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) code: Option<u32>,
    pub(crate) details: Option<&'a [u8]>,
    pub(crate) flags: u64,
    /// Whether the upstream refused the connection.
    pub(crate) refused: bool,
    /// From the request's first byte to the response's last, at the upstream.
    pub(crate) latency: Option<Duration>,
    /// Whether the response's last byte has come.
    pub(crate) answered: bool,
    pub(crate) upstream: Upstream,
    /// How often the request was tried before.
    pub(crate) retried: u64,
    pub(crate) routing: Routing,
    /// The cluster of a TCP connection, where a filter has named it.
    pub(crate) named_cluster: Option<&'a str>,
    pub(crate) dynamic_metadata: Option<&'a Metadata>,
    pub(crate) filter_state: &'a FilterState,
}

/// How far a stream has come to its upstream.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Upstream {
    None,
    /// A host is chosen.
    Selected,
    /// There is a connection to it.
    Connected,
}

impl<'a> StreamInfo<'a> {
    /// What is known of a stream, `now`.
    pub(crate) fn of(stream: &'a Stream, now: Duration) -> Self {
        let exchange = &stream.exchange;
        let tcp = stream.tcp.as_deref();
        let (received, sent) = match tcp {
            // What filters make of it counts towards downstream only.
            Some(tcp) => (tcp.received, count(tcp.downstream.chunks())),
            None => {
                let response = exchange.response.as_ref();
                let sent = response.map_or(0, |response| count(response.chunks()));
                (stream.request_bytes, sent)
            }
        };
        let (selected, connected) = match tcp {
            Some(tcp) => tcp.upstream_progress(),
            None => {
                let connected = stream.upstream_connection.is_there(now);
                (stream.host_is_chosen, connected || stream.latency.is_some())
            }
        };
        Self {
            routing: stream.routing,
            downstream: stream.downstream.as_deref(),
            connection: stream.connection(),
            protocol: tcp.is_none().then(|| stream.codec.name()),
            started: stream.started,
            complete: tcp.map_or(stream.finished, |tcp| tcp.complete),
            received,
            sent,
            code: stream.response_code,
            details: stream
                .late_details
                .as_deref()
                .or(exchange.details.as_deref())
                .map(|details| stream.details_as_given(details)),
            flags: exchange.flags.bits(),
            refused: exchange
                .flags
                .contains(ResponseFlags::UPSTREAM_CONNECTION_FAILURE),
            answered: !stream.response.reading,
            latency: stream.latency,
            retried: stream.retried,
            upstream: match (selected, connected) {
                (true, true) => Upstream::Connected,
                (true, false) => Upstream::Selected,
                (false, _) => Upstream::None,
            },
            named_cluster: tcp.and_then(TcpStream::named_cluster),
            dynamic_metadata: stream.dynamic_metadata.as_deref(),
            filter_state: &exchange.filter_state,
        }
    }
}

fn count(chunks: &[Vec<u8>]) -> u64 {
    chunks.iter().map(|chunk| chunk.len() as u64).sum()
}
