//! Who is let in, and for how long: the number of connections, and those that do nothing.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::Limits;

/// How often a connection is looked at; whoever is to be cut off is by then.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(500);
/// Accepting fails when there are no descriptors left; it is tried again after this.
const ACCEPTED_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Counts connections and streams.
#[derive(Debug)]
pub(super) struct Gate {
    limits: Limits,
    connections: Mutex<BTreeMap<IpAddr, usize>>,
    streams: AtomicUsize,
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            connections: Mutex::default(),
            streams: AtomicUsize::new(0),
        })
    }

    /// The connections of a listener. Those that are too many are closed at once.
    pub(super) fn admit(
        self: &Arc<Self>,
        listener: TcpListener,
    ) -> ReceiverStream<io::Result<Line>> {
        let (admitted, lines) = mpsc::channel(1);
        let gate = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = admitted.closed() => return,
                };
                match accepted {
                    Ok((tcp, address)) => {
                        if let Some(line) = gate.line(tcp, address)
                            && admitted.send(Ok(line)).await.is_err()
                        {
                            return;
                        }
                    }
                    Err(_) => sleep(ACCEPTED_AGAIN_AFTER).await,
                }
            }
        });
        ReceiverStream::new(lines)
    }

    fn line(self: &Arc<Self>, tcp: TcpStream, address: SocketAddr) -> Option<Line> {
        let mut connections = self.connections();
        let all: usize = connections.values().sum();
        let own = connections.get(&address.ip()).copied().unwrap_or(0);
        if all >= self.limits.connections || own >= self.limits.connections_per_address {
            return None;
        }
        connections.insert(address.ip(), own + 1);
        drop(connections);
        // Discovery is small messages that wait for answers.
        let _ = tcp.set_nodelay(true);
        Some(Line::new(tcp, Arc::clone(self), address))
    }

    fn leave(&self, address: IpAddr) {
        let mut connections = self.connections();
        if let Some(own) = connections.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                connections.remove(&address);
            }
        }
    }

    /// Nothing that is done under the lock can leave the counts half changed.
    fn connections(&self) -> std::sync::MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        let connections = self.connections.lock();
        connections.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The peer of a connection, as its streams know it.
#[derive(Debug)]
pub(super) struct Peer {
    gate: Arc<Gate>,
    address: SocketAddr,
    streams: AtomicUsize,
    is_cut_off: AtomicBool,
}

impl Peer {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.gate.limits
    }

    /// Ends the connection, whatever is still to be sent on it.
    pub(super) fn cut_off(&self) {
        self.is_cut_off.store(true, Ordering::Relaxed);
    }

    /// Another stream of this peer; nothing if there are too many.
    pub(super) fn stream(self: &Arc<Self>) -> Option<Seat> {
        let seat = Seat(Arc::clone(self));
        self.streams.fetch_add(1, Ordering::Relaxed);
        let others = self.gate.streams.fetch_add(1, Ordering::Relaxed);
        (others < self.gate.limits.streams).then_some(seat)
    }
}

/// Counts a stream for as long as it lasts.
#[derive(Debug)]
pub(super) struct Seat(Arc<Peer>);

impl Seat {
    pub(super) fn peer(&self) -> &Peer {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
        self.0.gate.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that ends by itself when its peer does nothing with it: no stream for a while, from the
/// beginning on, which counts the handshake of TLS in; or bytes that it does not take.
pub(super) struct Line {
    tcp: TcpStream,
    peer: Arc<Peer>,
    looks: Interval,
    /// Since when there has been no stream.
    idle_since: Option<Instant>,
    /// Since when there have been bytes that the peer does not take.
    stuck_since: Option<Instant>,
}

impl Line {
    fn new(tcp: TcpStream, gate: Arc<Gate>, address: SocketAddr) -> Self {
        let mut looks = interval(LOOKED_AT_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            tcp,
            peer: Arc::new(Peer {
                gate,
                address,
                streams: AtomicUsize::new(0),
                is_cut_off: AtomicBool::new(false),
            }),
            looks,
            idle_since: Some(Instant::now()),
            stuck_since: None,
        }
    }

    /// Has the task woken for the next look, and says whether the connection may go on.
    fn look(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while self.looks.poll_tick(context).is_ready() {
            let used = self.peer.streams.load(Ordering::Relaxed) > 0;
            self.idle_since = match used {
                true => None,
                false => Some(self.idle_since.unwrap_or_else(Instant::now)),
            };
        }
        let limits = self.peer.limits();
        let is_over = |since: Option<Instant>, limit: Duration| {
            since.is_some_and(|since| since.elapsed() > limit)
        };
        if self.peer.is_cut_off.load(Ordering::Relaxed)
            || is_over(self.idle_since, limits.idle)
            || is_over(self.stuck_since, limits.taken_within)
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn note<T>(&mut self, written: Poll<T>) -> Poll<T> {
        self.stuck_since = match written {
            Poll::Ready(_) => None,
            Poll::Pending => Some(self.stuck_since.unwrap_or_else(Instant::now)),
        };
        written
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.peer.gate.leave(self.peer.address.ip());
    }
}

impl Connected for Line {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.look(context)?;
        Pin::new(&mut self.tcp).poll_read(context, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.look(context)?;
        let written = Pin::new(&mut self.tcp).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.look(context)?;
        let written = Pin::new(&mut self.tcp).poll_write_vectored(context, bytes);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look(context)?;
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is cut off is not asked to take leave.
        ready!(Pin::new(&mut self.tcp).poll_shutdown(context))?;
        Poll::Ready(Ok(()))
    }
}
