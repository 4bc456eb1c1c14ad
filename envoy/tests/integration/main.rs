//! Tests of what needs processes, sockets or a real Envoy. Those that need
//! Envoy are ignored: `cargo test -p attache-envoy -- --ignored` runs them, and
//! installs one unless `ENVOY` names one.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy knows tests, and not what tests call"
)]

mod chain;
mod configuration;
mod find;
mod http1;
mod modules;
mod parent;
mod reload;
mod running;
mod scratch;
mod start;
mod upstream;
