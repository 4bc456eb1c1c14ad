//! Connections without HTTP.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

/// Ends a connection with a RST, as a client does that aborts. Dropping it would send a FIN.
///
/// # Errors
///
/// What befell the socket; it is closed then, too.
pub fn reset(stream: TcpStream) -> io::Result<()> {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    drop(stream);
    Ok(())
}

/// A port of 127.0.0.1 that refuses connections as long as the value lives.
///
/// Nobody listens there, and nobody can: a port that was free a moment ago may be another's by now.
#[derive(Debug)]
pub struct ClosedPort {
    address: SocketAddr,
    _bound: Socket,
}

impl ClosedPort {
    /// Takes a port.
    ///
    /// # Errors
    ///
    /// What keeps the socket from being bound.
    pub fn take() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        let any = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into())?;
        let address = socket.local_addr()?.as_socket().unwrap_or(any);
        Ok(Self {
            address,
            _bound: socket,
        })
    }

    /// Where nobody listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Sends bytes and ends this side of the connection.
///
/// On Linux the FIN travels with the last of the bytes, so that a peer which reads at once learns
/// of both by one event. Two calls would leave that to chance.
///
/// # Errors
///
/// What befell the socket.
pub fn send_last(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_cork(true)?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    fn pair() -> io::Result<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        Ok((client, listener.accept()?.0))
    }

    #[test]
    fn a_closed_port_refuses_and_cannot_be_taken() {
        let port = ClosedPort::take().unwrap();
        let error = TcpStream::connect(port.address()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = TcpListener::bind(port.address()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn the_peer_sees_a_reset() {
        let (client, mut peer) = pair().unwrap();
        reset(client).unwrap();
        let error = peer.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_end_arrives_with_the_last_bytes() {
        for _ in 0..200 {
            let (client, mut peer) = pair().unwrap();
            client.set_nodelay(true).unwrap();
            let sender = std::thread::spawn(move || send_last(&client, b"bye").map(|()| client));
            let mut buffer = [0; 8];
            assert_eq!(peer.read(&mut buffer).unwrap(), 3);
            // Nothing is waited for: the end is there, or this read would block.
            peer.set_nonblocking(true).unwrap();
            assert_eq!(peer.read(&mut buffer).unwrap(), 0);
            sender.join().unwrap().unwrap();
        }
    }
}
