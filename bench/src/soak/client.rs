//! A client that sends requests by lot, cut anywhere, and resets some.

use std::io::{self, BufReader, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use socket2::SockRef;

use super::draw::Lot;
use super::message::{Message, filler, sum};
use super::subject::Subject;
use super::tally::{Tally, raise};
use super::upstream::{Answer, SECRET};

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
    pieces: usize,
}

/// What came back.
enum Came {
    /// Nothing in time.
    Late,
    /// The connection ended before a head.
    Nothing,
    /// A head and some of its body.
    Part(Message),
    Whole(Message),
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
        if drawn.has_secret() {
            raise(&self.tally.secrets);
        }
        let came = match sent {
            Ok(()) => Came::read(&mut reader),
            Err(_) => Came::Nothing,
        };
        raise(drawn.verdict(&came, &self.tally));
        let Came::Whole(answer) = came else {
            return Ok(None);
        };
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
            pieces,
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

impl Drawn {
    fn has_secret(&self) -> bool {
        let secret = SECRET.as_bytes();
        self.bytes.windows(secret.len()).any(|it| it == secret)
    }

    /// Where a stream is counted that came to this end.
    fn verdict<'t>(&self, came: &Came, tally: &'t Tally) -> &'t AtomicU64 {
        let body = || filler(self.reply, self.reply);
        match (self.fault, came) {
            (_, Came::Late | Came::Nothing) | (Fault::None, Came::Part(_)) => &tally.lost,
            (Fault::None, Came::Whole(answer)) => match answer.status() {
                "200" if answer.body == body() => &tally.answered,
                status if status.starts_with('5') => &tally.unmeant,
                _ => &tally.wrong_answers,
            },
            _ => match self.is_reset_right(came) {
                true => &tally.upstream_resets,
                false => &tally.wrong_resets,
            },
        }
    }

    /// Whether Envoy has made of the upstream's reset what it should.
    fn is_reset_right(&self, came: &Came) -> bool {
        let begins = Answer::of(self.reply, self.pieces).begins();
        match (self.fault, came) {
            // Envoy passes on what it has, and resets in its turn.
            (Fault::Within, Came::Part(answer)) => {
                begins
                    && answer.status() == "200"
                    && answer.body.len() < self.reply
                    && filler(self.reply, self.reply).starts_with(&answer.body)
            }
            // To Envoy, a part of a head is none that HTTP knows.
            (Fault::Within, Came::Whole(answer)) => {
                !begins && is_envoys_own(answer, "502", "protocol error")
            }
            (Fault::Before, Came::Whole(answer)) => {
                is_envoys_own(answer, "503", "connection termination")
            }
            _ => false,
        }
    }
}

/// Whether Envoy says by itself, and no filter does, why there is no answer of the upstream.
fn is_envoys_own(answer: &Message, status: &str, reason: &str) -> bool {
    let said = format!(
        "upstream connect error or disconnect/reset before headers. reset reason: {reason}"
    );
    answer.status() == status && answer.body == said.as_bytes()
}

impl Came {
    fn read(reader: &mut BufReader<TcpStream>) -> Self {
        let is_late = |error: &io::Error| {
            [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind())
        };
        let mut message = match Message::head(reader) {
            Ok(Some(message)) => message,
            Err(error) if is_late(&error) => return Self::Late,
            Ok(None) | Err(_) => return Self::Nothing,
        };
        match message.rest(reader) {
            Ok(()) => Self::Whole(message),
            Err(error) if is_late(&error) => Self::Late,
            Err(_) => Self::Part(message),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::tally::of;

    /// The name of where an end is counted.
    fn counted(fault: Fault, reply: usize, came: &Came) -> &'static str {
        let drawn = Drawn {
            bytes: Vec::new(),
            fault,
            reply,
            pieces: 0,
        };
        let tally = Tally::default();
        raise(drawn.verdict(came, &tally));
        let counts = [
            (&tally.answered, "answered"),
            (&tally.upstream_resets, "reset"),
            (&tally.lost, "lost"),
            (&tally.unmeant, "unmeant"),
            (&tally.wrong_answers, "wrong answer"),
            (&tally.wrong_resets, "wrong reset"),
        ];
        let mut raised = counts.iter().filter(|(count, _)| of(count) == 1);
        raised.next().unwrap().1
    }

    /// What Envoy says by itself.
    fn own(status: u16, reason: &str) -> Came {
        let said = "upstream connect error or disconnect/reset before headers. reset reason: ";
        Came::Whole(message(status, format!("{said}{reason}").into_bytes()))
    }

    fn message(status: u16, body: Vec<u8>) -> Message {
        Message {
            start: format!("HTTP/1.1 {status} X"),
            headers: Vec::new(),
            body,
        }
    }

    #[test]
    fn an_answer_is_held_to_what_the_upstream_sends() {
        let whole = |status, body| Came::Whole(message(status, body));
        assert_eq!(
            counted(Fault::None, 3, &whole(200, filler(3, 3))),
            "answered"
        );
        assert_eq!(
            counted(Fault::None, 3, &whole(200, filler(2, 3))),
            "wrong answer"
        );
        assert_eq!(
            counted(Fault::None, 3, &whole(404, filler(3, 3))),
            "wrong answer"
        );
        assert_eq!(counted(Fault::None, 3, &whole(503, Vec::new())), "unmeant");
        assert_eq!(counted(Fault::None, 3, &Came::Nothing), "lost");
        let part = Came::Part(message(200, filler(1, 3)));
        assert_eq!(counted(Fault::None, 3, &part), "lost");
    }

    #[test]
    fn a_reset_before_an_answer_is_a_503() {
        let (ended, broken) = ("connection termination", "protocol error");
        let before = |came: &Came| counted(Fault::Before, 0, came);
        assert_eq!(before(&own(503, ended)), "reset");
        assert_eq!(before(&own(500, ended)), "wrong reset");
        // A plugin whose VM is gone is a 503 without a word.
        assert_eq!(before(&own(503, broken)), "wrong reset");
        assert_eq!(
            before(&Came::Whole(message(503, Vec::new()))),
            "wrong reset"
        );
        assert_eq!(before(&Came::Nothing), "lost");
        // Half of a head is another fault.
        let within = |came: &Came| counted(Fault::Within, 0, came);
        assert_eq!(within(&own(502, broken)), "reset");
        assert_eq!(within(&own(503, ended)), "wrong reset");
        assert_eq!(
            within(&Came::Whole(message(200, Vec::new()))),
            "wrong reset"
        );
        assert_eq!(within(&Came::Nothing), "lost");
    }

    #[test]
    fn a_reset_within_an_answer_cuts_it() {
        let part = |status, body| Came::Part(message(status, body));
        let within = |came: &Came| counted(Fault::Within, 500, came);
        assert_eq!(within(&part(200, filler(250, 500))), "reset");
        assert_eq!(within(&Came::Nothing), "lost");
        assert_eq!(within(&Came::Late), "lost");
        assert_eq!(within(&part(200, filler(250, 1))), "wrong reset");
        assert_eq!(within(&part(500, filler(250, 500))), "wrong reset");
        assert_eq!(
            within(&Came::Whole(message(200, filler(500, 500)))),
            "wrong reset"
        );
        assert_eq!(
            within(&Came::Whole(message(503, Vec::new()))),
            "wrong reset"
        );
    }
}
