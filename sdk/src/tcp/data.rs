use std::cell::{Cell, OnceCell};
use std::fmt;

use crate::error::Error;
use crate::host::{self, Peer};
use crate::status::HostError;

/// What looks at one direction of a TCP connection, changes it, and holds bytes back.
///
/// It is driven by what arrives, independently of the filter's future, so that both directions
/// flow at once. A closure is one:
///
/// ```
/// # use attache::{Data, prelude::*};
/// # async fn call(mut connection: Connection, next: TcpNext) -> Result<Ending, Error> {
/// // Passes whole lines only.
/// connection.map_downstream(|data: &mut Data| {
///     let lines = data.bytes().iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
///     data.hold_after(lines);
/// });
/// next.forward(connection)
/// # }
/// ```
///
/// Envoy shows bytes again, to this filter too, that a filter behind it does not take at once; a
/// transform does not notice that it sees them twice. Filters of this crate take everything.
///
/// A type has state, and a limit of its own:
///
/// ```
/// use attache::{Data, DataTransform};
///
/// /// Refuses who does not speak TLS.
/// struct TlsOnly {
///     seen: bool,
/// }
///
/// impl DataTransform for TlsOnly {
///     fn data(&mut self, data: &mut Data) {
///         if !self.seen && !data.is_empty() {
///             self.seen = true;
///             // The type of a record that is a handshake.
///             if data.bytes().first() != Some(&22) {
///                 data.close();
///             }
///         }
///     }
///
///     fn limit(&self) -> usize {
///         0
///     }
/// }
/// ```
pub trait DataTransform: 'static {
    /// Called when bytes arrive, and at the direction's end.
    fn data(&mut self, data: &mut Data);

    /// How many bytes may be held back. One that holds more closes its connection, whatever the failure mode: how
    /// much there is to hold, the peer chooses, which must not switch the transform off.
    fn limit(&self) -> usize {
        64 * 1024
    }
}

impl<F: FnMut(&mut Data) + 'static> DataTransform for F {
    fn data(&mut self, data: &mut Data) {
        self(data);
    }
}

/// Bytes on their way: what was held back before, and what has just arrived.
///
/// Unless told otherwise, all of it goes on.
///
/// ```
/// use attache::Data;
///
/// /// Lets whole lines go on.
/// fn lines(data: &mut Data) {
///     match data.bytes().iter().rposition(|&byte| byte == b'\n') {
///         Some(end) => data.hold_after(end + 1),
///         None if data.is_last() => {}
///         None => data.hold(),
///     }
/// }
/// ```
pub struct Data {
    peer: Peer,
    /// What the host no longer has.
    before: Vec<u8>,
    /// How many bytes the host has.
    size: usize,
    last: bool,
    all: OnceCell<Vec<u8>>,
    fault: Cell<Option<HostError>>,
    output: Option<Vec<u8>>,
    held_from: Option<usize>,
    closes: bool,
}

/// How many, not which: they may be secrets.
impl fmt::Debug for Data {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Data")
            .field("size", &self.len())
            .field("is_last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Data {
    pub(super) fn new(peer: Peer, before: Vec<u8>, size: usize, last: bool) -> Self {
        Self {
            peer,
            before,
            size,
            last,
            all: OnceCell::new(),
            fault: Cell::new(None),
            output: None,
            held_from: None,
            closes: false,
        }
    }

    /// Whether there are none, as at an end that comes alone.
    ///
    /// ```
    /// use attache::Data;
    ///
    /// /// Says good-bye behind the last bytes.
    /// fn part(data: &mut Data) {
    ///     if data.is_last() && data.is_empty() {
    ///         data.replace("bye\n");
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes there are. Costs nothing.
    ///
    /// ```
    /// use attache::Data;
    ///
    /// /// Holds back until a header of eight bytes is there.
    /// fn frame(data: &mut Data) {
    ///     if data.len() < 8 && !data.is_last() {
    ///         data.hold();
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.before.len().saturating_add(self.size)
    }

    /// The bytes. They are read when this is first called, by one host call.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.all.get_or_init(|| {
            if self.size == 0 {
                return self.before.clone();
            }
            match host::data(self.peer, self.size) {
                Ok(arrived) if self.before.is_empty() => arrived,
                Ok(arrived) => [self.before.as_slice(), &arrived].concat(),
                Err(error) => {
                    self.fault.set(Some(error));
                    Vec::new()
                }
            }
        })
    }

    /// Whether the direction ends here: its sender has closed its side. What is held back now goes
    /// on all the same; to drop it, [`replace`](Self::replace) it by nothing.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Lets `bytes` go on in the place of those that would.
    ///
    /// ```
    /// use attache::Data;
    ///
    /// fn shout(data: &mut Data) {
    ///     let upper = data.bytes().to_ascii_uppercase();
    ///     data.replace(upper);
    /// }
    /// ```
    pub fn replace(&mut self, bytes: impl Into<Vec<u8>>) {
        self.output = Some(bytes.into());
    }

    /// Holds everything back; it comes again with what arrives next.
    pub fn hold(&mut self) {
        self.hold_after(0);
    }

    /// Holds back what stands behind the first `count` bytes; it comes again with what arrives
    /// next.
    pub fn hold_after(&mut self, count: usize) {
        self.held_from = Some(count);
    }

    /// Closes the connection. Nothing more goes on, of this either.
    ///
    /// ```
    /// use attache::Data;
    ///
    /// /// Lines of text only: a byte that is none of theirs is so wherever the pieces are cut.
    /// fn text_only(data: &mut Data) {
    ///     if data.bytes().contains(&0) {
    ///         data.close();
    ///     }
    /// }
    /// ```
    pub fn close(&mut self) {
        self.closes = true;
    }

    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// Writes what goes on to the host, and hands over what is held back; `None` if that is more than `limit`.
    pub(super) fn commit(mut self, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        let held_from = self
            .held_from
            .filter(|&from| !self.last && from < self.len());
        if held_from.is_some() || self.output.is_some() {
            let _ = self.bytes();
        }
        if let Some(fault) = self.fault.take() {
            return Err(fault.into());
        }
        if held_from.is_none() && self.output.is_none() {
            self.pass()?;
            return Ok(Some(Vec::new()));
        }
        let mut all = self.all.take().unwrap_or_default();
        let held = held_from.map_or_else(Vec::new, |from| all.split_off(from.min(all.len())));
        if held.len() > limit {
            return Ok(None);
        }
        let output = self.output.take().unwrap_or(all);
        if self.size > 0 || !output.is_empty() {
            host::set_data(self.peer, self.size, &output)?;
        }
        Ok(Some(held))
    }

    /// Lets everything go on as it came.
    fn pass(&self) -> Result<(), Error> {
        if !self.before.is_empty() {
            host::set_data(self.peer, 0, &self.before)?;
        }
        Ok(())
    }
}
