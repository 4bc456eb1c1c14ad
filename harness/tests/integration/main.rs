//! The harness against guests written for the purpose.

#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "clippy knows tests, and not what tests call"
)]

mod budgets;
mod buffers;
mod building;
mod capabilities;
mod chains;
mod compiled;
mod dns;
mod entry_points;
mod entry_properties;
mod failures;
mod foreign_functions;
mod grpc_calls;
mod guest;
mod header_maps;
mod hostile;
mod http2;
mod http_calls;
mod lifecycle;
mod limits;
mod lints;
mod loading;
mod local_replies;
mod nested;
mod observing;
mod pausing;
mod probe;
mod properties;
mod proposals;
mod reload;
mod retries;
mod shared_queues;
mod shared_state;
mod stats_sinks;
mod tcp_streams;
mod toolchains;
mod traps;
mod upstream_faults;
mod versions;
mod wasi;
