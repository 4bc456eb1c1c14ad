//! Cases on the harness, and the same cases on a real Envoy.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod auth_scrub;
mod both;
mod call_outs;
mod compose;
mod configurations;
mod crds;
mod entry_points;
mod envoy_configs;
mod envoy_gateway;
mod examples;
mod expressions;
mod files;
mod foreign_functions;
mod istio;
mod large_answers;
mod loading;
mod messages;
mod metrics;
mod nested_traps;
mod probe;
mod properties;
mod reader;
mod reload;
mod repeated_headers;
mod sdk_answers;
mod sdk_counts;
mod sdk_hostile;
mod sdk_pruned;
mod sdk_waits;
mod settled;
mod start_phases;
mod suites;
mod tcp;
mod templates;
mod tls;
mod toolchains;
mod transform_configs;
mod tutorial;
mod upstream_filters;
