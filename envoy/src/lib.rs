//! Finds, installs, configures, starts, watches and stops a real Envoy.
//!
//! ```no_run
//! use attache_envoy::{Bootstrap, Environment, Envoy, FilterSource, Listener, Plugin, Selection, StartOptions};
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let environment = Environment::current();
//! let installation = attache_envoy::find(&Selection::Default, &environment, &mut |_| ())?;
//!
//! let mut listener = Listener::new("filtered");
//! listener.filters.push(FilterSource::Static(Plugin::new("auth-scrub", "/tmp/auth_scrub.wasm")));
//! let bootstrap = Bootstrap::new("127.0.0.1:8080".parse()?, vec![listener]);
//! let folder = Path::new("/tmp/attache");
//! let config = bootstrap.write(&folder.join("envoy.yaml"))?;
//!
//! let envoy = Envoy::start(&installation, &config, folder, StartOptions::default())?;
//! println!("send requests to {}", envoy.listener_address("filtered")?);
//! envoy.stop()?;
//! # Ok(())
//! # }
//! ```
//!
//! * [`find`] and [`install`]: which Envoy is used, and how it comes into the
//!   user's cache when there is none ([`Selection`], [`Installation`],
//!   [`Platform`], [`Version`], [`Progress`]).
//! * [`Bootstrap`], [`Listener`], [`Plugin`]: the configuration file;
//!   [`Discovered`] is a plugin that can be replaced while Envoy runs.
//! * [`Envoy`]: the running process, its log, its admin endpoint.
//! * [`insert_before_routers`] puts filters into a configuration of others.
//! * [`Archive`] keeps requests and their answers in a file (HAR).
//! * [`StandIns`] take the place of secrets in what is kept of messages.
//! * [`stats_path`]: how the admin endpoint is asked for statistics by name.
//! * [`RunFolder`]: a folder for its files that no other run has.
//! * [`AccessEntry`], [`AccessLogReader`]: the access log that the configuration asks for.
//! * [`http1`] and [`upstream`]: a client and a server that show bytes as they
//!   are on the wire. With the feature `http2` there is a client for HTTP/2,
//!   an upstream that speaks it and gRPC, and [`tcp`].
//! * [`Link`]: whether Envoy has read what was sent to it.
//!
//! What is read from the process environment is read from an [`Environment`]
//! value, so that tests choose it and run in parallel. The crate needs a Unix:
//! Envoy runs under `/bin/sh`, which ends it when this process is gone.

#![forbid(unsafe_code)]

mod access_log;
mod archive;
mod bootstrap;
mod cache;
mod discovered;
mod environment;
mod find;
pub mod http1;
#[cfg(feature = "http2")]
pub mod http2;
mod insertion;
mod install;
mod link;
mod native;
mod platform;
mod plugin;
mod process;
mod program;
mod run_folder;
mod secrets;
mod stats_filter;
mod supervisor;
mod tap;
#[cfg(feature = "http2")]
pub mod tcp;
pub mod upstream;
mod version;
mod wheel;
mod yaml;

pub use access_log::{AccessEntry, AccessLogError, AccessLogReader};
pub use archive::{Archive, ArchiveError, Archived, ArchivedResponse, printable};
pub use bootstrap::{
    Bootstrap, BootstrapError, Cluster, Codec, Endpoint, EndpointError, FilterSource, Identity,
    Listener, Proxy, RequestId, ServerHeader, Service, Trailers,
};
pub use cache::{CacheError, cache_folder};
pub use discovered::{Discovered, ModuleStore, WriteError};
pub use environment::Environment;
pub use find::{FindError, Installation, Origin, Selection, find};
pub use insertion::{Insertion, InsertionError, insert_before_routers};
pub use install::{DownloadError, InstallError, Progress, install};
pub use link::Link;
pub use native::{NativeFilter, NativeFilterError};
pub use platform::{Platform, PlatformError};
pub use plugin::{FailurePolicy, Plugin};
pub use process::{
    AdminError, Ended, Envoy, LogLevel, LogLine, LogReader, Push, PushError, StartError,
    StartOptions,
};
pub use program::ProgramError;
pub use run_folder::RunFolder;
pub use secrets::StandIns;
pub use stats_filter::{stats_literal, stats_path};
pub use supervisor::Supervised;
pub use tap::{Passed, PassedBody, Tapped};
pub use version::{Version, VersionError};
