//! An upstream that looks at what came through, and answers or fails as each request asks it to.

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::message::{Message, filler, sum};
use super::tally::{Tally, raise};

/// What stands in all secrets, and in nothing else.
pub(super) const SECRET: &str = "SECRET";

/// Listens until this process ends, a thread for each connection.
pub(super) fn start(tally: &Arc<Tally>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let tally = Arc::clone(tally);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let tally = Arc::clone(&tally);
            // A proxy that is gone is no fault here; the client sees what it means.
            thread::spawn(move || drop(serve(stream, &tally)));
        }
    });
    Ok(address)
}

fn serve(stream: TcpStream, tally: &Tally) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = receive(&mut reader, tally)? {
        let answer = Answer::of(request.number("x-reply"), request.number("x-pieces"));
        match request.number("x-fault") {
            0 => out.write_all(&answer.bytes)?,
            fault => {
                if fault == 2 {
                    out.write_all(answer.half())?;
                    // What was sent is to arrive before the reset.
                    thread::sleep(Duration::from_millis(2));
                }
                return SockRef::from(&out).set_linger(Some(Duration::ZERO));
            }
        }
    }
    Ok(())
}

/// A request, looked at as far as it comes: secrets must not even be in one that the client has cut.
fn receive(reader: &mut BufReader<TcpStream>, tally: &Tally) -> io::Result<Option<Message>> {
    let Some(mut request) = Message::head(reader)? else {
        return Ok(None);
    };
    raise(&tally.searched);
    let in_head = has_secret(&request);
    if in_head {
        raise(&tally.leaks);
    }
    if let Err(error) = request.rest(reader) {
        raise(&tally.cut);
        return Err(error);
    }
    // Trailers are among the headers now.
    if !in_head && has_secret(&request) {
        raise(&tally.leaks);
    }
    if !is_right(&request) {
        raise(&tally.wrong_requests);
    }
    Ok(Some(request))
}

fn has_secret(request: &Message) -> bool {
    let fields = request.headers.iter();
    let mut texts = fields.flat_map(|(name, value)| [name, value]);
    // Names are read as lower case.
    request.start.contains(SECRET) || texts.any(|it| it.to_uppercase().contains(SECRET))
}

fn is_right(request: &Message) -> bool {
    let target = request.start.split(' ').nth(1);
    let changed = match request.header("x-wants") {
        Some(wanted) => request.header("x-bench") == Some(wanted),
        None => true,
    };
    target == request.header("x-target")
        && request.header("x-sum") == Some(&sum(&request.body).to_string())
        && changed
}

/// What a request is answered with.
pub(super) struct Answer {
    bytes: Vec<u8>,
    /// How many of them are the head.
    head: usize,
}

impl Answer {
    /// One with a body of `length` bytes in so many chunks, or of a known length if in none.
    pub(super) fn of(length: usize, pieces: usize) -> Self {
        let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        if pieces == 0 {
            bytes.extend(format!("content-length: {length}\r\n\r\n").bytes());
        } else {
            bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
        }
        let head = bytes.len();
        let body = filler(length, length);
        if pieces == 0 {
            bytes.extend(body);
            return Self { bytes, head };
        }
        for piece in body.chunks(length.div_ceil(pieces).max(1)) {
            bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
            bytes.extend(piece);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\nx-end: 1\r\n\r\n");
        Self { bytes, head }
    }

    /// What of it goes out before a reset in its midst.
    fn half(&self) -> &[u8] {
        &self.bytes[..self.bytes.len() / 2]
    }

    /// Whether Envoy has a whole head before such a reset, and so has let it go on.
    pub(super) fn begins(&self) -> bool {
        self.half().len() >= self.head
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::soak::tally::of;

    /// What is counted of a request with a body of one byte, of which so many come: leaks, what is wrong, and
    /// what is cut.
    fn counted(target: &str, header: &str, body: &[u8]) -> [u64; 3] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let request = format!(
            "POST {target} HTTP/1.1\r\nx-target: /a\r\nx-sum: {}\r\n{header}\r\ncontent-length: 1\r\n\r\n",
            sum(b"x")
        );
        client.write_all(request.as_bytes()).unwrap();
        client.write_all(body).unwrap();
        drop(client);
        let tally = Tally::default();
        let received = receive(&mut BufReader::new(server), &tally);
        assert_eq!(received.is_ok(), body == b"x");
        assert_eq!(of(&tally.searched), 1);
        [&tally.leaks, &tally.wrong_requests, &tally.cut].map(of)
    }

    #[test]
    fn secrets_and_changes_are_counted() {
        assert_eq!(counted("/a", "x-tag: 1", b"x"), [0, 0, 0]);
        assert_eq!(counted("/a", "x-tag: Bearer SECRET-1", b"x"), [1, 0, 0]);
        assert_eq!(counted("/a", "x-secret-1: 1", b"x"), [1, 0, 0]);
        assert_eq!(counted("/a?token=SECRET-1", "x-tag: 1", b"x"), [1, 1, 0]);
        assert_eq!(counted("/a", "x-wants: 1", b"x"), [0, 1, 0]);
    }

    #[test]
    fn a_request_that_is_cut_is_searched_too() {
        assert_eq!(counted("/a", "x-tag: SECRET-1", b""), [1, 0, 1]);
        assert_eq!(counted("/a", "x-tag: 1", b""), [0, 0, 1]);
    }

    #[test]
    fn half_of_a_short_answer_has_no_head() {
        assert!(!Answer::of(0, 0).begins());
        assert!(!Answer::of(10, 3).begins());
        assert!(Answer::of(1_000, 0).begins());
        assert!(Answer::of(1_000, 6).begins());
    }
}
