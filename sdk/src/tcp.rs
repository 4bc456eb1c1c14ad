//! TCP filters: what a filter implements, and a configured one without its type.

mod completed;
mod connection;
mod data;
mod ending;
mod first;
mod link;
mod next;
mod stream;

use std::pin::Pin;
use std::rc::Rc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::config::ConfigError;
use crate::error::Error;
use crate::filter::FailureMode;
use crate::phases::Phases;
use crate::plugin::Plugin;

pub use self::completed::CompletedConnection;
pub use self::connection::Connection;
pub use self::data::{Data, DataTransform};
pub use self::ending::{Closed, ClosedBy, Ending};
pub use self::first::{FirstBytes, More};
pub use self::next::{RunTcp, TcpNext};
#[cfg(target_arch = "wasm32")]
pub(crate) use self::stream::TcpStream;

/// A TCP filter: configured once a plugin and thread, called once a connection.
///
/// Its [`call`](Self::call) receives a new connection, which is held meanwhile: nothing is read
/// from the client. It lets it on with [`TcpNext::forward`], or with [`TcpNext::run`], which wakes
/// at its end; [`Ending::close`] turns it away. Local variables are the connection's state.
///
/// ```
/// use std::net::IpAddr;
///
/// use attache::prelude::*;
///
/// /// Lets some clients in, and nobody else.
/// struct AllowList {
///     allowed: Vec<IpAddr>,
/// }
///
/// impl TcpFilter for AllowList {
///     type Config = Vec<IpAddr>;
///
///     const PHASES: Phases = Phases::CONNECTION;
///
///     fn configure(allowed: Vec<IpAddr>, _plugin: &Plugin) -> Result<Self, ConfigError> {
///         Ok(Self { allowed })
///     }
///
///     async fn call(&self, connection: Connection, next: TcpNext) -> Result<Ending, Error> {
///         match connection.source() {
///             Some(source) if self.allowed.contains(&source.ip()) => next.forward(connection),
///             _ => Ok(Ending::close()),
///         }
///     }
/// }
///
/// attache::filters! { "allow-list" => AllowList }
/// ```
pub trait TcpFilter: Sized + 'static {
    /// The plugin configuration; see [`HttpFilter::Config`](crate::HttpFilter::Config).
    type Config: DeserializeOwned + JsonSchema;

    /// Which callbacks the filter needs.
    const PHASES: Phases = Phases::TCP;

    /// Makes the filter from its configuration. Envoy runs it several times for one plugin: to
    /// validate, on the main thread, and on each worker.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a configuration that is well formed but cannot work. It is logged,
    /// and Envoy refuses the plugin.
    fn configure(config: Self::Config, plugin: &Plugin) -> Result<Self, ConfigError>;

    /// Handles one connection.
    ///
    /// # Errors
    ///
    /// An [`Error`] for a fault of host, call-out or configuration, which meets
    /// [`failure_mode`](Self::failure_mode).
    fn call(
        &self,
        connection: Connection,
        next: TcpNext,
    ) -> impl Future<Output = Result<Ending, Error>>;

    /// What becomes of a connection whose [`call`](Self::call) failed: it is closed, or, with
    /// [`FailureMode::Allow`], passes untouched from there on. Denies unless said otherwise.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// Meters, and turns nobody away for a fault of its own.
    /// struct Meter;
    ///
    /// impl TcpFilter for Meter {
    ///     # type Config = ();
    ///     # fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
    ///     #     Ok(Self)
    ///     # }
    ///     # async fn call(&self, connection: Connection, next: TcpNext) -> Result<Ending, Error> {
    ///     #     next.forward(connection)
    ///     # }
    ///     fn failure_mode(&self) -> FailureMode {
    ///         FailureMode::Allow
    ///     }
    /// }
    /// ```
    fn failure_mode(&self) -> FailureMode {
        FailureMode::Deny
    }

    /// Sees each connection at its end, be its future alive or not. Needs [`Phases::COMPLETE`].
    ///
    /// ```
    /// use attache::metrics::Counter;
    /// use attache::prelude::*;
    ///
    /// struct Meter {
    ///     received: Counter,
    /// }
    ///
    /// impl TcpFilter for Meter {
    ///     # type Config = ();
    ///     # fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
    ///     #     Ok(Self { received: plugin.counter("meter_received_total")? })
    ///     # }
    ///     const PHASES: Phases = Phases::CONNECTION.union(Phases::COMPLETE);
    ///
    ///     async fn call(&self, connection: Connection, next: TcpNext) -> Result<Ending, Error> {
    ///         next.forward(connection)
    ///     }
    ///
    ///     fn on_complete(&self, connection: &CompletedConnection) {
    ///         self.received.add(connection.received().unwrap_or(0));
    ///     }
    /// }
    /// ```
    fn on_complete(&self, _connection: &CompletedConnection) {}

    /// Runs beside the connections, once for each plugin and thread, as
    /// [`HttpFilter::run`](crate::HttpFilter::run) does. Nothing unless said otherwise. Needs [`Phases::BESIDE`].
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::time::Duration;
    ///
    /// use attache::prelude::*;
    ///
    /// /// Lets so many connections through a second.
    /// struct Turnstile(Cell<u32>);
    ///
    /// impl TcpFilter for Turnstile {
    ///     type Config = ();
    ///
    ///     const PHASES: Phases = Phases::CONNECTION.union(Phases::BESIDE);
    ///
    ///     fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
    ///         Ok(Self(Cell::new(0)))
    ///     }
    ///
    ///     async fn call(&self, connection: Connection, next: TcpNext) -> Result<Ending, Error> {
    ///         match self.0.get().checked_sub(1) {
    ///             Some(left) => self.0.set(left),
    ///             None => return Ok(Ending::close()),
    ///         }
    ///         next.forward(connection)
    ///     }
    ///
    ///     async fn run(&self, _plugin: &Plugin) -> Result<(), Error> {
    ///         let mut seconds = attache::interval(Duration::from_secs(1));
    ///         loop {
    ///             seconds.tick().await?;
    ///             self.0.set(100);
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] is logged, and ends the run. It does not begin again by itself.
    fn run(&self, plugin: &Plugin) -> impl Future<Output = Result<(), Error>> {
        let _ = plugin;
        std::future::ready(Ok(()))
    }
}

/// A filter's future for one connection.
pub(crate) type Task = Pin<Box<dyn Future<Output = Result<Ending, Error>>>>;

/// A configured TCP filter without its type.
pub(crate) trait AnyTcpFilter {
    fn start(self: Rc<Self>, connection: Connection, next: TcpNext) -> Task;
    fn complete(&self, connection: &CompletedConnection);
    fn failure_mode(&self) -> FailureMode;
    fn phases(&self) -> Phases;
    fn root_id(&self) -> &'static str;
}

/// A filter and the root id it is registered under.
pub(crate) struct Configured<F> {
    pub(crate) filter: F,
    pub(crate) root_id: &'static str,
}

impl<F: TcpFilter> AnyTcpFilter for Configured<F> {
    fn start(self: Rc<Self>, connection: Connection, next: TcpNext) -> Task {
        Box::pin(async move { self.filter.call(connection, next).await })
    }

    fn complete(&self, connection: &CompletedConnection) {
        self.filter.on_complete(connection);
    }

    fn failure_mode(&self) -> FailureMode {
        self.filter.failure_mode()
    }

    fn phases(&self) -> Phases {
        F::PHASES
    }

    fn root_id(&self) -> &'static str {
        self.root_id
    }
}
