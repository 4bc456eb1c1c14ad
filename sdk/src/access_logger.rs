use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::completed::Completed;
use crate::config::ConfigError;
use crate::error::Error;
use crate::plugin::Plugin;

/// An access logger: told of each stream at its end. It stands among the access loggers of a
/// connection manager or a TCP proxy, and not among the filters.
///
/// ```
/// use attache::log::warn;
/// use attache::prelude::*;
///
/// /// Logs what went wrong.
/// struct Faults;
///
/// impl AccessLogger for Faults {
///     type Config = ();
///
///     fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
///
///     fn log(&self, stream: &Completed) {
///         if stream.status().is_none_or(|status| status >= 500) {
///             warn!("details={:?}", stream.code_details());
///         }
///     }
/// }
///
/// attache::filters! { "faults" => Faults }
/// ```
pub trait AccessLogger: Sized + 'static {
    /// The plugin configuration; see [`HttpFilter::Config`](crate::HttpFilter::Config).
    type Config: DeserializeOwned + JsonSchema;

    /// Makes the logger from its configuration. Envoy runs it several times for one plugin: to
    /// validate, on the main thread, and on each worker.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a configuration that is well formed but cannot work. It is logged,
    /// and Envoy refuses the plugin.
    fn configure(config: Self::Config, plugin: &Plugin) -> Result<Self, ConfigError>;

    /// Called when a stream is over. It can be looked at; nothing can be done to it.
    fn log(&self, stream: &Completed);

    /// Runs beside, once for each plugin and thread, as [`Service::run`](crate::Service::run) does:
    /// for a logger that collects lines and sends them from time to time. Nothing unless said
    /// otherwise.
    ///
    /// ```
    /// use std::cell::RefCell;
    /// use std::time::Duration;
    ///
    /// use attache::prelude::*;
    ///
    /// struct Lines {
    ///     lines: RefCell<Vec<String>>,
    ///     collector: Cluster,
    /// }
    ///
    /// impl AccessLogger for Lines {
    ///     # type Config = ();
    ///     # fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
    ///     #     Ok(Self { lines: RefCell::default(), collector: plugin.cluster("collector") })
    ///     # }
    ///     fn log(&self, stream: &Completed) {
    ///         let mut lines = self.lines.borrow_mut();
    ///         // A collector that is down is not to cost the memory of the VM.
    ///         if lines.len() < 10_000 {
    ///             lines.push(format!("{:?}", stream.status()));
    ///         }
    ///     }
    ///
    ///     async fn run(&self, _plugin: &Plugin) -> Result<(), Error> {
    ///         let mut seconds = attache::interval(Duration::from_secs(1));
    ///         loop {
    ///             seconds.tick().await?;
    ///             let lines = self.lines.take().join("\n");
    ///             if lines.is_empty() {
    ///                 continue;
    ///             }
    ///             let sent = self.collector.post("/lines").body(lines).send().await;
    ///             // An error here would end the run, and with it all that comes later.
    ///             if let Err(error) = sent.and_then(|answer| answer.error_for_server_failure()) {
    ///                 log::warn!("lines are lost: {error}");
    ///             }
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] is logged, and ends the run.
    fn run(&self, plugin: &Plugin) -> impl Future<Output = Result<(), Error>> {
        let _ = plugin;
        std::future::ready(Ok(()))
    }
}
