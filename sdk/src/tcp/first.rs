use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::tcp::ending::Ending;
use crate::tcp::link::{Link, Stage};
use crate::tcp::next::RunTcp;

/// The first bytes of a client, held until the filter lets them go: for a filter that decides by
/// what a client says first.
///
/// ```
/// # use attache::{More, prelude::*};
/// # async fn call(connection: Connection, next: TcpNext) -> Result<Ending, Error> {
/// let mut first = next.first_bytes(connection, 1024)?;
/// while !first.bytes().contains(&b'\n') {
///     if first.more().await != More::Arrived {
///         return Ok(Ending::close());
///     }
/// }
/// if !first.bytes().starts_with(b"HELO ") {
///     return Ok(Ending::close());
/// }
/// Ok(first.forward())
/// # }
/// ```
pub struct FirstBytes {
    link: Rc<Link>,
    bytes: Vec<u8>,
}

/// How many, not which: they may be secrets.
impl fmt::Debug for FirstBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FirstBytes")
            .field("size", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// What came of waiting for more of a client's first bytes.
///
/// ```
/// use attache::{FirstBytes, More};
///
/// /// Waits for four bytes.
/// async fn four(first: &mut FirstBytes) -> bool {
///     while first.bytes().len() < 4 {
///         if first.more().await != More::Arrived {
///             return false;
///         }
///     }
///     true
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth way to wait")]
pub enum More {
    /// There are more than before.
    Arrived,
    /// The client has ended its side.
    Ended,
    /// The limit is reached. What the client has sent beyond it stays with Envoy.
    Full,
}

impl FirstBytes {
    pub(super) fn new(link: Rc<Link>) -> Self {
        Self {
            link,
            bytes: Vec::new(),
        }
    }

    /// What has come so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Waits for more.
    pub async fn more(&mut self) -> More {
        let (arrived, more) = poll_fn(|_| {
            // The whole future is polled when bytes arrive, so no waker is kept.
            let mut first = self.link.first.borrow_mut();
            let arrived = std::mem::take(&mut first.arrived);
            if !arrived.is_empty() {
                Poll::Ready((arrived, More::Arrived))
            } else if first.taken >= first.limit {
                Poll::Ready((arrived, More::Full))
            } else if first.ended {
                Poll::Ready((arrived, More::Ended))
            } else {
                Poll::Pending
            }
        })
        .await;
        self.bytes.extend(arrived);
        more
    }

    /// Lets `bytes` go on in the place of those that have come so far.
    ///
    /// ```
    /// # use attache::{More, prelude::*};
    /// # async fn call(connection: Connection, next: TcpNext) -> Result<Ending, Error> {
    /// let mut first = next.first_bytes(connection, 256)?;
    /// while !first.bytes().contains(&b'\n') {
    ///     if first.more().await != More::Arrived {
    ///         return Ok(Ending::close());
    ///     }
    /// }
    /// // The first line is for this filter, and the rest for the upstream.
    /// let end = first.bytes().iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    /// let rest = first.bytes()[end..].to_vec();
    /// first.replace(rest);
    /// Ok(first.forward())
    /// # }
    /// ```
    pub fn replace(&mut self, bytes: impl Into<Vec<u8>>) {
        self.bytes = bytes.into();
    }

    /// Lets the bytes go on, and all that follow.
    #[must_use]
    pub fn forward(self) -> Ending {
        self.link.first.borrow_mut().stage = Stage::Released;
        Ending::passed()
    }

    /// Lets the bytes go on, and all that follow, and wakes at the connection's end. Needs
    /// [`Phases::CLOSE`](crate::Phases::CLOSE).
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(connection: Connection, next: TcpNext) -> Result<Ending, Error> {
    /// let mut first = next.first_bytes(connection, 16)?;
    /// first.more().await;
    /// let is_tls = first.bytes().first() == Some(&22);
    /// let closed = first.run().await?;
    /// log::info!("is_tls={is_tls} closed={closed:?}");
    /// Ok(closed.into())
    /// # }
    /// ```
    pub fn run(self) -> RunTcp {
        self.link.first.borrow_mut().stage = Stage::Released;
        RunTcp::to_the_end(Rc::clone(&self.link))
    }
}

/// Gives the bytes back: they go on if the filter let them go, and when it failed and its failure
/// mode is to allow.
impl Drop for FirstBytes {
    fn drop(&mut self) {
        self.link.first.borrow_mut().returned = std::mem::take(&mut self.bytes);
    }
}
