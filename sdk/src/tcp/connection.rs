use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::host::{self, Peer};
use crate::tcp::data::DataTransform;
use crate::tcp::link::Link;

/// A new TCP connection, which has not gone on yet.
///
/// ```
/// use attache::prelude::*;
/// use attache::Data;
///
/// # async fn call(mut connection: Connection, next: TcpNext) -> Result<Ending, Error> {
/// if connection.source().is_some_and(|source| source.ip().is_loopback()) {
///     connection.map_downstream(|data: &mut Data| {
///         let upper = data.bytes().to_ascii_uppercase();
///         data.replace(upper);
///     });
/// }
/// next.forward(connection)
/// # }
/// ```
pub struct Connection(Rc<Link>);

impl Connection {
    pub(super) fn new(link: Rc<Link>) -> Self {
        Self(link)
    }

    /// The client's address and port; `None` where it is not one of IP.
    #[must_use]
    pub fn source(&self) -> Option<SocketAddr> {
        address("source")
    }

    /// The address and port that the client connected to; `None` where it is not one of IP.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn is_of_tls(connection: &Connection) -> bool {
    ///     connection.destination().is_some_and(|own| own.port() == 443)
    /// }
    /// ```
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        address("destination")
    }

    /// Shows what the client sends to `transform`, which may change it and hold it back. Needs
    /// [`Phases::DOWNSTREAM`](crate::Phases::DOWNSTREAM).
    pub fn map_downstream(&mut self, transform: impl DataTransform) {
        self.0.set_transform(Peer::Downstream, Box::new(transform));
    }

    /// Shows what the upstream sends to `transform`, which may change it and hold it back. Needs
    /// [`Phases::UPSTREAM`](crate::Phases::UPSTREAM).
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// use attache::prelude::*;
    /// use attache::Data;
    ///
    /// async fn call(mut connection: Connection, next: TcpNext) -> Result<Ending, Error> {
    ///     let sent = Rc::new(Cell::new(0));
    ///     let counted = Rc::clone(&sent);
    ///     connection.map_upstream(move |data: &mut Data| counted.set(counted.get() + data.len()));
    ///     let closed = next.run(connection).await?;
    ///     log::info!("the upstream has sent {} bytes", sent.get());
    ///     Ok(closed.into())
    /// }
    /// ```
    pub fn map_upstream(&mut self, transform: impl DataTransform) {
        self.0.set_transform(Peer::Upstream, Box::new(transform));
    }

    pub(super) fn is_of(&self, link: &Rc<Link>) -> bool {
        Rc::ptr_eq(&self.0, link)
    }
}

fn address(of: &str) -> Option<SocketAddr> {
    let bytes = host::property(&[of, "address"]).ok().flatten()?;
    std::str::from_utf8(&bytes).ok()?.parse().ok()
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Connection").finish_non_exhaustive()
    }
}
