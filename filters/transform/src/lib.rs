//! Changes requests and responses by rules: headers, queries, paths, and bodies of JSON and forms.
//!
//! The README beside this crate says how to configure it and what it does not do. [`Plan`] is a
//! configuration that has been checked, and [`Task`] what it does with a message, both without a host;
//! this file and `stream.rs` wire them to a stream.

#![forbid(unsafe_code)]

mod content;
mod escape;
mod exchange;
mod failure;
mod fuel;
mod media;
mod plan;
mod run;
mod stream;

pub mod coding;
pub mod config;
pub mod head;
pub mod jmespath;
pub mod json;
pub mod json_patch;
pub mod pairs;
pub mod path;
pub mod template;

use attache::metrics::Outcomes;
use attache::prelude::*;

use crate::config::Config;
pub use crate::exchange::{Outcome, Part, Task};
pub use crate::failure::Failure;
pub use crate::fuel::Fuel;
pub use crate::plan::{Plan, Rule, Side};

/// The filter.
#[derive(Debug)]
pub struct Transform {
    plan: Plan,
    outcomes: Outcomes,
}

impl HttpFilter<Holding> for Transform {
    type Config = Config;

    const PHASES: Phases = Phases::REQUEST
        .union(Phases::REQUEST_BODY)
        .union(Phases::RESPONSE)
        .union(Phases::RESPONSE_BODY);

    fn configure(config: Config, plugin: &Plugin) -> Result<Self, ConfigError> {
        Ok(Self {
            plan: Plan::new(&config)?,
            outcomes: plugin.outcomes(),
        })
    }

    async fn call(
        &self,
        request: Request<Holding>,
        next: Next<Holding>,
    ) -> Result<Response<Holding>, Error> {
        self.stream(request, next).await
    }

    fn failure_mode(&self) -> FailureMode {
        self.plan.failure_mode
    }
}

attache::filters! { "transform" => Transform }
