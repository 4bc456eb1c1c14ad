//! The corpus, on the harness and on a real Envoy.

mod mutated;
mod played;
