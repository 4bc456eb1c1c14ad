use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use attache_envoy::{Link, http1, http2};

use super::{EnvoyError, wire};
use crate::seen::Ended;

/// One connection with one request on it.
pub(super) struct Client {
    connection: TcpStream,
    port: u16,
    /// Whether its request asks for an upgrade.
    endless: bool,
    answer: Receiver<Result<Ended, EnvoyError>>,
    ended: Option<Ended>,
    /// Whether the client has closed its connection.
    closed: bool,
}

/// How long the end of one's own connection takes to be noticed.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// What becomes of a connection once a request on it is answered.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum After {
    Closed,
    Kept,
    /// It is one of something else, if the answer agrees.
    Upgraded,
}

impl Client {
    /// The connection, if another request can come on it.
    pub(super) fn reusable(&mut self) -> Result<Option<TcpStream>, EnvoyError> {
        self.look()?;
        match &self.ended {
            _ if self.closed => Ok(None),
            Some(ended) if ended.leaves_open() => Ok(Some(self.connection.try_clone()?)),
            _ => Ok(None),
        }
    }

    /// Begins to send; the pieces go out one by one. The client waits so long in all.
    pub(super) fn send(
        connection: TcpStream,
        pieces: Vec<Vec<u8>>,
        limit: Duration,
        after: After,
    ) -> io::Result<Self> {
        let stream = connection.try_clone()?;
        let (sender, answer) = mpsc::channel();
        thread::spawn(move || {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let answer = match after {
                After::Closed => http1::exchange_on(stream, &pieces, limit),
                After::Kept => http1::exchange_and_keep(stream, &pieces, limit),
                After::Upgraded => http1::upgrade_on(stream, &pieces, limit),
            };
            // Nobody listens once the case is over.
            let _ = sender.send(ended(answer));
        });
        Ok(Self {
            port: connection.local_addr()?.port(),
            connection,
            endless: after == After::Upgraded,
            answer,
            ended: None,
            closed: false,
        })
    }

    /// The same over HTTP/2.
    pub(super) fn send_http2(
        address: SocketAddr,
        request: http2::Request,
        limit: Duration,
    ) -> io::Result<Self> {
        let connection = TcpStream::connect(address)?;
        let stream = connection.try_clone()?;
        let (sender, answer) = mpsc::channel();
        thread::spawn(move || {
            let answer = http2::exchange_on(stream, &request, limit);
            // As above.
            let _ = sender.send(ended_http2(answer));
        });
        Ok(Self {
            port: connection.local_addr()?.port(),
            connection,
            endless: false,
            answer,
            ended: None,
            closed: false,
        })
    }

    /// The port of our end of its connection; 0 if that is gone.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Takes what has arrived, without waiting.
    ///
    /// # Errors
    ///
    /// What befell the client itself: only what the peer did is an end of the request.
    pub(super) fn look(&mut self) -> Result<(), EnvoyError> {
        if self.ended.is_none()
            && let Ok(answer) = self.answer.try_recv()
        {
            self.ended = Some(answer?);
        }
        Ok(())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Goes away. What came behind an upgrade stays with it.
    pub(super) fn close(&mut self) {
        self.closed = true;
        // A connection that is closed already is as good.
        let _ = self.connection.shutdown(Shutdown::Both);
        if self.endless
            && self.ended.is_none()
            && let Ok(Ok(Ended::Answered(answer))) = self.answer.recv_timeout(GONE_WITHIN)
        {
            self.ended = Some(Ended::Answered(answer));
        }
        self.ended.get_or_insert(Ended::Abandoned);
    }

    /// Sends bytes behind its request, which Envoy reads by themselves.
    pub(super) fn send_behind(&mut self, bytes: &[u8]) {
        // The other side may be gone, which the reading tells.
        let _ = (&self.connection).write_all(bytes);
        if let Some(link) = Link::of(&self.connection) {
            link.clear();
        }
    }

    pub(super) fn ended(&mut self) -> Ended {
        self.ended.clone().unwrap_or(Ended::Held)
    }
}

fn ended(answer: Result<http1::Response, http1::Error>) -> Result<Ended, EnvoyError> {
    use http1::Error::{Broken, Closed, Truncated};
    match answer {
        Ok(response) => Ok(Ended::Answered(wire::answered(response))),
        Err(Broken(_) | Closed | Truncated { .. }) => Ok(Ended::Reset),
        Err(error) => Err(error.into()),
    }
}

fn ended_http2(answer: Result<http1::Response, http2::Error>) -> Result<Ended, EnvoyError> {
    use http2::Error::{Reset, Truncated};
    match answer {
        Ok(response) => Ok(Ended::Answered(wire::answered(response))),
        Err(Reset(_) | Truncated { .. }) => Ok(Ended::Reset),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_peer_did_is_a_reset() {
        assert_eq!(ended(Err(http1::Error::Closed)).unwrap(), Ended::Reset);
        let broken = http1::Error::Broken(io::ErrorKind::ConnectionReset.into());
        assert_eq!(ended(Err(broken)).unwrap(), Ended::Reset);
        let limit = Duration::from_secs(1);
        let late = ended(Err(http1::Error::TimedOut { limit }));
        assert!(matches!(late, Err(EnvoyError::Client(_))), "{late:?}");
        let unsendable = http2::Error::Unsendable {
            part: "te".to_owned(),
        };
        let unsent = ended_http2(Err(unsendable));
        assert!(
            matches!(unsent, Err(EnvoyError::Http2Client(_))),
            "{unsent:?}"
        );
    }
}
