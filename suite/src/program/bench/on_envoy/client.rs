//! A client that keeps connections busy.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail};

use super::super::requests::Wire;

/// Connections with a request on its way at once, so that Envoy finds many events whenever it looks.
const CONNECTIONS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Connections to one listener, and the request that they send again and again.
pub(super) struct Client {
    address: SocketAddr,
    connections: Vec<TcpStream>,
    request: Vec<u8>,
}

impl Client {
    pub(super) fn connect(address: SocketAddr, wire: &Wire) -> anyhow::Result<Self> {
        let connections = (0..CONNECTIONS).map(|_| connect(address));
        Ok(Self {
            address,
            connections: connections.collect::<anyhow::Result<_>>()?,
            request: wire.bytes.clone(),
        })
    }

    /// Sends at least `count` requests over all connections, and gives their number and the status of
    /// the last answer.
    pub(super) fn send(&mut self, count: usize) -> anyhow::Result<(usize, u16)> {
        let turns = count.div_ceil(CONNECTIONS);
        let mut status = 0;
        for _ in 0..turns {
            for stream in &mut self.connections {
                stream
                    .write_all(&self.request)
                    .context("Envoy takes no request")?;
            }
            for stream in &mut self.connections {
                let answer = Answer::read(stream)?;
                status = answer.status;
                if answer.closes {
                    *stream = connect(self.address)?;
                }
            }
        }
        Ok((turns * CONNECTIONS, status))
    }
}

fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).context("Envoy takes no connection")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// What is looked at of an answer.
struct Answer {
    status: u16,
    closes: bool,
}

impl Answer {
    /// Reads a whole answer, with a body of a known length or in chunks.
    fn read(stream: &mut TcpStream) -> anyhow::Result<Self> {
        let mut bytes = Vec::with_capacity(4096);
        let mut buffer = [0; 8192];
        let mut head = None;
        loop {
            if head.is_none() {
                head = bytes.windows(4).position(|end| end == b"\r\n\r\n");
            }
            if let Some(end) = head {
                let text = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
                let body = &bytes[end + 4..];
                let whole = match header(&text, "content-length") {
                    Some(length) => body.len() >= length.parse().context("no content-length")?,
                    None => {
                        header(&text, "transfer-encoding").is_none() || body.ends_with(b"0\r\n\r\n")
                    }
                };
                if whole {
                    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok());
                    return Ok(Self {
                        status: status.context("an answer without a status")?,
                        closes: header(&text, "connection") == Some("close"),
                    });
                }
            }
            let read = stream
                .read(&mut buffer)
                .with_context(|| format!("no answer within {} s", PATIENCE.as_secs()))?;
            if read == 0 {
                bail!("the connection was closed before the answer was whole");
            }
            bytes.extend_from_slice(&buffer[..read]);
        }
    }
}

fn header<'t>(head: &'t str, name: &str) -> Option<&'t str> {
    head.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        (known == name).then(|| value.trim())
    })
}
