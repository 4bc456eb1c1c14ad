//! The control plane, with real Envoys where the name of a test's reason says so.

#![expect(clippy::unwrap_used, reason = "tests")]

mod load;
mod program;
mod reload;
mod scratch;
mod stage;
