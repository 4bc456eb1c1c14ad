//! HTTP/1.1 as both ends read it: a head, and as much of what follows as comes.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;

/// A message, or what came of it.
#[derive(Debug)]
pub(super) struct Message {
    /// Its first line.
    pub(super) start: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// Reads the next one's head; nothing where the connection ends before one begins.
    pub(super) fn head(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let Some(start) = line(reader)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            start,
            headers: fields(reader)?,
            body: Vec::new(),
        }))
    }

    /// Reads what comes behind the head. Of a body that does not come whole, what came is kept.
    pub(super) fn rest(&mut self, reader: &mut BufReader<TcpStream>) -> io::Result<()> {
        if self.header("transfer-encoding") == Some("chunked") {
            loop {
                let size = line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
                let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
                if size == 0 {
                    break;
                }
                self.take(reader, size)?;
                line(reader)?;
            }
            let trailers = fields(reader)?;
            self.headers.extend(trailers);
        } else if let Some(length) = self.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            self.take(reader, length)?;
        }
        Ok(())
    }

    fn take(&mut self, reader: &mut BufReader<TcpStream>, count: usize) -> io::Result<()> {
        let came = reader.take(count as u64).read_to_end(&mut self.body)?;
        if came < count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// The number of a response.
    pub(super) fn status(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn number(&self, name: &str) -> usize {
        let value = self.header(name).and_then(|value| value.parse().ok());
        value.unwrap_or_default()
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if reader.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let text = bytes.strip_suffix(b"\r\n");
    let text = text.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Some(String::from_utf8_lossy(text).into_owned()))
}

fn fields(reader: &mut BufReader<TcpStream>) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = line(reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

/// The bytes that an upstream answers with.
pub(super) fn filler(length: usize, seed: usize) -> Vec<u8> {
    let sign = |at: usize| b"abcdefghijklmnopqrstuvwxyz0123456789"[(at + seed) % 36];
    (0..length).map(sign).collect()
}

/// A number that other bytes hardly have (FNV-1a).
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
