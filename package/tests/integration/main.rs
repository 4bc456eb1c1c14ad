//! Images, the folders that hold them, and the manifests that load them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../suite/tests/integration/crds.rs"]
mod crds;

mod checks;
mod envoy;
mod images;
mod manifests;
mod modules;
mod program;
mod publishing;
mod registries;
mod registry;
mod signing;
