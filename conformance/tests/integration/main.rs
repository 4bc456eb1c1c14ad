//! The corpus, on the harness and on a real Envoy.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod played;
