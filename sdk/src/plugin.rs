use std::fmt;

use crate::host;
use crate::logging;
use crate::secret::wipe;

/// The plugin that is being configured: the filter's place in a chain, as the operator named it.
///
/// ```
/// use attache::prelude::*;
///
/// fn configure(plugin: &Plugin) -> Cluster {
///     log::info!("{} of root id {}", plugin.name(), plugin.root_id());
///     plugin.cluster("authz")
/// }
/// ```
pub struct Plugin {
    root_id: String,
    configuration: Vec<u8>,
}

impl Plugin {
    pub(crate) fn new(root_id: String) -> Self {
        Self {
            root_id,
            configuration: Vec::new(),
        }
    }

    pub(crate) fn with_configuration(mut self, bytes: Vec<u8>) -> Self {
        self.configuration = bytes;
        self
    }

    /// The bytes of its configuration, which may hold secrets.
    pub(crate) fn configuration(&self) -> &[u8] {
        &self.configuration
    }

    /// The root id of Envoy's plugin configuration; empty when it has none.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// One filter under two root ids.
    /// fn is_strict(plugin: &Plugin) -> bool {
    ///     plugin.root_id() == "strict"
    /// }
    /// ```
    #[must_use]
    pub fn root_id(&self) -> &str {
        &self.root_id
    }

    /// Puts ` stream=7 request_id=3f1c…` behind each line that is logged while a stream is at work, those of the SDK
    /// among them: the number of the stream in its VM, and the request's `x-request-id`, if it has one, by which lines
    /// are joined with the access log and with what other services say of the request. A stream costs one host call more.
    /// Of an id that a client has made, 64 bytes are shown, with what could be taken for another field escaped.
    ///
    /// It is of all plugins that share the VM, from then on.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// struct Judge;
    ///
    /// impl HttpFilter for Judge {
    ///     type Config = ();
    ///
    ///     fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
    ///         plugin.log_ids();
    ///         Ok(Self)
    ///     }
    ///
    ///     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
    ///         log::info!("judged"); // `judged stream=7 request_id=3f1c…`
    ///         next.run(request).await
    ///     }
    /// }
    /// ```
    pub fn log_ids(&self) {
        logging::tell_ids();
    }

    /// The plugin's name in Envoy's configuration (`plugin_name`); empty when the host does not
    /// tell.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// What a filter says in the access log, by the name that the operator gave it.
    /// fn details(plugin: &Plugin) -> String {
    ///     format!("denied_by_{}", plugin.name())
    /// }
    /// ```
    #[must_use]
    pub fn name(&self) -> String {
        property_text("plugin_name")
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        wipe(std::mem::take(&mut self.configuration));
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plugin")
            .field("root_id", &self.root_id)
            .finish_non_exhaustive()
    }
}

/// A property as text; empty when it is absent or not UTF-8.
pub(crate) fn property_text(name: &str) -> String {
    host::property(&[name])
        .ok()
        .flatten()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_default()
}
