//! Measures that the harness answers as Envoy does.
//!
//! `suites/` is the corpus: suites over the guest `probe`, each case with the ids of what it is evidence
//! of in `docs/envoy-behaviour.md`. Every case is played on the harness and on a real Envoy, and must be
//! seen alike. Besides, [`Scenario`] draws cases by lot, which [`play`] plays on both hosts; where they
//! disagree, [`shrink`] makes the case small.
//!
//! [`suites_for`] and [`versions_text`] are the same for older Envoys.
//!
//! The corpus is tested itself: [`Stage`] plays it on harnesses that are wrong in one place, and some case
//! has to notice.

#![forbid(unsafe_code)]

mod batch;
mod behaviour;
mod cells;
mod corpus;
mod coverage;
mod generator;
mod mutations;
mod pacing;
mod shrink;
pub mod suite_text;
mod versions;

pub use crate::batch::{Finding, Judged, play};
pub use crate::behaviour::{Statement, statements, with_links};
pub use crate::cells::Cells;
pub use crate::corpus::{corpus, repository};
pub use crate::coverage::{Cell, Coverage, Reason, SEEDS};
pub use crate::generator::{Likeness, Scenario};
pub use crate::mutations::{
    Outcome, Stage, StageError, Thoroughness, known_survivors, sample, seed_of,
};
pub use crate::pacing::{scenarios, scenarios_like};
pub use crate::shrink::shrink;
pub use crate::versions::{Played, entry, suites_for, versions_document, versions_text};
