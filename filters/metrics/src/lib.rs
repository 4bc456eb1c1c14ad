//! Counts requests under the names and labels of Istio's standard metrics, wherever Envoy runs.
//!
//! The README beside this crate says how to configure it and what it costs. [`expression`], [`templates`] and
//! [`grpc`] decide without a host, `declaration` checks a configuration; `counting` and `stream` read what
//! Envoy knows of a stream at its end and record it.

#![forbid(unsafe_code)]

mod cel;
mod config;
mod counting;
mod declaration;
mod flags;
mod identity;
mod labels;
mod stream;

pub mod expression;
pub mod grpc;
pub mod templates;

use std::rc::Rc;
use std::time::Duration;

use attache::Completed;
use attache::metrics::{Outcomes, STANDING, stats_tags_of};
use attache::prelude::*;
use attache::properties::xds;

use crate::cel::Compiled;
pub use crate::config::Config;
use crate::config::Reporter;
use crate::counting::Counting;
use crate::declaration::Declaration;
use crate::grpc::{Frames, Messages};
use crate::labels::End;
use crate::stream::{Seen, Surroundings};

/// The filter.
#[derive(Debug)]
pub struct Metrics {
    shared: Rc<Shared>,
    counts_messages: bool,
    failure_mode: FailureMode,
}

/// What the messages of a stream are counted with too, while they pass.
#[derive(Debug)]
struct Shared {
    surroundings: Surroundings,
    /// One for each end that this proxy may be.
    counting: [Counting; 2],
    reporter: Reporter,
    /// How long messages of a stream that lasts may be uncounted.
    period: Duration,
    outcomes: Outcomes,
}

impl HttpFilter for Metrics {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST
        .union(Phases::REQUEST_BODY)
        .union(Phases::RESPONSE)
        .union(Phases::RESPONSE_BODY)
        .union(Phases::COMPLETE);

    fn configure(config: Config, plugin: &Plugin) -> Result<Self, ConfigError> {
        let compiled = Compiled::default();
        let declaration = Declaration::new(&config, &|text| compiled.get(text).map(drop))?;
        let identity = identity::Identity::read();
        let counting = |end| {
            Counting::new(
                &declaration,
                &config.cardinality,
                end,
                &identity,
                &compiled,
                plugin,
                &config.stat_prefix,
            )
        };
        Ok(Self {
            counts_messages: declaration.counts_messages(),
            failure_mode: config.failure_mode,
            shared: Rc::new(Shared {
                counting: [counting(End::Source)?, counting(End::Destination)?],
                reporter: config.reporter,
                period: Duration::from_secs(config.grpc.report_seconds.into()),
                outcomes: plugin.outcomes(),
                surroundings: Surroundings::new(config, declaration, identity),
            }),
        })
    }

    async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
        let shared = &self.shared;
        let seen = Rc::new(shared.surroundings.see(&request));
        request.keep(Rc::clone(&seen));
        if !(self.counts_messages && seen.is_grpc) {
            return next.forward(request);
        }
        let mut request = request;
        request.watch_body(shared.count(&seen, |seen| &seen.asked));
        let mut response = next.run(request).await?;
        response.watch_body(shared.count(&seen, |seen| &seen.answered));
        Ok(response)
    }

    fn failure_mode(&self) -> FailureMode {
        self.failure_mode
    }

    fn on_complete(&self, stream: &Completed) {
        let shared = &self.shared;
        shared.outcomes.request();
        let seen = stream.kept::<Rc<Seen>>();
        let seen = seen.as_ref().map(|seen| &***seen);
        shared
            .counting()
            .record(&shared.surroundings, seen, &shared.outcomes);
    }
}

impl Shared {
    /// Counts the messages in the pieces of a body, and reports them now and then.
    fn count(
        self: &Rc<Self>,
        seen: &Rc<Seen>,
        messages: fn(&Seen) -> &Messages,
    ) -> impl FnMut(&[u8]) + use<> {
        let (shared, seen) = (Rc::clone(self), Rc::clone(seen));
        let mut frames = Frames::default();
        move |piece| {
            frames.read(piece);
            if messages(&seen).are(frames.count()) && seen.is_due(shared.period) {
                shared.counting().report(&shared.surroundings, &seen);
            }
        }
    }

    fn counting(&self) -> &Counting {
        let [source, destination] = &self.counting;
        match self.end() {
            End::Source => source,
            End::Destination => destination,
        }
    }

    fn end(&self) -> End {
        match self.reporter {
            Reporter::Source => End::Source,
            Reporter::Destination => End::Destination,
            // 1 is INBOUND.
            Reporter::Auto => match xds::LISTENER_DIRECTION.get() {
                Ok(Some(1)) => End::Destination,
                _ => End::Source,
            },
        }
    }
}

/// What Envoy's bootstrap needs so that the labels of this configuration are labels in Prometheus.
///
/// # Errors
///
/// A [`ConfigError`] for a configuration that the filter refuses.
pub fn stats_tags(config: &Config) -> Result<String, ConfigError> {
    let declaration = Declaration::new(config, &|_| Ok(()))?;
    let own = STANDING.iter().flat_map(|standing| standing.labels());
    Ok(stats_tags_of(declaration.labels().chain(own.copied())))
}

attache::filters! { "metrics" => Metrics }
