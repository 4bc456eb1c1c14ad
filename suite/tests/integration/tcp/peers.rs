//! The two peers of a connection, as scripts that both hosts play.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use attache_envoy::tcp::send_last;
use attache_harness::{Arrival, End, Host, HostError, Peer, StreamId, TcpReply};

use crate::both::{nobody, until};

/// Long enough for a tick.
const PAUSE: Duration = Duration::from_millis(150);

/// What the client does, one after the other.
#[derive(Clone, Copy)]
pub(super) enum Act {
    Send(&'static str),
    End,
    Wait,
}

/// What an upstream does about bytes, and about the end.
#[derive(Clone, Copy)]
pub(super) enum Upstream {
    /// Nobody listens.
    Refuses,
    /// Answers each piece, and ends when downstream does.
    Answers(&'static str),
    /// Speaks as soon as it is connected, and ends when downstream does.
    Greets(&'static str),
    /// Answers the first piece and ends its side with it.
    AnswersAndEnds(&'static str),
    /// Resets at the first piece.
    Resets,
}

/// What one peer received, and how it ended.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    pub(super) end: Option<&'static str>,
}

impl From<&Peer> for Received {
    fn from(peer: &Peer) -> Self {
        let end = match peer.end() {
            End::Open => None,
            End::Fin => Some("end"),
            End::Reset => Some("reset"),
        };
        Self {
            bytes: peer.bytes(),
            end,
        }
    }
}

/// Plays the client on the harness, and looks at it after each act.
pub(super) fn play_harness(
    host: &mut Host,
    acts: &[Act],
    upstream: Upstream,
    mut look: impl FnMut(&Host, StreamId),
) -> Result<(), HostError> {
    host.tcp_upstream(move |arrival| upstream.reply(arrival));
    let id = host.connect()?;
    host.advance(PAUSE)?;
    look(host, id);
    for act in acts {
        match act {
            Act::Send(text) => host.send_data(id, text)?,
            Act::End => host.half_close(id)?,
            Act::Wait => {}
        }
        host.advance(PAUSE)?;
        look(host, id);
    }
    Ok(())
}

/// Plays the client on a socket, and waits after each act until `is_done` says that all has happened
/// that follows from it. The socket stays open until it is dropped.
pub(super) fn play_client(
    address: SocketAddr,
    acts: &[Act],
    mut is_done: impl FnMut(usize, &Received) -> bool,
) -> (Received, TcpStream) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut received = Received::default();
    let mut settle = |stream: &mut TcpStream, number| {
        until(|| {
            received.take(stream);
            is_done(number, &received)
        });
    };
    settle(&mut stream, 0);
    for (number, act) in acts.iter().enumerate() {
        // The other side may be gone, which the reading tells.
        match act {
            Act::Send(text) => drop(stream.write_all(text.as_bytes())),
            Act::End => drop(stream.shutdown(Shutdown::Write)),
            Act::Wait => {}
        }
        settle(&mut stream, number + 1);
    }
    (received, stream)
}

impl Received {
    /// Reads what is there.
    fn take(&mut self, stream: &mut TcpStream) {
        let mut buffer = [0; 4096];
        while self.end.is_none() {
            match stream.read(&mut buffer) {
                Ok(0) => self.end = Some("end"),
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => self.end = Some("reset"),
            }
        }
    }
}

impl Upstream {
    fn reply(self, arrival: Arrival<'_>) -> TcpReply {
        match (self, arrival) {
            (Self::Refuses, _) | (Self::Resets, Arrival::Data(_)) => TcpReply::refuse(),
            (Self::Answers(text), Arrival::Data(_)) | (Self::Greets(text), Arrival::Connection) => {
                TcpReply::none().send(text)
            }
            (Self::AnswersAndEnds(text), Arrival::Data(_)) => TcpReply::none().send_last(text),
            (Self::Answers(_) | Self::Greets(_), Arrival::End) => TcpReply::none().end(),
            _ => TcpReply::none(),
        }
    }

    /// Listens for one connection, and tells what it received.
    pub(super) fn listen(self) -> (u16, Arc<Mutex<Received>>) {
        let received = Arc::new(Mutex::new(Received::default()));
        if matches!(self, Self::Refuses) {
            return (nobody().port(), received);
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                self.serve(stream, &seen);
            }
        });
        (port, received)
    }

    fn serve(self, mut stream: TcpStream, seen: &Mutex<Received>) {
        if let Self::Greets(text) = self {
            stream.write_all(text.as_bytes()).unwrap();
        }
        if matches!(self, Self::Resets) {
            // A socket that is dropped with bytes unread resets.
            let mut buffer = [0; 4096];
            let count = stream.peek(&mut buffer).unwrap_or(0);
            let mut seen = seen.lock().unwrap();
            seen.bytes.extend_from_slice(&buffer[..count]);
            seen.end = Some("reset");
            return;
        }
        let mut buffer = [0; 4096];
        let end = loop {
            match stream.read(&mut buffer) {
                Ok(0) => break "end",
                Ok(count) => {
                    seen.lock()
                        .unwrap()
                        .bytes
                        .extend_from_slice(&buffer[..count]);
                    let _ = match self {
                        Self::Answers(text) => stream.write_all(text.as_bytes()),
                        Self::AnswersAndEnds(text) => send_last(&stream, text.as_bytes()),
                        _ => Ok(()),
                    };
                }
                Err(_) => break "reset",
            }
        };
        seen.lock().unwrap().end = Some(end);
    }
}
