//! Counts requests under the names and labels of Istio's standard metrics, wherever Envoy runs.
//!
//! The README beside this crate says how to configure it and what it costs. [`expression`], [`templates`] and
//! [`grpc`] decide without a host, `declaration` checks a configuration; `counting` and `stream` read what
//! Envoy knows of a stream at its end and record it.

#![forbid(unsafe_code)]

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

use std::cell::Cell;
use std::rc::Rc;

use attache::Completed;
use attache::metrics::{Outcomes, STANDING, stats_tags_of};
use attache::prelude::*;
use attache::properties::xds;

pub use crate::config::Config;
use crate::config::Reporter;
use crate::counting::Counting;
use crate::declaration::Declaration;
use crate::grpc::Frames;
use crate::labels::End;
use crate::stream::{Seen, Surroundings};

/// The filter.
#[derive(Debug)]
pub struct Metrics {
    surroundings: Surroundings,
    /// One for each end that this proxy may be.
    counting: [Counting; 2],
    reporter: Reporter,
    counts_messages: bool,
    failure_mode: FailureMode,
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
        let declaration = Declaration::new(&config)?;
        let identity = identity::Identity::read();
        let counting = |end| {
            Counting::new(
                &declaration,
                &config.cardinality,
                end,
                &identity,
                plugin,
                &config.stat_prefix,
            )
        };
        Ok(Self {
            counting: [counting(End::Source)?, counting(End::Destination)?],
            reporter: config.reporter,
            counts_messages: declaration.counts_messages(),
            failure_mode: config.failure_mode,
            outcomes: plugin.outcomes(),
            surroundings: Surroundings::new(config, declaration, identity),
        })
    }

    async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
        let seen = self.surroundings.see(&request);
        let counts = self.counts_messages && seen.is_grpc;
        if !counts {
            request.keep(seen);
            return next.forward(request);
        }
        let (asked, answered) = (Rc::clone(&seen.asked), Rc::clone(&seen.answered));
        request.keep(seen);
        let mut request = request;
        request.watch_body(count(asked));
        let mut response = next.run(request).await?;
        response.watch_body(count(answered));
        Ok(response)
    }

    fn failure_mode(&self) -> FailureMode {
        self.failure_mode
    }

    fn on_complete(&self, stream: &Completed) {
        self.outcomes.request();
        let [source, destination] = &self.counting;
        let counting = match self.end() {
            End::Source => source,
            End::Destination => destination,
        };
        let seen = stream.kept::<Seen>();
        counting.record(&self.surroundings, seen.as_deref(), &self.outcomes);
    }
}

impl Metrics {
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

/// Counts the messages in the pieces of a body.
fn count(count: Rc<Cell<u64>>) -> impl FnMut(&[u8]) {
    let mut frames = Frames::default();
    move |piece| {
        frames.read(piece);
        count.set(frames.count());
    }
}

/// What Envoy's bootstrap needs so that the labels of this configuration are labels in Prometheus.
///
/// # Errors
///
/// A [`ConfigError`] for a configuration that the filter refuses.
pub fn stats_tags(config: &Config) -> Result<String, ConfigError> {
    let declaration = Declaration::new(config)?;
    let own = STANDING.iter().flat_map(|standing| standing.labels());
    Ok(stats_tags_of(declaration.labels().chain(own.copied())))
}

attache::filters! { "metrics" => Metrics }
