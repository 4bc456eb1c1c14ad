//! The corpus, on the harness and on a real Envoy.

mod documented;
mod mutated;
mod played;
mod versions;
