//! Counters, gauges and histograms, with labels.
//!
//! A metric is a statistic of Envoy's: `wasmcustom.<name>` at `/stats`, and `<name>` at
//! `/stats/prometheus`. All workers and plugins share those of one name.
//!
//! ```
//! use attache::metrics::{Counter, Family, Gauge, Series};
//! use attache::prelude::*;
//!
//! const REQUESTS: Family<Counter, 2> = Family::new("shop_requests_total", ["method", "tier"]);
//!
//! struct Shop {
//!     running: Gauge,
//!     requests: Series<Counter, 2>,
//! }
//!
//! impl HttpFilter for Shop {
//!     type Config = ();
//!
//!     fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
//!         Ok(Self {
//!             running: plugin.gauge("shop_running")?,
//!             requests: plugin.family(&REQUESTS)?,
//!         })
//!     }
//!
//!     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
//!         let _running = self.running.hold();
//!         self.requests.with([request.method(), b"free"]).increment();
//!         next.run(request).await
//!     }
//! }
//! ```
//!
//! # Labels
//!
//! Envoy's Wasm metrics have no labels, only names. So a series is the name
//! `shop_requests_total;method=GET;tier=free` (Graphite's spelling), and Envoy makes tags of it with
//! the regular expressions in its bootstrap that [`stats_tags`] prints from the same declaration:
//!
//! ```
//! # use attache::metrics::{Counter, Family};
//! # const REQUESTS: Family<Counter, 2> = Family::new("shop_requests_total", ["method", "tier"]);
//! let snippet = attache::metrics::stats_tags(&[&REQUESTS]);
//! assert!(snippet.contains("tag_name: method"));
//! ```
//!
//! What is known only when a plugin is configured is a [`MetricSet`]: names and labels are checked then, and
//! [`stats_tags_of`] prints what the bootstrap needs.
//!
//! # Cost
//!
//! A change is one host call. Metrics are defined once: plain ones when the plugin is configured, a
//! series with its first use. A series lives as long as its VM, in Envoy too, so a value that a
//! client can choose must not become as many series as it likes: past
//! [`at_most`](Family::at_most), all the others are one, whose labels are `__overflow__`.

mod family;
mod index;
mod kinds;
mod set;
mod standing;
mod table;
mod tags;

use crate::error::Error;
use crate::host::metrics::{COUNTER, GAUGE, HISTOGRAM};
use crate::plugin::Plugin;

pub use self::family::{Family, Series};
pub use self::kinds::{Counter, Gauge, Held, Histogram, Metric};
pub use self::set::{Member, MetricSet, SetSeries};
#[cfg(target_arch = "wasm32")]
pub(crate) use self::standing::configured;
pub(crate) use self::standing::failed;
pub use self::standing::{Outcomes, STANDING};
pub use self::tags::{Declared, stats_tags, stats_tags_of};

impl Plugin {
    /// A counter of this name.
    ///
    /// ```
    /// # use attache::{Error, Plugin};
    /// # fn configure(plugin: &Plugin) -> Result<(), Error> {
    /// let denied = plugin.counter("shop_denied_total")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when `name` is no name for a metric (letters, digits, `_`, `:` and `.`, and no
    /// digit first), or when the host refuses.
    pub fn counter(&self, name: &str) -> Result<Counter, Error> {
        Ok(Counter(Some(plain(COUNTER, name)?)))
    }

    /// A gauge of this name.
    ///
    /// ```
    /// # use attache::{Error, Plugin};
    /// # fn configure(plugin: &Plugin) -> Result<(), Error> {
    /// let running = plugin.gauge("shop_running")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`counter`](Self::counter).
    pub fn gauge(&self, name: &str) -> Result<Gauge, Error> {
        Ok(Gauge(Some(plain(GAUGE, name)?)))
    }

    /// A histogram of this name.
    ///
    /// ```
    /// # use attache::{Error, Plugin};
    /// # fn configure(plugin: &Plugin) -> Result<(), Error> {
    /// let waited = plugin.histogram("shop_waited_milliseconds")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`counter`](Self::counter).
    pub fn histogram(&self, name: &str) -> Result<Histogram, Error> {
        Ok(Histogram(Some(plain(HISTOGRAM, name)?)))
    }

    /// The series of a family. Plugins of one VM that ask for the same family share its series and
    /// its bound, and so do old and new streams after a reload.
    ///
    /// ```
    /// use attache::metrics::{Counter, Family};
    ///
    /// const DENIED: Family<Counter, 1> = Family::new("shop_denied_total", ["reason"]);
    ///
    /// # use attache::{Error, Plugin};
    /// # fn configure(plugin: &Plugin) -> Result<(), Error> {
    /// let denied = plugin.family(&DENIED)?;
    /// denied.with(["no credential"]).increment();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// None now; an [`Error`] leaves room for a host that can be asked.
    pub fn family<M: Metric, const N: usize>(
        &self,
        family: &'static Family<M, N>,
    ) -> Result<Series<M, N>, Error> {
        Ok(family.series())
    }

    /// The counters that every filter has.
    ///
    /// ```
    /// use attache::Plugin;
    /// use attache::metrics::Outcomes;
    ///
    /// struct Shop {
    ///     outcomes: Outcomes,
    /// }
    ///
    /// fn shop(plugin: &Plugin) -> Shop {
    ///     Shop { outcomes: plugin.outcomes() }
    /// }
    /// ```
    #[must_use]
    pub fn outcomes(&self) -> Outcomes {
        Outcomes::new(&self.name())
    }
}

fn plain(kind: u32, name: &str) -> Result<u32, Error> {
    if !family::is_metric_name(name.as_bytes()) {
        return Err(Error::misuse(
            "a metric's name has letters, digits, `_`, `:` and `.`, and does not begin with a digit",
        ));
    }
    Ok(table::define(kind, name)?)
}

#[cfg(test)]
mod tests;
