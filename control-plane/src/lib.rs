//! Hot reload of filters in running Envoys, over xDS (extension configuration discovery, ECDS).
//!
//! Rollouts are files in a folder. When one changes, or the module that it names, the new version is tried
//! here, and then pushed to the Envoys of its groups. What Envoys refuse is taken back.
//!
//! ```no_run
//! use attache_control_plane::{Plane, Store, api, folder, xds};
//! use tokio::net::TcpListener;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let plane = Plane::new(Store::new("state"))?;
//! tokio::spawn(plane.clone().attend());
//! let discovery = TcpListener::bind("127.0.0.1:18000").await?;
//! tokio::spawn(xds::serve(discovery, plane.clone(), None));
//! let status = TcpListener::bind("127.0.0.1:18001").await?;
//! tokio::spawn(api::serve(status, plane.clone()));
//! folder::watch("rollouts".into(), plane).await?;
//! # Ok(())
//! # }
//! ```
//!
//! * [`Machine`]: what is pushed to whom, and what becomes of it, without a clock and without I/O
//! * [`Plane`]: the machine at work; [`Store`]: what outlives it
//! * [`Rollout`], [`read`], [`folder`]: what is declared
//! * [`resource`]: a version as Envoy reads it
//! * [`xds`], [`api`]: the two servers
//! * [`status`]: what the HTTP API answers

#![forbid(unsafe_code)]

mod admin;
pub mod api;
mod connection;
mod exposition;
mod fetch;
pub mod folder;
mod machine;
mod mailbox;
mod observer;
mod plane;
mod preflight;
mod probe;
mod resource;
mod rollout;
pub mod status;
mod store;
mod timestamp;
mod totals;
pub mod xds;

pub use crate::fetch::Images;
pub use crate::machine::{
    Action, Counts, Denial, Event, Machine, Memory, Moment, Node, PluginCounts, Probing, Round,
    Setback, Share, StreamId, Watch, Wish,
};
pub use crate::plane::Plane;
pub use crate::resource::{TYPE_URL, resource};
pub use crate::rollout::{
    Answer, Canary, Criteria, FailurePolicy, FileError, Module, Probe, Rollout, SuiteText, read,
};
pub use crate::store::{Store, StoreError};
pub use crate::timestamp::{Timestamp, TimestampError};
