//! What became of one TCP connection, and what an upstream does in one.

use std::fmt;
use std::time::Duration;

use crate::exchange::{Exchange, Outcome, StreamId};
use crate::timeline::{LogLine, Timeline};

/// One connection through a TCP chain and all that came of it.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(crate) exchange: Exchange,
    pub(crate) upstream: Peer,
    pub(crate) downstream: Peer,
}

impl Connection {
    /// The connection, to ask its host about it again.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.exchange.id
    }

    /// How the connection stands: running, held by a filter, completed after both peers had ended
    /// their sides, or cut.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.exchange.outcome
    }

    /// What the upstream received.
    #[must_use]
    pub fn upstream(&self) -> &Peer {
        &self.upstream
    }

    /// What downstream received.
    #[must_use]
    pub fn downstream(&self) -> &Peer {
        &self.downstream
    }

    /// What was logged in the connection's callbacks.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        self.exchange.log()
    }

    /// What happened, in order.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        self.exchange.timeline()
    }

    /// What is counted and recorded of every stream: host calls, fuel, crossings, lints. It holds no
    /// messages.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the upstream received {}", self.upstream)?;
        writeln!(f, "downstream received {}", self.downstream)?;
        write!(f, "{}", self.exchange.timeline)
    }
}

/// What one peer of a connection received.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    pub(crate) chunks: Vec<Vec<u8>>,
    pub(crate) end: End,
}

impl Peer {
    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    /// The pieces in which the bytes went out; none of them is empty.
    #[must_use]
    pub fn chunks(&self) -> &[Vec<u8>] {
        &self.chunks
    }

    /// How Envoy ended its side towards this peer.
    #[must_use]
    pub fn end(&self) -> End {
        self.end
    }

    pub(crate) fn push(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.chunks.push(bytes);
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = match self.end {
            End::Open => "and is connected",
            End::Fin => "and then the end",
            End::Reset => "and then a reset",
        };
        write!(f, "\"{}\" {end}", self.bytes().escape_ascii())
    }
}

/// How a peer of a connection sees it end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "TCP has no other end")]
pub enum End {
    /// It does not, so far; or this peer was never connected.
    #[default]
    Open,
    /// By a FIN: there is no more to read.
    Fin,
    /// By a RST.
    Reset,
}

/// What an upstream of a TCP chain meets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Arrival<'a> {
    /// Envoy connects.
    Connection,
    /// Bytes.
    Data(&'a [u8]),
    /// Envoy has no more to send: downstream has ended its side.
    End,
}

/// What an upstream of a TCP chain does about an [`Arrival`], step by step.
///
/// ```
/// use std::time::Duration;
/// use attache_harness::TcpReply;
///
/// TcpReply::none().send("220 ready\r\n").after(Duration::from_millis(20)).send("221 bye\r\n").end();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct TcpReply {
    pub(crate) steps: Vec<(Duration, Step)>,
    wait: Duration,
}

/// What arrives from an upstream.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The handshake, which the upstream is asked about when it happens.
    Connect,
    Send {
        bytes: Vec<u8>,
        end: bool,
    },
    Reset,
}

impl TcpReply {
    /// Nothing; the upstream waits for more.
    pub fn none() -> Self {
        Self::default()
    }

    /// Refuses a connection; one that stands is reset.
    pub fn refuse() -> Self {
        Self::none().reset()
    }

    /// Sends bytes, which reach the filters in one piece.
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.step(Step::Send { bytes, end: false })
    }

    /// Sends bytes and ends the upstream's side in one: the filters hear of both at once.
    pub fn send_last(self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        self.step(Step::Send { bytes, end: true })
    }

    /// Ends the upstream's side, with a FIN. It may go on to receive.
    pub fn end(self) -> Self {
        self.send_last(Vec::new())
    }

    /// Resets the connection, with a RST.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Waits before the next step, on the host's clock.
    pub fn after(mut self, time: Duration) -> Self {
        self.wait += time;
        self
    }

    /// The handshake.
    pub(crate) fn connect(self) -> Self {
        self.step(Step::Connect)
    }

    fn step(mut self, step: Step) -> Self {
        let wait = std::mem::take(&mut self.wait);
        self.steps.push((wait, step));
        self
    }
}
