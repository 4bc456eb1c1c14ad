//! TCP connections through Envoy.

mod server;
mod servers;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use crate::case::TcpStep;
use crate::seen::{Connection, PeerEnd, Received, Seen};
pub(super) use servers::Servers;

/// The clients of a play.
#[derive(Default)]
pub(super) struct Clients(Vec<Client>);

struct Client {
    /// Gone once the client has reset it.
    stream: Option<TcpStream>,
    received: Received,
    begun: Instant,
    /// When it was seen that the connection is over.
    over: Option<Instant>,
}

impl Clients {
    pub(super) fn step(&mut self, address: SocketAddr, step: &TcpStep) -> io::Result<()> {
        match step {
            TcpStep::Connect => {
                // Envoy may be with the upstream before this thread goes on.
                let begun = Instant::now();
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                self.0.push(Client {
                    stream: Some(stream),
                    received: Received::default(),
                    begun,
                    over: None,
                });
            }
            TcpStep::Send(number, bytes) => {
                if let Some(client) = self.0.get_mut(*number) {
                    client.send(bytes)?;
                }
            }
            TcpStep::HalfClose(number) => {
                if let Some(client) = self.0.get(*number)
                    && let Some(stream) = &client.stream
                {
                    // The other side may be gone, which the reading tells.
                    let _ = stream.shutdown(Shutdown::Write);
                }
            }
            TcpStep::Abort(number) => {
                if let Some(client) = self.0.get_mut(*number) {
                    client.look();
                    if let Some(stream) = client.stream.take() {
                        attache_envoy::tcp::reset(stream)?;
                        if client.received.end == PeerEnd::Open {
                            client.received.end = PeerEnd::Reset;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads what has arrived; how much there is by now, and how many have ended.
    pub(super) fn look(&mut self) -> usize {
        self.0.iter_mut().map(Client::look).sum()
    }

    /// What they received, beside what the servers did of theirs. Envoy connects in the order of the connections
    /// that are let on; one that was over before is none of those, nor one that is held, which is foreseen.
    pub(super) fn seen(
        &mut self,
        servers: Option<&Servers>,
        foreseen: Option<&Seen>,
    ) -> Vec<Connection> {
        let held = |number: usize| {
            let connection = foreseen.and_then(|seen| seen.connections.get(number));
            connection.is_some_and(|foreseen| foreseen.upstream == Received::default())
        };
        let mut seen: Vec<Connection> = Vec::new();
        let mut served = vec![false; self.0.len()];
        for client in &self.0 {
            seen.push(Connection {
                upstream: Received::default(),
                downstream: client.received.clone(),
            });
        }
        for (accepted, received) in servers.map(Servers::received).unwrap_or_default() {
            let was_open = |client: &Client| {
                client.begun <= accepted && client.over.is_none_or(|over| over > accepted)
            };
            let clients = self.0.iter().enumerate();
            let own = clients
                .filter(|(number, client)| !served[*number] && was_open(client))
                .min_by_key(|(number, _)| (held(*number), *number));
            if let Some((number, _)) = own {
                served[number] = true;
                seen[number].upstream = received;
            }
        }
        seen
    }
}

impl Client {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A reset is told once: to the writing, if that comes before the reading.
        self.look();
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        stream.set_nonblocking(false)?;
        let sent = stream.write_all(bytes);
        stream.set_nonblocking(true)?;
        let reset = sent.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
        if reset && self.received.end == PeerEnd::Open {
            self.received.end = PeerEnd::Reset;
        }
        Ok(())
    }

    fn look(&mut self) -> usize {
        if let Some(stream) = &mut self.stream {
            let mut buffer = [0; 16 * 1024];
            while self.received.end == PeerEnd::Open {
                match stream.read(&mut buffer) {
                    Ok(0) => self.received.end = PeerEnd::Fin,
                    Ok(count) => self.received.bytes.extend_from_slice(&buffer[..count]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => self.received.end = PeerEnd::Reset,
                }
            }
        }
        if self.received.end != PeerEnd::Open {
            self.over.get_or_insert_with(Instant::now);
        }
        self.received.weight()
    }
}
