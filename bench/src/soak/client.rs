//! A client that sends requests by lot, cut anywhere, and resets some.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::draw::Lot;
use super::message::{Message, filler, sum};
use super::subject::Subject;
use super::tally::{Tally, raise};

/// An answer that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Of a hundred streams, how many the client resets, and how many the upstream.
const RESETS: usize = 4;

pub(super) struct Client {
    pub(super) address: SocketAddr,
    pub(super) subject: Subject,
    pub(super) lot: Lot,
    pub(super) tally: Arc<Tally>,
}

/// What the upstream is asked to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    None,
    /// A reset in the place of an answer.
    Before,
    /// A reset in the middle of it.
    Within,
}

/// A request, and what it is answered with.
struct Drawn {
    bytes: Vec<u8>,
    fault: Fault,
    reply: usize,
}

impl Client {
    /// Sends as many.
    pub(super) fn run(mut self, streams: usize) -> io::Result<()> {
        let mut connection = None;
        for _ in 0..streams {
            let stream = match connection.take() {
                Some(open) => open,
                None => connect(self.address)?,
            };
            connection = self.stream(stream)?;
            raise(&self.tally.streams);
        }
        Ok(())
    }

    /// One stream; gives the connection back if it goes on.
    fn stream(
        &mut self,
        mut reader: BufReader<TcpStream>,
    ) -> io::Result<Option<BufReader<TcpStream>>> {
        let drawn = self.draw();
        let resets = self.lot.happens(RESETS);
        let until = match resets {
            true => 1 + self.lot.below(drawn.bytes.len()),
            false => drawn.bytes.len(),
        };
        let sent = self.send(reader.get_mut(), &drawn.bytes[..until]);
        if resets {
            if self.lot.happens(50) {
                std::thread::sleep(Duration::from_micros(self.lot.below(2_000) as u64));
            }
            SockRef::from(reader.get_ref()).set_linger(Some(Duration::ZERO))?;
            raise(&self.tally.client_resets);
            return Ok(None);
        }
        let answer = sent.and_then(|()| Message::read(&mut reader));
        if drawn.fault != Fault::None {
            raise(&self.tally.upstream_resets);
        }
        let Ok(Some(answer)) = answer else {
            if drawn.fault != Fault::Within {
                raise(&self.tally.lost);
            }
            return Ok(None);
        };
        let status = answer.start.split(' ').nth(1).unwrap_or_default();
        match drawn.fault {
            // Envoy says so itself; or the answer was short enough to be out before.
            Fault::Before | Fault::Within => {}
            Fault::None if status.starts_with('5') => raise(&self.tally.unmeant),
            Fault::None if status == "200" && answer.body == filler(drawn.reply, drawn.reply) => {
                raise(&self.tally.answered);
            }
            Fault::None => raise(&self.tally.wrong_answers),
        }
        let goes_on = drawn.fault == Fault::None && answer.header("connection") != Some("close");
        Ok(goes_on.then_some(reader))
    }

    fn draw(&mut self) -> Drawn {
        let lot = &mut self.lot;
        let fault = match lot.below(100) {
            0..RESETS if lot.happens(50) => Fault::Before,
            0..RESETS => Fault::Within,
            _ => Fault::None,
        };
        let reply = size(lot);
        let pieces = if lot.happens(50) { 1 + lot.below(6) } else { 0 };
        let mut request = self.subject.draw(lot);
        let number = match fault {
            Fault::None => 0,
            Fault::Before => 1,
            Fault::Within => 2,
        };
        request.head.push_str(&format!(
            "x-fault: {number}\r\nx-reply: {reply}\r\nx-pieces: {pieces}\r\nx-sum: {}\r\n",
            sum(&request.arrives)
        ));
        let mut bytes = request.head.into_bytes();
        let body = request.body;
        if body.is_empty() {
            bytes.extend(b"\r\n");
        } else if lot.happens(50) {
            bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
            bytes.extend(body);
        } else {
            bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
            let mut rest = body.as_slice();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(1 + lot.below(rest.len()));
                bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
                bytes.extend(piece);
                bytes.extend(b"\r\n");
                rest = behind;
            }
            let end: &[u8] = match lot.happens(30) {
                true => b"0\r\nx-last: 1\r\n\r\n",
                false => b"0\r\n\r\n",
            };
            bytes.extend(end);
        }
        Drawn {
            bytes,
            fault,
            reply,
        }
    }

    /// Sends bytes, cut anywhere.
    fn send(&mut self, stream: &mut TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        let mut cuts = self.lot.below(5);
        while cuts > 0 && bytes.len() > 1 {
            let (now, later) = bytes.split_at(1 + self.lot.below(bytes.len() - 1));
            stream.write_all(now)?;
            if self.lot.happens(30) {
                std::thread::sleep(Duration::from_micros(50));
            }
            bytes = later;
            cuts -= 1;
        }
        stream.write_all(bytes)
    }
}

/// Mostly small, sometimes up to 64 KiB.
pub(super) fn size(lot: &mut Lot) -> usize {
    match lot.below(10) {
        0..3 => 0,
        3..9 => lot.below(2 << 10),
        _ => lot.below(64 << 10),
    }
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}
