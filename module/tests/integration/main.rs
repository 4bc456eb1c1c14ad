//! Modules, built and finished.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod building;
mod describing;
mod finishing;
mod sample;
