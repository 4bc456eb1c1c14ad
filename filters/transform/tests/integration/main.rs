//! The shipped module in the harness.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod chunks;
mod configuration;
mod documentation;
mod properties;
mod suite;
