mod metadata;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use serde::de::DeserializeOwned;

use self::metadata::{overlay_of, read_struct};
use crate::config::{self, ConfigError, Document};
use crate::error::Error;
use crate::host;
use crate::plugin::Plugin;

/// How many values of an overlay are remembered. Each costs what the filter makes of it; what was
/// used longest ago goes first.
const REMEMBERED: usize = 64;

/// Part of a filter that routes may configure otherwise.
///
/// The operator writes the difference into the metadata of a route, under the plugin's name:
///
/// ```yaml
/// routes:
/// - match: { prefix: /upload }
///   route: { cluster: store }
///   metadata:
///     filter_metadata:
///       my-limits: { megabytes: 100 }     # `name` of the plugin
/// ```
///
/// It is laid over the plugin configuration as a JSON Merge Patch (RFC 7396): objects are merged member
/// by member, `null` takes a member away so that its default applies, and everything else, lists
/// included, takes the place of what was there. The result is read as the plugin configuration is; a
/// whole number is one for integer fields too, though the metadata know floating-point numbers only, and
/// a number may be text: from YAML, Envoy reads numbers with a fraction or more than 32 bits as text.
///
/// A filter opts in where it is configured, with the function that makes of a configuration what it
/// works with:
///
/// ```
/// use attache::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     megabytes: u64,
/// }
///
/// struct Limit(u64);
///
/// struct Limits {
///     limit: PerRoute<Limit>,
/// }
///
/// impl HttpFilter for Limits {
///     type Config = Config;
///
///     fn configure(config: Config, plugin: &Plugin) -> Result<Self, ConfigError> {
///         let limit = plugin.per_route(config, |config: Config| match config.megabytes {
///             0 => Err(ConfigError::at("/megabytes", "expected at least 1")),
///             megabytes => Ok(Limit(megabytes << 20)),
///         })?;
///         Ok(Self { limit })
///     }
///
///     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
///         let limit = self.limit.get()?;
/// #       let _ = limit.0;
///         next.forward(request)
///     }
/// }
/// ```
///
/// What is made of an overlay is made once for each distinct one and kept, a refusal too; 64 are
/// remembered.
pub struct PerRoute<T> {
    plugin: String,
    document: Document,
    build: Build<T>,
    base: Rc<T>,
    /// By the overlay's bytes; the one that was used last comes first.
    known: RefCell<Vec<(Vec<u8>, Built<T>)>>,
}

type Build<T> = Box<dyn Fn(&Document) -> Built<T>>;
type Built<T> = Result<Rc<T>, ConfigError>;

impl Plugin {
    /// Makes a part of a filter that routes may configure otherwise: of the plugin configuration now,
    /// and of the configuration of a route when a request of it comes.
    ///
    /// ```
    /// # use attache::prelude::*;
    /// #[derive(Deserialize, JsonSchema)]
    /// struct Config {
    ///     hosts: Vec<String>,
    /// }
    ///
    /// # fn configure(config: Config, plugin: &Plugin) -> Result<(), ConfigError> {
    /// // What is made of a configuration is made once for each that routes come with.
    /// let hosts = plugin.per_route(config, |config: Config| {
    ///     let hosts: std::collections::BTreeSet<String> = config.hosts.into_iter().collect();
    ///     match hosts.is_empty() {
    ///         true => Err(ConfigError::at("/hosts", "expected at least one")),
    ///         false => Ok(hosts),
    ///     }
    /// })?;
    /// # let _: PerRoute<_> = hosts;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What `build` says of the plugin configuration.
    pub fn per_route<C, T>(
        &self,
        config: C,
        build: impl Fn(C) -> Result<T, ConfigError> + 'static,
    ) -> Result<PerRoute<T>, ConfigError>
    where
        C: DeserializeOwned,
    {
        Ok(PerRoute {
            plugin: self.name(),
            document: config::read(self.configuration())?,
            base: Rc::new(build(config)?),
            build: Box::new(move |document| build(config::interpret(document)?).map(Rc::new)),
            known: RefCell::default(),
        })
    }
}

impl<T> PerRoute<T> {
    /// What holds for the route of the stream whose future or callback runs. One host call.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// /// Whether the route is one that is closed for now.
    /// fn closed(is_closed: &PerRoute<bool>) -> Result<Option<Response>, Error> {
    ///     let closed = || Response::local(StatusCode::SERVICE_UNAVAILABLE, "closed\n");
    ///     Ok(is_closed.get()?.then(closed))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] of the kind [`ErrorKind::Overlay`](crate::ErrorKind::Overlay) when what the route
    /// says is refused, with the place in the merged configuration; and when the host refuses or hands
    /// over what is no metadata. Passed on by `?` it meets the filter's
    /// [`FailureMode`](crate::FailureMode).
    pub fn get(&self) -> Result<Rc<T>, Error> {
        let Some(metadata) = host::property_at(b"xds\0route_metadata")? else {
            return Ok(Rc::clone(&self.base));
        };
        match overlay_of(&metadata, &self.plugin) {
            Some(None) => Ok(Rc::clone(&self.base)),
            Some(Some(overlay)) => self.laid_over(overlay),
            None => Err(garbled()),
        }
    }

    /// What holds where the route says nothing.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn tell(limit: &PerRoute<u64>) {
    ///     log::info!("{} bytes, unless the route says otherwise", limit.base());
    /// }
    /// ```
    #[must_use]
    pub fn base(&self) -> &T {
        &self.base
    }

    fn laid_over(&self, overlay: &[u8]) -> Result<Rc<T>, Error> {
        let mut known = self.known.borrow_mut();
        if let Some(place) = known.iter().position(|(bytes, _)| bytes == overlay) {
            if let Some(recent) = known.get_mut(..=place) {
                recent.rotate_right(1);
            }
        } else {
            let overlay_value = read_struct(overlay).ok_or_else(garbled)?;
            let mut document = self.document.clone();
            merge(&mut document, overlay_value);
            let built = (self.build)(&document);
            known.truncate(REMEMBERED - 1);
            known.insert(0, (overlay.to_vec(), built));
        }
        match known.first() {
            Some((_, Ok(built))) => Ok(Rc::clone(built)),
            Some((_, Err(error))) => Err(Error::overlay(error.clone())),
            None => Ok(Rc::clone(&self.base)),
        }
    }
}

impl<T> fmt::Debug for PerRoute<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PerRoute")
            .field("plugin", &self.plugin)
            .finish_non_exhaustive()
    }
}

fn garbled() -> Error {
    Error::garbled("proxy_get_property")
}

/// RFC 7396.
fn merge(base: &mut Document, patch: Document) {
    let Document::Object(members) = patch else {
        *base = patch;
        return;
    };
    if !matches!(base, Document::Object(_)) {
        *base = Document::Object(Vec::new());
    }
    let Document::Object(object) = base else {
        return;
    };
    for (key, value) in members {
        let place = object.iter().position(|(known, _)| *known == key);
        match (place, value) {
            (Some(place), Document::Null) => drop(object.remove(place)),
            (None, Document::Null) => {}
            (place, value) => {
                let place = place.unwrap_or_else(|| {
                    object.push((key, Document::Null));
                    object.len() - 1
                });
                if let Some((_, member)) = object.get_mut(place) {
                    merge(member, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
