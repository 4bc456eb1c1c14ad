//! Measures that the harness answers as Envoy does.
//!
//! `suites/` is the corpus: suites over the guest `probe`, each case with the ids of what it is evidence
//! of in `docs/envoy-behaviour.md`. Every case is played on the harness and on a real Envoy, and must be
//! seen alike.

#![forbid(unsafe_code)]

mod corpus;

pub use crate::corpus::{corpus, repository};
