//! The shipped module in the harness.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod access_log;
mod configuration;
mod cost;
mod documentation;
mod properties;
mod scrubbing;
mod suite;
mod vectors;
