//! A client for HTTP/1.1 that hides nothing.
//!
//! [`exchange`] sends a request byte for byte as it is given, however odd, and
//! returns the answer with names and values as the bytes on the wire, in their
//! order and with their case. It is for looking at what a proxy does, and for
//! its admin endpoint; it is no client for the open internet.

mod framing;
mod lenient;
mod message;
mod wire;

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::link::Pace;
pub(crate) use framing::Framing;
pub(crate) use message::values;
pub use message::{Header, Response};

pub use crate::link::PAUSE;
pub(crate) use wire::Wire;

/// How much of a message is read before it is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Bytes of a start line with its headers, and of trailers.
    pub head: usize,
    /// Bytes of a decoded body.
    pub body: usize,
}

/// 256 KiB of headers, more than four times what Envoy lets pass, and 64 MiB of body.
impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 256 << 10,
            body: 64 << 20,
        }
    }
}

/// Why a message could not be exchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody listens at the address.
    #[error("cannot connect to `{address}`")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("the connection broke")]
    Broken(#[source] std::io::Error),
    /// The connection was closed before a message began.
    #[error("the connection was closed without an answer")]
    Closed,
    /// The message had not ended when its time was up.
    #[error("the answer was not complete within {} ms", limit.as_millis())]
    TimedOut {
        /// The time it was given.
        limit: Duration,
    },
    /// The connection ended within the message.
    #[error("the connection was closed within the answer")]
    Truncated {
        /// What had arrived.
        received: Box<Response>,
    },
    /// What arrived is not HTTP/1.
    #[error("what arrived is not HTTP/1")]
    Syntax(#[from] httparse::Error),
    /// The length of the body cannot be told.
    #[error("the length of the body cannot be told: `{reason}`")]
    Length {
        /// What is wrong with the headers.
        reason: String,
    },
    /// The message is longer than it may be.
    #[error("the {what} is longer than {limit} bytes")]
    TooLong {
        /// The part of the message.
        what: &'static str,
        /// The limit that it passed.
        limit: usize,
    },
}

/// Sends `request` and reads one answer, with [`Limits::default`].
///
/// Interim answers (1xx but 101) are read and left out. The connection stays
/// open in both directions until the answer is complete: Envoy takes a client
/// that closes its side for one that has gone.
///
/// # Errors
///
/// [`Error`]; [`Error::Truncated`] holds what had arrived.
pub fn exchange(address: SocketAddr, request: &[u8], timeout: Duration) -> Result<Response, Error> {
    exchange_within(address, request, timeout, Limits::default())
}

/// Like [`exchange`], with limits of the caller's choice.
///
/// # Errors
///
/// [`Error`].
pub fn exchange_within(
    address: SocketAddr,
    request: &[u8],
    timeout: Duration,
    limits: Limits,
) -> Result<Response, Error> {
    let connect = |source| Error::Connect { address, source };
    let stream = TcpStream::connect_timeout(&address, timeout).map_err(connect)?;
    converse(stream, &[request], timeout, limits, After::Closed)
}

/// Like [`exchange`], on a connection that is there already, with a request in
/// pieces that the server receives one by one: each is sent when the one before has been read. Whoever
/// keeps a clone of the connection can end the exchange by closing it.
///
/// # Errors
///
/// [`Error`].
pub fn exchange_on(
    stream: TcpStream,
    pieces: &[&[u8]],
    timeout: Duration,
) -> Result<Response, Error> {
    converse(stream, pieces, timeout, Limits::default(), After::Closed)
}

/// Like [`exchange_on`], and leaves the connection open for another exchange. What the server sends
/// beyond its answer is lost.
///
/// # Errors
///
/// [`Error`].
pub fn exchange_and_keep(
    stream: TcpStream,
    pieces: &[&[u8]],
    timeout: Duration,
) -> Result<Response, Error> {
    converse(stream, pieces, timeout, Limits::default(), After::Kept)
}

/// Like [`exchange_on`], with a request that asks for an upgrade. Where the answer agrees, its body is
/// what came behind it until the connection ended, however it did.
///
/// # Errors
///
/// [`Error`].
pub fn upgrade_on(
    stream: TcpStream,
    pieces: &[&[u8]],
    timeout: Duration,
) -> Result<Response, Error> {
    converse(stream, pieces, timeout, Limits::default(), After::Upgraded)
}

/// What becomes of the connection of an exchange.
#[derive(Clone, Copy, Eq, PartialEq)]
enum After {
    Closed,
    Kept,
    Upgraded,
}

fn converse(
    stream: TcpStream,
    pieces: &[&[u8]],
    timeout: Duration,
    limits: Limits,
    after: After,
) -> Result<Response, Error> {
    let deadline = Instant::now() + timeout;
    stream.set_nodelay(true).map_err(Error::Broken)?;
    let outgoing = stream.try_clone().map_err(Error::Broken)?;
    let closing = stream.try_clone().map_err(Error::Broken)?;
    let start = pieces.first().copied().unwrap_or_default();
    let method = start.split(|byte| *byte == b' ').next().unwrap_or_default();
    let mut wire = Wire::new(stream, limits, Some((deadline, timeout)));
    thread::scope(|scope| {
        // The answer may come, and the server may stop reading, before all of
        // the request is sent; so it is sent beside. A failure to send shows
        // as a missing answer, and an answer makes it harmless.
        let sending = scope.spawn(move || send_apart(&outgoing, pieces));
        let mut response = wire.response(method);
        if let (After::Upgraded, Ok(response)) = (after, &mut response)
            && response.status == 101
        {
            response.body = wire.rest();
        }
        if after != After::Kept || response.is_err() {
            let _ = closing.shutdown(Shutdown::Both);
        }
        match (response, sending.join()) {
            (Err(Error::Closed), Ok(Err(unsent))) => Err(Error::Broken(unsent)),
            (response, _) => response,
        }
    })
}

/// Writes pieces so that they arrive one by one.
pub(crate) fn send_apart(mut outgoing: &TcpStream, pieces: &[&[u8]]) -> io::Result<()> {
    let mut pace = Pace::of(outgoing);
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            pace.pause();
        }
        outgoing.write_all(piece)?;
    }
    Ok(())
}
