use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use attache_envoy::Link;

use crate::case::{TcpEnds, TcpFault, TcpUpstream};
use crate::seen::{PeerEnd, Received};

/// The upstream of TCP chains, a thread for each connection.
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What is done with the next connections.
    upstream: Mutex<TcpUpstream>,
    connections: Mutex<Vec<(Instant, Arc<Mutex<Received>>)>>,
    /// Connections whose side never ends.
    kept: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
}

impl Server {
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let received = Arc::new(Mutex::new(Received::default()));
                lock(&serving.connections).push((Instant::now(), Arc::clone(&received)));
                let upstream = lock(&serving.upstream).clone();
                let serving = Arc::clone(&serving);
                thread::spawn(move || {
                    let kept = serve(stream, &upstream, &received);
                    lock(&serving.kept).extend(kept);
                });
            }
        });
        Ok(Self { address, shared })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forgets what was received, and does something else from now on.
    pub(super) fn play(&self, upstream: &TcpUpstream) {
        lock(&self.shared.upstream).clone_from(upstream);
        lock(&self.shared.connections).clear();
        lock(&self.shared.kept).clear();
    }

    /// What was received, in the order in which connections came, and when they came.
    pub(super) fn received(&self) -> Vec<(Instant, Received)> {
        let connections = lock(&self.shared.connections);
        let received = connections.iter();
        received
            .map(|(accepted, one)| (*accepted, lock(one).clone()))
            .collect()
    }

    /// How much that is, and how many have ended.
    pub(super) fn weight(&self) -> usize {
        let connections = lock(&self.shared.connections);
        let weights = connections.iter().map(|(_, one)| lock(one).weight());
        connections.len() + weights.sum::<usize>()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // Wakes the acceptor, which then sees that it is to stop.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A peer that is gone shows where it is read from.
fn serve(
    mut stream: TcpStream,
    upstream: &TcpUpstream,
    seen: &Mutex<Received>,
) -> Option<TcpStream> {
    let _ = stream.set_nodelay(true);
    let say = |stream: &mut TcpStream, text: &Option<Vec<u8>>, last: bool| {
        let text = text.as_deref().unwrap_or_default();
        let _ = match last {
            true => attache_envoy::tcp::send_last(stream, text),
            false => stream.write_all(text),
        };
    };
    let after_greeting = upstream.ends == TcpEnds::AfterGreeting;
    say(&mut stream, &upstream.greeting, after_greeting);
    let mut buffer = [0; 16 * 1024];
    if upstream.fault == Some(TcpFault::Reset) {
        // A socket that is dropped with bytes unread resets.
        let count = stream.peek(&mut buffer);
        let mut seen = lock(seen);
        seen.end = match count {
            Ok(0) => PeerEnd::Fin,
            Ok(count) => {
                seen.bytes.extend_from_slice(&buffer[..count]);
                PeerEnd::Reset
            }
            Err(_) => PeerEnd::Reset,
        };
        return None;
    }
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => {
                lock(seen).end = PeerEnd::Fin;
                // What was said last and the end are two events to a peer, however near they are.
                if let Some(link) = Link::of(&stream) {
                    link.clear();
                }
                break;
            }
            Ok(count) => {
                lock(seen).bytes.extend_from_slice(&buffer[..count]);
                let after_answer = upstream.ends == TcpEnds::AfterAnswer;
                say(&mut stream, &upstream.answer, after_answer);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => {
                lock(seen).end = PeerEnd::Reset;
                return None;
            }
        }
    }
    // What is dropped here ends its side.
    (upstream.ends == TcpEnds::Never).then_some(stream)
}
