//! The control plane, with real Envoys where the name of a test's reason says so.

#![expect(clippy::unwrap_used, reason = "tests")]

mod budget;
mod buttons;
mod clients;
mod command;
mod demo;
mod documents;
mod failures;
mod faults;
mod files;
mod guests;
mod images;
mod killed;
mod listeners;
mod load;
mod page;
mod probes;
mod program;
mod reload;
mod restart;
mod rollouts;
mod scratch;
mod slow;
mod stage;
mod tls;
mod traps;
