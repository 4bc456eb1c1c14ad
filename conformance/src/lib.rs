//! Measures that the harness answers as Envoy does.
//!
//! `suites/` is the corpus: suites over the guest `probe`, each case with the ids of what it is evidence
//! of in `docs/envoy-behaviour.md`. Every case is played on the harness and on a real Envoy, and must be
//! seen alike.
//!
//! The corpus is tested itself: [`Stage`] plays it on harnesses that are wrong in one place, and some case
//! has to notice.

#![forbid(unsafe_code)]

mod corpus;
mod mutations;

pub use crate::corpus::{corpus, repository};
pub use crate::mutations::{
    Outcome, Stage, StageError, Thoroughness, known_survivors, sample, seed_of,
};
