//! The shipped module in the harness.

#![expect(clippy::panic, reason = "a test fails by panicking")]

mod any;
mod configuration;
mod documentation;
mod suite;
