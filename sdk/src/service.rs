use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::config::ConfigError;
use crate::error::Error;
use crate::plugin::Plugin;

/// A service: runs for itself, with neither streams nor a place in a filter chain (Envoy's
/// `bootstrap_extensions`, `envoy.bootstrap.wasm`).
///
/// Its future lives as long as the plugin. It waits for time ([`interval`](crate::interval),
/// [`sleep`](crate::sleep)), for items of a [queue](crate::queue), and for answers to call-outs. What a filter needs for its
/// own streams it does in a [`run`](crate::HttpFilter::run) of its own.
///
/// ```
/// use std::time::Duration;
///
/// use attache::log::info;
/// use attache::prelude::*;
///
/// /// Says that it is there, from time to time.
/// struct Beacon;
///
/// impl Service for Beacon {
///     type Config = ();
///
///     fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> {
///         Ok(Self)
///     }
///
///     async fn run(&self, plugin: &Plugin) -> Result<(), Error> {
///         let mut minutes = attache::interval(Duration::from_secs(60));
///         loop {
///             minutes.tick().await?;
///             info!("{} is there", plugin.root_id());
///         }
///     }
/// }
///
/// attache::filters! { "beacon" => Beacon }
/// ```
pub trait Service: Sized + 'static {
    /// The plugin configuration; see [`HttpFilter::Config`](crate::HttpFilter::Config).
    type Config: DeserializeOwned + JsonSchema;

    /// Makes the service from its configuration. Envoy runs it several times for one plugin: to
    /// validate, on the main thread, and, but for a singleton, on each worker.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] for a configuration that is well formed but cannot work. It is logged,
    /// and Envoy refuses the plugin.
    fn configure(config: Self::Config, plugin: &Plugin) -> Result<Self, ConfigError>;

    /// Runs. It begins when the plugin is configured, where Envoy validates it too: there, it is
    /// dropped when it first waits.
    ///
    /// # Errors
    ///
    /// An [`Error`] is logged, and ends the run. It does not begin again by itself.
    fn run(&self, plugin: &Plugin) -> impl Future<Output = Result<(), Error>>;
}
