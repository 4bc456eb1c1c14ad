//! Connections without HTTP.

use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use socket2::SockRef;

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
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn pair() -> io::Result<(TcpStream, TcpStream)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        Ok((client, listener.accept()?.0))
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
