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
    while let Some(request) = Message::read(&mut reader)? {
        look(&request, tally);
        let answer = answer(&request);
        match request.number("x-fault") {
            0 => out.write_all(&answer)?,
            fault => {
                if fault == 2 {
                    out.write_all(&answer[..answer.len() / 2])?;
                    // What was sent is to arrive before the reset.
                    thread::sleep(Duration::from_millis(2));
                }
                return SockRef::from(&out).set_linger(Some(Duration::ZERO));
            }
        }
    }
    Ok(())
}

fn look(request: &Message, tally: &Tally) {
    let has_secret = |text: &str| text.contains(SECRET);
    let mut texts = request.headers.iter().map(|(_, value)| value.as_str());
    if has_secret(&request.start) || texts.any(has_secret) {
        raise(&tally.leaks);
    }
    let target = request.start.split(' ').nth(1);
    let changed = match request.header("x-wants") {
        Some(wanted) => request.header("x-bench") == Some(wanted),
        None => true,
    };
    let is_right = target == request.header("x-target")
        && request.header("x-sum") == Some(&sum(&request.body).to_string())
        && changed;
    if !is_right {
        raise(&tally.wrong_requests);
    }
}

fn answer(request: &Message) -> Vec<u8> {
    let length = request.number("x-reply");
    let body = filler(length, length);
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    let pieces = request.number("x-pieces");
    if pieces == 0 {
        bytes.extend(format!("content-length: {length}\r\n\r\n").bytes());
        bytes.extend(body);
        return bytes;
    }
    bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
    for piece in body.chunks(length.div_ceil(pieces).max(1)) {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\nx-end: 1\r\n\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::soak::tally::of;

    /// What is counted of a request whose body is "x": leaks, and what is wrong.
    fn counted(target: &str, header: &str) -> (u64, u64) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let request = format!(
            "POST {target} HTTP/1.1\r\nx-target: /a\r\nx-sum: {}\r\n{header}\r\ncontent-length: 1\r\n\r\nx",
            sum(b"x")
        );
        client.write_all(request.as_bytes()).unwrap();
        let tally = Tally::default();
        let message = Message::read(&mut BufReader::new(server)).unwrap();
        look(&message.unwrap(), &tally);
        (of(&tally.leaks), of(&tally.wrong_requests))
    }

    #[test]
    fn secrets_and_changes_are_counted() {
        assert_eq!(counted("/a", "x-tag: 1"), (0, 0));
        assert_eq!(counted("/a", "x-tag: Bearer SECRET-1"), (1, 0));
        assert_eq!(counted("/a?token=SECRET-1", "x-tag: 1"), (1, 1));
        assert_eq!(counted("/a", "x-wants: 1"), (0, 1));
    }
}
