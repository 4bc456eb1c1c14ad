use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::error::Error;
use crate::phases::Phases;
use crate::tcp::connection::Connection;
use crate::tcp::ending::{Closed, Ending};
use crate::tcp::first::FirstBytes;
use crate::tcp::link::{Link, Stage};

/// The rest of a TCP connection's filter chain and the upstream. There is one for each connection,
/// and using it uses it up.
///
/// ```
/// use attache::prelude::*;
///
/// async fn call(connection: Connection, next: TcpNext) -> Result<Ending, Error> {
///     let closed = next.run(connection).await?;
///     log::info!("{closed:?}");
///     Ok(closed.into())
/// }
/// ```
#[derive(Debug)]
pub struct TcpNext(Rc<Link>);

impl TcpNext {
    pub(super) fn new(link: Rc<Link>) -> Self {
        Self(link)
    }

    /// Lets the connection on, and wakes at its end.
    ///
    /// It goes on when the future is first polled. Needs
    /// [`Phases::CLOSE`](crate::Phases::CLOSE).
    ///
    /// ```
    /// use attache::metrics::Gauge;
    /// use attache::prelude::*;
    ///
    /// async fn call(open: &Gauge, connection: Connection, next: TcpNext) -> Result<Ending, Error> {
    ///     // One more until the connection's end.
    ///     let _open = open.hold();
    ///     Ok(next.run(connection).await?.into())
    /// }
    /// ```
    pub fn run(self, connection: Connection) -> RunTcp {
        RunTcp {
            link: self.0,
            connection: Some(connection),
        }
    }

    /// Lets the connection on, without a look at its end.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// async fn call(connection: Connection, next: TcpNext) -> Result<Ending, Error> {
    ///     log::debug!("from {:?}", connection.source());
    ///     next.forward(connection)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] for what the filter has not declared.
    pub fn forward(self, connection: Connection) -> Result<Ending, Error> {
        pass(&self.0, &connection)?;
        Ok(Ending::passed())
    }

    /// Lets the connection on, and holds what the client sends, up to `limit` bytes, until the
    /// filter has seen enough of it. Needs [`Phases::DOWNSTREAM`](crate::Phases::DOWNSTREAM).
    ///
    /// ```
    /// # use attache::prelude::*;
    /// # async fn call(connection: Connection, next: TcpNext) -> Result<Ending, Error> {
    /// let mut first = next.first_bytes(connection, 8)?;
    /// // They may come one by one.
    /// while first.bytes().len() < 4 && first.more().await == attache::More::Arrived {}
    /// match first.bytes().starts_with(b"SSH-") {
    ///     true => Ok(Ending::close()),
    ///     false => Ok(first.forward()),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] for what the filter has not declared.
    pub fn first_bytes(self, connection: Connection, limit: usize) -> Result<FirstBytes, Error> {
        let what = "`next.first_bytes` needs `Phases::DOWNSTREAM`";
        self.0.needs(Phases::DOWNSTREAM, what)?;
        pass(&self.0, &connection)?;
        {
            let mut first = self.0.first.borrow_mut();
            first.stage = Stage::Held;
            first.limit = limit;
        }
        Ok(FirstBytes::new(self.0))
    }
}

fn pass(link: &Rc<Link>, connection: &Connection) -> Result<(), Error> {
    if !connection.is_of(link) {
        return Err(Error::misuse("the filter passed another connection on"));
    }
    link.check_transforms()?;
    link.passed.set(true);
    Ok(())
}

/// The future of [`TcpNext::run`] and [`FirstBytes::run`].
///
/// ```
/// use std::time::Duration;
/// use attache::prelude::*;
/// use attache::timeout;
///
/// /// No connection lasts longer than an hour.
/// async fn call(connection: Connection, next: TcpNext) -> Result<Ending, Error> {
///     let end = next.run(connection);
///     match timeout(Duration::from_secs(3_600), end).await {
///         Ok(closed) => Ok(closed?.into()),
///         Err(_) => Ok(Ending::close()),
///     }
/// }
/// ```
///
/// # Errors
///
/// An [`Error`] for what the filter has not declared.
#[derive(Debug)]
#[must_use = "the connection goes on when this is awaited"]
pub struct RunTcp {
    link: Rc<Link>,
    /// Until it has gone on.
    connection: Option<Connection>,
}

impl RunTcp {
    /// Of a connection that has gone on.
    pub(super) fn to_the_end(link: Rc<Link>) -> Self {
        Self {
            link,
            connection: None,
        }
    }
}

impl Future for RunTcp {
    type Output = Result<Closed, Error>;

    fn poll(mut self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        let what = "`run` wakes at the connection's end, which needs `Phases::CLOSE`";
        self.link.needs(Phases::CLOSE, what)?;
        if let Some(connection) = self.connection.take() {
            pass(&self.link, &connection)?;
        }
        // The whole future is polled when the connection has closed, so no waker is kept.
        match self.link.closed.get() {
            Some(closed) => Poll::Ready(Ok(closed)),
            None => Poll::Pending,
        }
    }
}
