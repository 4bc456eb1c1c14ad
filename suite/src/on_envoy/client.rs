use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use attache_envoy::{http1, http2};

use super::wire;
use crate::seen::Ended;

/// How long a client waits in all.
const LIMIT: Duration = Duration::from_secs(120);

/// One connection with one request on it.
pub(super) struct Client {
    connection: TcpStream,
    answer: Receiver<Option<http1::Response>>,
    ended: Option<Ended>,
}

impl Client {
    /// Begins to send; the pieces go out one by one.
    pub(super) fn send(address: SocketAddr, pieces: Vec<Vec<u8>>) -> io::Result<Self> {
        let connection = TcpStream::connect(address)?;
        let stream = connection.try_clone()?;
        let (sender, answer) = mpsc::channel();
        thread::spawn(move || {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            // Nobody listens once the case is over.
            let _ = sender.send(http1::exchange_on(stream, &pieces, LIMIT).ok());
        });
        Ok(Self {
            connection,
            answer,
            ended: None,
        })
    }

    /// The same over HTTP/2.
    pub(super) fn send_http2(address: SocketAddr, request: http2::Request) -> io::Result<Self> {
        let connection = TcpStream::connect(address)?;
        let stream = connection.try_clone()?;
        let (sender, answer) = mpsc::channel();
        thread::spawn(move || {
            let answer = http2::exchange_on(stream, &request, LIMIT).ok();
            // As above.
            let _ = sender.send(answer);
        });
        Ok(Self {
            connection,
            answer,
            ended: None,
        })
    }

    /// Takes what has arrived, without waiting.
    pub(super) fn look(&mut self) {
        if self.ended.is_none()
            && let Ok(answer) = self.answer.try_recv()
        {
            self.ended = Some(match answer {
                Some(response) => Ended::Answered(wire::answered(response)),
                None => Ended::Reset,
            });
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Goes away.
    pub(super) fn close(&mut self) {
        self.ended.get_or_insert(Ended::Abandoned);
        // A connection that is closed already is as good.
        let _ = self.connection.shutdown(Shutdown::Both);
    }

    pub(super) fn ended(&mut self) -> Ended {
        self.ended.clone().unwrap_or(Ended::Held)
    }
}
