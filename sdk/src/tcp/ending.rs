/// What a TCP filter ends with: the connection closed, or gone on without it.
///
/// ```
/// use attache::prelude::*;
///
/// async fn call(connection: Connection, next: TcpNext) -> Result<Ending, Error> {
///     match connection.source() {
///         Some(_) => next.forward(connection),
///         None => Ok(Ending::close()),
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Ending(Kind);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Close,
    Passed,
}

impl Ending {
    /// Closes the connection towards both peers. What has already gone on is still delivered. A
    /// filter may end so at any time, also long after it has let the connection on.
    ///
    /// ```
    /// use std::time::Duration;
    /// use attache::prelude::*;
    ///
    /// /// Closes whatever has lasted a minute.
    /// async fn call(connection: Connection, next: TcpNext) -> Result<Ending, Error> {
    ///     let end = next.run(connection);
    ///     Ok(match attache::timeout(Duration::from_secs(60), end).await {
    ///         Ok(closed) => closed?.into(),
    ///         Err(_) => Ending::close(),
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn close() -> Self {
        Self(Kind::Close)
    }

    pub(super) fn passed() -> Self {
        Self(Kind::Passed)
    }

    pub(super) fn closes(&self) -> bool {
        self.0 == Kind::Close
    }
}

impl From<Closed> for Ending {
    fn from(_: Closed) -> Self {
        Self::passed()
    }
}

/// How a connection ended.
///
/// ```
/// use attache::prelude::*;
///
/// async fn call(connection: Connection, next: TcpNext) -> Result<Ending, Error> {
///     let closed = next.run(connection).await?;
///     if !closed.client_ended() {
///         log::info!("cut off by {:?}", closed.by());
///     }
///     Ok(closed.into())
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Closed {
    pub(super) by: ClosedBy,
    pub(super) client_ended: bool,
    pub(super) upstream_ended: bool,
}

/// Who closed a connection, as Envoy sees it.
///
/// ```
/// use attache::{Closed, ClosedBy};
///
/// fn is_impatient(closed: Closed) -> bool {
///     closed.by() == ClosedBy::Client && !closed.upstream_ended()
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClosedBy {
    /// The client: it went away, or ended its side last.
    Client,
    /// Envoy: a filter closed, the upstream went away or could not be reached, or the upstream
    /// ended its side last.
    Envoy,
    /// The host did not say.
    Unknown,
}

impl Closed {
    /// Who closed it.
    #[must_use]
    pub fn by(self) -> ClosedBy {
        self.by
    }

    /// Whether the client had ended its side in order (a FIN). Known to filters with
    /// [`Phases::DOWNSTREAM`](crate::Phases::DOWNSTREAM).
    #[must_use]
    pub fn client_ended(self) -> bool {
        self.client_ended
    }

    /// Whether the upstream had ended its side in order.
    ///
    /// ```
    /// use attache::Closed;
    ///
    /// /// Whether both sides had said all that they had to say.
    /// fn is_orderly(closed: Closed) -> bool {
    ///     closed.client_ended() && closed.upstream_ended()
    /// }
    /// ```
    #[must_use]
    pub fn upstream_ended(self) -> bool {
        self.upstream_ended
    }
}
