use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::completed::Completed;
use crate::tcp::ending::Closed;

/// A TCP connection at its end; see [`TcpFilter::on_complete`](crate::TcpFilter::on_complete).
///
/// Everything but [`closed`](Self::closed) is read when it is asked for, at one host call each, and
/// `None` where Envoy does not know it. It can be asked within that callback only.
///
/// ```
/// use attache::prelude::*;
///
/// # struct Meter;
/// # impl TcpFilter for Meter {
/// #     type Config = ();
/// #     fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
/// #         Ok(Self)
/// #     }
/// async fn call(&self, connection: Connection, next: TcpNext) -> Result<Ending, Error> {
///     next.forward(connection)
/// }
///
/// fn on_complete(&self, connection: &CompletedConnection) {
///     let (received, sent) = (connection.received(), connection.sent());
///     log::info!("received={received:?} sent={sent:?} closed={:?}", connection.closed());
/// }
/// # }
/// ```
pub struct CompletedConnection {
    stream: Completed,
    closed: Option<Closed>,
}

impl CompletedConnection {
    pub(super) fn new(stream: u32, closed: Option<Closed>) -> Self {
        Self {
            stream: Completed::new(stream),
            closed,
        }
    }

    /// How it ended; `None` for a filter without [`Phases::CLOSE`](crate::Phases::CLOSE).
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        self.closed
    }

    /// Bytes that came from the client (`request.size`).
    #[must_use]
    pub fn received(&self) -> Option<u64> {
        self.stream.number(&["request", "size"])
    }

    /// Bytes that went to the client (`response.size`).
    #[must_use]
    pub fn sent(&self) -> Option<u64> {
        self.stream.number(&["response", "size"])
    }

    /// Envoy's response flags (`response.flags`) as a set of bits, 0 for none: whether, say, the
    /// upstream could not be reached.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// Of `stream_info.h`: the upstream could not be connected to.
    /// const UPSTREAM_CONNECTION_FAILURE: u64 = 0x20;
    ///
    /// fn had_no_upstream(connection: &CompletedConnection) -> bool {
    ///     connection.flags().is_some_and(|flags| flags & UPSTREAM_CONNECTION_FAILURE != 0)
    /// }
    /// ```
    #[must_use]
    pub fn flags(&self) -> Option<u64> {
        self.stream.number(&["response", "flags"])
    }

    /// How long it took, to now. Two host calls: Envoy tells a TCP filter when the connection began
    /// (`request.time`), and not when it ended.
    ///
    /// ```
    /// use attache::metrics::Histogram;
    /// use attache::prelude::*;
    ///
    /// fn on_complete(lasted: &Histogram, connection: &CompletedConnection) {
    ///     if let Some(duration) = connection.duration() {
    ///         lasted.record_milliseconds(duration);
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let begun = Duration::from_nanos(self.stream.number(&["request", "time"])?);
        Timestamp::now().ok()?.unix().checked_sub(begun)
    }

    /// The upstream's address and port (`upstream.address`); `None` where the connection reached
    /// none, or one that is not of IP.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn on_complete(connection: &CompletedConnection) {
    ///     match connection.upstream() {
    ///         Some(upstream) => log::info!("served by {upstream}"),
    ///         None => log::warn!("served by nobody"),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn upstream(&self) -> Option<SocketAddr> {
        self.stream.text(&["upstream", "address"])?.parse().ok()
    }
}

impl fmt::Debug for CompletedConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CompletedConnection")
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
