//! Plays suites and cases on the harness and on a real Envoy, and compares what was seen.
//!
//! A [`Suite`] is a YAML file of cases, which its `README.md` explains. [`suite!`] makes tests of one:
//!
//! ```no_run
//! attache_suite::suite!("tests/auth-scrub.suite.yaml");
//! ```
//!
//! A [`Case`] is the same in Rust: a chain of filters, requests in the order in which they begin, and
//! what the upstream answers. [`on_harness`] plays it in milliseconds, [`on_envoy`] in front of a real
//! upstream; both give a [`Seen`], and two of these are equal or the harness is wrong.
//!
//! ```no_run
//! use attache_suite::{Case, Filter, Request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let case = Case::new(Filter::new("auth-scrub", "target/attache/auth-scrub.wasm"))
//!     .request(Request::get("/orders").header("authorization", "Bearer x"));
//! let envoy = attache_envoy::find(
//!     &attache_envoy::Selection::Default,
//!     &attache_envoy::Environment::current(),
//!     &mut |_| (),
//! )?;
//! let folder = std::path::Path::new("target/case");
//! assert_eq!(
//!     attache_suite::on_harness(&case)?,
//!     attache_suite::on_envoy(&case, &envoy, folder)?
//! );
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod bless;
mod case;
mod chance;
mod check;
mod compare;
mod costs;
mod coverage;
mod drift;
mod file;
mod forecast;
mod junit;
mod known_ground;
mod mutated;
mod on_envoy;
mod on_harness;
mod pace;
mod plan;
mod plugin_tests;
mod record;
mod report;
mod rules;
mod run;
#[cfg(test)]
mod schema;
mod seen;
mod suite;
mod testing;
mod yaml;

pub use crate::bless::Blessed;
pub use crate::case::{Case, Filter, Reply, Request};
pub use crate::check::Difference;
pub use crate::costs::{CaseCost, Costs};
pub use crate::coverage::Coverage;
#[doc(hidden)]
pub use crate::mutated::{Rehearsal, Shown};
pub use crate::on_envoy::{EnvoyError, on_envoy};
pub use crate::on_harness::{HarnessError, on_harness};
pub use crate::pace::Pace;
pub use crate::plugin_tests::PluginTests;
pub use crate::record::{RecordError, Recorded, RecordedPlugin, Recording};
pub use crate::report::{CaseReport, End, FailedSuite, Looks, Player, Report, Verdict};
pub use crate::rules::RuleCoverage;
pub use crate::run::Progress;
pub use crate::run::{BothError, on_both};
pub use crate::seen::{
    Access, Calls, Connection, Ended, Line, Message, PeerEnd, Received, Refusal, Seen, Stream,
};
pub use crate::suite::{Suite, SuiteError, Target};
pub use crate::testing::{TestError, on_both_hosts, on_the_harness};
