//! The counters that every filter has.

use std::cell::{OnceCell, RefCell};

use super::family::{Family, Series};
use super::kinds::{Counter, done};
use super::table::{VALUE_BYTES, label_of};
use super::tags::Declared;
use crate::environment;
use crate::host::metrics;
use crate::plugin::property_text;
use crate::status::HostError;

const REQUESTS: Family<Counter, 1> = Family::new("attache_requests_total", ["plugin"]);
const MATCHED: Family<Counter, 1> = Family::new("attache_matched_total", ["plugin"]);
const DENIED: Family<Counter, 1> = Family::new("attache_denied_total", ["plugin"]);
const SKIPPED: Family<Counter, 2> = Family::new("attache_skipped_total", ["plugin", "reason"]);
const ERRORS: Family<Counter, 1> = Family::new("attache_errors_total", ["plugin"]);
const CONFIGURED: Family<Counter, 2> = Family::new("attache_configured_total", ["plugin", "slot"]);

/// The metrics that this crate declares, for [`stats_tags`](super::stats_tags): those of
/// [`Outcomes`], and two that the crate counts in every filter.
///
/// * `attache_errors_total{plugin}`: streams and connections whose filter failed; there from the first on.
/// * `attache_configured_total{plugin,slot}`: how often a plugin was configured successfully, if its
///   VM has the variable `ATTACHE_GENERATION`; `slot` is the generation's last digit. Each push that
///   succeeds raises it by the number of workers plus two: the canary and the main thread are
///   configured too. So a control plane learns that every worker has the new configuration, which
///   Envoy's acknowledgement does not say.
///
/// ```
/// use attache::metrics::{STANDING, stats_tags};
///
/// // The part of the bootstrap that every filter of this crate needs.
/// let yaml = stats_tags(&STANDING);
/// for label in ["plugin", "reason", "slot"] {
///     assert!(yaml.contains(&format!("tag_name: {label}\n")));
/// }
/// ```
pub const STANDING: [&dyn Declared; 6] =
    [&REQUESTS, &MATCHED, &DENIED, &SKIPPED, &ERRORS, &CONFIGURED];

/// The variable by which a push says its generation.
const GENERATION: &str = "ATTACHE_GENERATION";

/// Counters under the same names in every filter, with the plugin's name as a label.
///
/// ```
/// use attache::metrics::Outcomes;
/// use attache::prelude::*;
///
/// struct Teapot { outcomes: Outcomes }
///
/// impl HttpFilter for Teapot {
///     type Config = ();
///
///     fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
///         Ok(Self { outcomes: plugin.outcomes() })
///     }
///
///     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
///         self.outcomes.request();
///         if request.path().as_bytes() == b"/coffee" {
///             self.outcomes.matched();
///             self.outcomes.denied();
///             return Ok(Response::local(StatusCode::IM_A_TEAPOT, "tea only\n"));
///         }
///         self.outcomes.skipped("not coffee");
///         next.run(request).await
///     }
/// }
/// ```
///
/// What a filter does not count costs nothing. Each counter is defined by its first use.
#[derive(Debug)]
pub struct Outcomes {
    plugin: String,
    requests: OnceCell<Counter>,
    matched: OnceCell<Counter>,
    denied: OnceCell<Counter>,
    skipped: OnceCell<Series<Counter, 2>>,
}

impl Outcomes {
    pub(super) fn new(plugin: &str) -> Self {
        Self {
            plugin: plugin.to_owned(),
            requests: OnceCell::new(),
            matched: OnceCell::new(),
            denied: OnceCell::new(),
            skipped: OnceCell::new(),
        }
    }

    /// `attache_requests_total`: the filter has seen a stream.
    pub fn request(&self) {
        self.count(&self.requests, &REQUESTS);
    }

    /// `attache_matched_total`: one of the filter's rules held.
    pub fn matched(&self) {
        self.count(&self.matched, &MATCHED);
    }

    /// `attache_denied_total`: the filter has refused a stream.
    pub fn denied(&self) {
        self.count(&self.denied, &DENIED);
    }

    /// `attache_skipped_total`: the filter has left a stream alone that it might have looked at, and
    /// why. There are few reasons, known when the filter is written.
    pub fn skipped(&self, reason: &'static str) {
        let series = self.skipped.get_or_init(|| SKIPPED.series());
        series.with([self.plugin.as_str(), reason]).increment();
    }

    fn count(&self, counter: &OnceCell<Counter>, family: &'static Family<Counter, 1>) {
        counter
            .get_or_init(|| family.series().with([self.plugin.as_str()]))
            .increment();
    }
}

/// Counts a stream whose filter failed. Every module has this, so it is done without a [`Series`].
pub(crate) fn failed() {
    let plugin = property_text("plugin_name");
    thread_local! {
        static DEFINED: RefCell<Vec<(String, u32)>> = const { RefCell::new(Vec::new()) };
    }
    DEFINED.with_borrow_mut(|defined| {
        let known = defined.iter().find(|(name, _)| *name == plugin);
        let id = match known {
            Some((_, id)) => Ok(*id),
            None => define(ERRORS.name(), &[("plugin", &plugin)]),
        };
        if let (None, Ok(id)) = (known, &id) {
            defined.push((plugin, *id));
        }
        done(id.and_then(|id| metrics::increment(id, 1)));
    });
}

/// Counts that a plugin was configured, the last thing that is done then.
pub(crate) fn configured() {
    let Ok(Some(generation)) = environment::variable(GENERATION) else {
        return;
    };
    let slot = match generation.as_bytes().last() {
        Some(digit) if digit.is_ascii_digit() => &generation[generation.len() - 1..],
        _ => return,
    };
    let plugin = property_text("plugin_name");
    let id = define(CONFIGURED.name(), &[("plugin", &plugin), ("slot", slot)]);
    done(id.and_then(|id| metrics::increment(id, 1)));
}

fn define(name: &str, labels: &[(&str, &str)]) -> Result<u32, HostError> {
    let mut name = name.to_owned();
    for (label, value) in labels {
        label_of(&mut name, label, value.as_bytes(), VALUE_BYTES);
    }
    metrics::define(metrics::COUNTER, &name)
}
