//! A server that records what it receives, byte for byte.
//!
//! [`Upstream::echo`] shows each request in its answer, [`Upstream::start`]
//! answers as a closure says. Requests are read as HTTP/1.0 or HTTP/1.1, with
//! connections kept alive; each connection has a thread.

mod connection;
#[cfg(feature = "http2")]
mod grpc;
#[cfg(feature = "http2")]
mod http2;
mod message;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::link::Link;

#[cfg(feature = "http2")]
pub use grpc::{GrpcEnd, GrpcEvent, GrpcReply};
pub use message::{Fault, Reply, Request};

/// A free port of this machine.
const FREE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What went wrong at an upstream.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// It cannot listen.
    #[error("cannot listen on a port of 127.0.0.1")]
    Listen(#[source] io::Error),
    /// Fewer requests came than were waited for.
    #[error("{received} of {wanted} requests arrived within {} ms", limit.as_millis())]
    Missing {
        /// How many were waited for.
        wanted: usize,
        /// How many were there.
        received: usize,
        /// How long it was waited.
        limit: Duration,
    },
}

/// A server on a free port of 127.0.0.1, which stops when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Starts a server that answers each request with [`Reply::echo`].
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Listen`].
    pub fn echo() -> Result<Self, UpstreamError> {
        Self::start(Reply::echo)
    }

    /// Starts a server that answers as `handler` says. It is called on the
    /// thread of the connection, and may wait there.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Listen`].
    pub fn start(
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Result<Self, UpstreamError> {
        Self::start_at(FREE, handler)
    }

    /// As [`start`](Self::start), at an address of the caller's choice.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Listen`].
    pub fn start_at(
        address: SocketAddr,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Result<Self, UpstreamError> {
        let handler: Arc<connection::Handler> = Arc::new(handler);
        Self::listen(address, handler, |listener, shared, handler| {
            accept(&listener, shared, handler);
        })
    }

    /// Starts a server that speaks HTTP/2 with prior knowledge. In its record,
    /// `:authority` stands as `host`, and repeated headers come together.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Listen`].
    #[cfg(feature = "http2")]
    pub fn start_http2(
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Result<Self, UpstreamError> {
        let handler: Arc<connection::Handler> = Arc::new(handler);
        Self::listen(FREE, handler, http2::accept)
    }

    /// Starts a gRPC server, which is asked about each event of a call. The thread that asks is that
    /// of all calls: a handler must not wait.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Listen`].
    #[cfg(feature = "http2")]
    pub fn start_grpc(
        handler: impl Fn(GrpcEvent<'_>) -> GrpcReply + Send + Sync + 'static,
    ) -> Result<Self, UpstreamError> {
        let handler: Arc<grpc::GrpcHandler> = Arc::new(handler);
        Self::listen(FREE, handler, grpc::accept)
    }

    fn listen<H: ?Sized + Send + Sync + 'static>(
        address: SocketAddr,
        handler: Arc<H>,
        accept: fn(TcpListener, &Arc<Shared>, &Arc<H>),
    ) -> Result<Self, UpstreamError> {
        let listener = TcpListener::bind(address).map_err(UpstreamError::Listen)?;
        let address = listener.local_addr().map_err(UpstreamError::Listen)?;
        let shared = Arc::new(Shared::default());
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(listener, &shared, &handler)
        });
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes the requests that were recorded and not taken yet, oldest first.
    #[must_use]
    pub fn take(&self) -> Vec<Request> {
        self.shared.state().recorded.drain(..).collect()
    }

    /// Closes all connections that are open. Who comes again gets a new one.
    pub fn disconnect(&self) {
        for stream in self.shared.state().open.drain(..) {
            // One that is closed already needs no closing.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits until what came on the connections is read, and what went out on them.
    pub fn clear(&self) {
        let open: Vec<Link> = self
            .shared
            .state()
            .open
            .iter()
            .filter_map(Link::of)
            .collect();
        for link in open {
            link.clear();
        }
    }

    /// Waits until `count` requests are recorded, and takes as many.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::Missing`], if they are not there in time; those that
    /// are can still be taken.
    pub fn wait_for(&self, count: usize, limit: Duration) -> Result<Vec<Request>, UpstreamError> {
        let too_few = |state: &mut State| state.recorded.len() < count;
        let (mut state, _) = self
            .shared
            .arrived
            .wait_timeout_while(self.shared.state(), limit, too_few)
            .unwrap_or_else(PoisonError::into_inner);
        if state.recorded.len() < count {
            let received = state.recorded.len();
            return Err(UpstreamError::Missing {
                wanted: count,
                received,
                limit,
            });
        }
        Ok(state.recorded.drain(..count).collect())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let threads = {
            let mut state = self.shared.state();
            state.stopped = true;
            std::mem::take(&mut state.threads)
        };
        self.disconnect();
        // Wakes the acceptor, which then sees that it is to stop.
        let _ = TcpStream::connect(self.address);
        for thread in self.acceptor.take().into_iter().chain(threads) {
            // A handler that panicked has been reported on its own thread.
            let _ = thread.join();
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    recorded: VecDeque<Request>,
    /// The connections; those that have ended are among them until another one comes.
    open: Vec<TcpStream>,
    threads: Vec<JoinHandle<()>>,
}

impl State {
    /// Keeps a connection, and lets go of those that have ended.
    fn keep(&mut self, stream: TcpStream) {
        self.open.retain(|stream| stream.peer_addr().is_ok());
        self.open.push(stream);
    }
}

impl Shared {
    /// The state stays whole when a thread panics, so poison does not matter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, request: Request) {
        self.state().recorded.push_back(request);
        self.arrived.notify_all();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, handler: &Arc<connection::Handler>) {
    for (number, stream) in listener.incoming().enumerate() {
        // A client that is gone before it is accepted is no reason to stop.
        let Ok((stream, kept)) = stream.and_then(|stream| Ok((stream.try_clone()?, stream))) else {
            continue;
        };
        let mut state = shared.state();
        if state.stopped {
            return;
        }
        state.threads.retain(|thread| !thread.is_finished());
        let serving = Arc::clone(shared);
        let handler = Arc::clone(handler);
        let thread = thread::spawn(move || {
            connection::serve(stream, number, &*handler, &|request| {
                serving.record(request)
            });
        });
        state.keep(kept);
        state.threads.push(thread);
    }
}
