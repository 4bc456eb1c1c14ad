//! Whether a peer on this machine has read what was sent to it.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// How long pieces lie apart, so that a proxy reads each by itself.
pub const PAUSE: Duration = Duration::from_millis(20);
/// How long a peer may leave bytes unread until it is taken for one that does not want to read.
const LIMIT: Duration = Duration::from_secs(2);
/// How often it is looked at.
const POLL: Duration = Duration::from_millis(1);
/// Where Linux tells of its sockets. Elsewhere every link counts as clear, and the pause has to do.
const TABLE: &str = "/proc/net/tcp";

/// A connection over the loopback device.
///
/// Bytes that are sent one after the other reach a busy peer in one piece. Who waits until the link is
/// clear before it sends more knows that they do not, however busy the machine is.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    own: SocketAddrV4,
    peer: SocketAddrV4,
}

impl Link {
    /// The link of a connection, if it is one over IPv4 that stands.
    #[must_use]
    pub fn of(stream: &TcpStream) -> Option<Self> {
        Self::between(stream.local_addr(), stream.peer_addr())
    }

    fn between(own: io::Result<SocketAddr>, peer: io::Result<SocketAddr>) -> Option<Self> {
        match (own.ok()?, peer.ok()?) {
            (SocketAddr::V4(own), SocketAddr::V4(peer)) => Some(Self { own, peer }),
            _ => None,
        }
    }

    /// Whether the peer has read all that was sent, or is gone.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        fs::read_to_string(TABLE).map_or(true, |table| self.is_clear_in(&table))
    }

    /// Waits until the link is clear, and as long as the peer needs to look whether more has come; false
    /// where it does not read.
    pub fn clear(&self) -> bool {
        let deadline = Instant::now() + LIMIT;
        while !self.is_clear() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL);
        }
        thread::sleep(PAUSE);
        true
    }

    /// The same without a thread.
    #[cfg(feature = "http2")]
    pub(crate) async fn cleared(&self) -> bool {
        let deadline = Instant::now() + LIMIT;
        while !self.is_clear() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        tokio::time::sleep(PAUSE).await;
        true
    }

    fn is_clear_in(&self, table: &str) -> bool {
        table.lines().filter_map(Socket::parse).all(|socket| {
            let unsent = socket.own == self.own && socket.peer == self.peer && socket.unsent > 0;
            let unread = socket.own == self.peer && socket.peer == self.own && socket.unread > 0;
            !unsent && !unread
        })
    }
}

/// Waits for the links of which pieces are sent, until one shows that its peer does not read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace(Option<Link>);

impl Pace {
    pub(crate) fn of(stream: &TcpStream) -> Self {
        Self(Link::of(stream))
    }

    #[cfg(feature = "http2")]
    pub(crate) fn of_tokio(stream: &tokio::net::TcpStream) -> Self {
        Self(Link::between(stream.local_addr(), stream.peer_addr()))
    }

    /// Waits until what was sent lies apart from what is sent next.
    pub(crate) fn pause(&mut self) {
        match self.0 {
            Some(link) if !link.clear() => self.0 = None,
            Some(_) => {}
            None => thread::sleep(PAUSE),
        }
    }

    /// The same without a thread. What h2 was given goes out while others have their turn.
    #[cfg(feature = "http2")]
    pub(crate) async fn paused(&mut self) {
        tokio::time::sleep(PAUSE / 2).await;
        match self.0 {
            Some(link) if !link.cleared().await => self.0 = None,
            Some(_) => {}
            None => tokio::time::sleep(PAUSE / 2).await,
        }
    }
}

/// A line of the table: `0: 0100007F:85F3 0100007F:9A10 01 00000000:00000005 …`, with the sizes of the
/// queues for sending and for reading.
struct Socket {
    own: SocketAddrV4,
    peer: SocketAddrV4,
    unsent: u64,
    unread: u64,
}

impl Socket {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace().skip(1);
        let (own, peer) = (address(words.next()?)?, address(words.next()?)?);
        let (unsent, unread) = words.nth(1)?.split_once(':')?;
        Some(Self {
            own,
            peer,
            unsent: u64::from_str_radix(unsent, 16).ok()?,
            unread: u64::from_str_radix(unread, 16).ok()?,
        })
    }
}

/// An address as the kernel has it in memory, and a port.
fn address(text: &str) -> Option<SocketAddrV4> {
    let (ip, port) = text.split_once(':')?;
    let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(SocketAddrV4::new(Ipv4Addr::from(ip), port))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_link_is_clear_once_the_peer_has_read() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let link = Link::of(&stream).unwrap();
        assert!(link.is_clear());
        stream.write_all(b"hello").unwrap();
        // Nothing is known elsewhere.
        assert_eq!(link.is_clear(), !fs::exists(TABLE).unwrap());
        let (mut peer, _) = listener.accept().unwrap();
        peer.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(link.is_clear(), !fs::exists(TABLE).unwrap());
        peer.read_exact(&mut [0; 1]).unwrap();
        assert!(link.clear());
    }

    #[test]
    fn queues_of_other_connections_do_not_count() {
        let link = Link {
            own: "127.0.0.1:1".parse().unwrap(),
            peer: "127.0.0.1:2".parse().unwrap(),
        };
        let ip = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        let line = |own: u16, peer: u16, unsent: u32, unread: u32| {
            format!(
                "  0: {ip}:{own:04X} {ip}:{peer:04X} 01 {unsent:08X}:{unread:08X} 00:00000000 0\n"
            )
        };
        let heading = "  sl  local_address rem_address   st tx_queue rx_queue\n";
        for (line, clear) in [
            (line(1, 2, 0, 0), true),
            (line(1, 2, 0, 9), true),
            (line(1, 2, 9, 0), false),
            (line(2, 1, 9, 0), true),
            (line(2, 1, 0, 9), false),
            (line(3, 1, 0, 9), true),
            (line(1, 3, 9, 0), true),
        ] {
            let table = [heading, &line].concat();
            assert_eq!(link.is_clear_in(&table), clear, "{table}");
        }
    }
}
