//! The command as a user runs it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod building;
mod command;
mod dependencies;
mod documents;
mod inspecting;
mod making;
mod running;
mod testing;
mod without;
