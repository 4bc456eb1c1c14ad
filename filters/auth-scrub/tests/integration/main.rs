//! The shipped module in the harness.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod configuration;
mod cost;
mod documentation;
mod scrubbing;
mod suite;
