//! A client that keeps connections busy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// Connections with a request on its way at once, so that Envoy finds many events whenever it looks.
/// (It ends a connection with several requests that it answers itself: "too many responses queued".)
const CONNECTIONS: usize = 20;

/// Connections to one listener, and the request that they send again and again.
#[derive(Debug)]
pub(crate) struct Client {
    connections: Vec<TcpStream>,
    request: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, request: &[u8]) -> anyhow::Result<Self> {
        let connect = |_| -> anyhow::Result<TcpStream> {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            Ok(stream)
        };
        Ok(Self {
            connections: (0..CONNECTIONS).map(connect).collect::<Result<_, _>>()?,
            request: request.to_vec(),
        })
    }

    /// Sends at least `count` requests over all connections, and gives their number and the last
    /// response's head.
    pub(crate) fn send(&mut self, count: usize) -> anyhow::Result<(usize, String)> {
        let mut last = Vec::new();
        let turns = count.div_ceil(CONNECTIONS);
        for _ in 0..turns {
            for stream in &mut self.connections {
                stream.write_all(&self.request)?;
            }
            for stream in &mut self.connections {
                last = response(stream)?;
            }
        }
        let text = String::from_utf8_lossy(&last).into_owned();
        Ok((turns * CONNECTIONS, text))
    }

    /// The time from a request to its answer.
    fn alone(&mut self) -> anyhow::Result<Duration> {
        let stream = self.connections.first_mut().context("no connection")?;
        let begun = Instant::now();
        stream.write_all(&self.request)?;
        response(stream)?;
        Ok(begun.elapsed())
    }

    /// The median time from a request to its answer, of `count` on one connection, one after the other.
    pub(crate) fn latency(&mut self, count: usize) -> anyhow::Result<Duration> {
        let times: Result<_, _> = (0..count).map(|_| self.alone()).collect();
        median(times?)
    }

    /// The same of two that take turns request by request, so that each finds what the other left behind.
    pub(crate) fn latencies(
        &mut self,
        other: &mut Self,
        count: usize,
    ) -> anyhow::Result<[Duration; 2]> {
        let pair = |_| Ok((self.alone()?, other.alone()?));
        let pairs: anyhow::Result<Vec<(Duration, Duration)>> = (0..count).map(pair).collect();
        let (own, others) = pairs?.into_iter().unzip();
        Ok([median(own)?, median(others)?])
    }
}

fn median(mut times: Vec<Duration>) -> anyhow::Result<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("no request")
}

/// As many connections with a request on each, whose answers nobody waits for.
pub(crate) fn hold(
    address: SocketAddr,
    request: &[u8],
    count: usize,
) -> anyhow::Result<Vec<TcpStream>> {
    let connect = |_| -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(request)?;
        Ok(stream)
    };
    (0..count).map(connect).collect()
}

/// Reads a response, whose status has to be 200, and gives its head. Its body is as long as the head says.
fn response(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let mut read = |bytes: &mut Vec<u8>| -> anyhow::Result<()> {
        let read = stream.read(&mut buffer).context("no response")?;
        ensure!(read > 0, "the connection ended");
        bytes.extend_from_slice(&buffer[..read]);
        Ok(())
    };
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            break at + 4;
        }
        read(&mut bytes)?;
    };
    if !bytes.starts_with(b"HTTP/1.1 200 ") {
        bail!("answered otherwise: {}", String::from_utf8_lossy(&bytes));
    }
    let length = body_length(&bytes[..head])?;
    while bytes.len() < head + length {
        read(&mut bytes)?;
    }
    ensure!(bytes.len() == head + length, "more than one response");
    bytes.truncate(head);
    Ok(bytes)
}

/// The `content-length` of a response's head; none is a response without a body.
fn body_length(head: &[u8]) -> anyhow::Result<usize> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut lines = head.lines();
    lines
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(Ok(0), |length| Ok(length.trim().parse()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A client of a server that answers the first `right` requests of each connection with 200.
    fn client(right: usize) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    for at in 0.. {
                        let mut request = [0; 18];
                        stream.read_exact(&mut request).unwrap();
                        let status = if at < right { 200 } else { 503 };
                        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                        stream.write_all(answer.as_bytes()).unwrap();
                    }
                });
            }
        });
        Client::connect(address, b"GET / HTTP/1.1\r\n\r\n").unwrap()
    }

    #[test]
    fn each_answer_has_to_be_200() {
        let mut client = client(2);
        assert_eq!(client.send(2 * CONNECTIONS).unwrap().0, 2 * CONNECTIONS);
        let error = client.send(1).unwrap_err().to_string();
        assert!(error.contains("HTTP/1.1 503"), "{error}");
    }

    #[test]
    fn lone_requests_to_two_are_as_many() {
        let (mut one, mut other) = (client(3), client(3));
        one.latencies(&mut other, 3).unwrap();
        assert!(one.alone().is_err());
        assert!(other.alone().is_err());
    }
}
