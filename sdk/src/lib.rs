//! Write an Envoy filter in WebAssembly as one `async fn`.
//!
//! A filter is a type that implements [`HttpFilter`]. Its [`call`](HttpFilter::call) receives a
//! request, passes it on with [`Next::run`], wakes with the response and returns it. Local
//! variables are the stream's state: when the client goes away, the future is dropped. Returning
//! [`Response::local`] without calling `next` answers in the upstream's place.
//!
//! ```
//! use attache::prelude::*;
//!
//! /// Marks what came through this proxy, and hides who serves it.
//! struct Badge {
//!     config: Config,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     name: setting::HeaderValue,
//! }
//!
//! impl HttpFilter for Badge {
//!     type Config = Config;
//!
//!     fn configure(config: Config, _plugin: &Plugin) -> Result<Self, ConfigError> {
//!         Ok(Self { config })
//!     }
//!
//!     async fn call(&self, mut request: Request, next: Next) -> Result<Response, Error> {
//!         request.headers_mut().insert(VIA, &self.config.name);
//!         let mut response = next.run(request).await?;
//!         response.headers_mut().remove(SERVER);
//!         Ok(response)
//!     }
//! }
//!
//! attache::filters! { "badge" => Badge }
//! ```
//!
//! The crate's manifest says that it becomes a module, and has `serde` for the configuration:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//!
//! [dependencies]
//! attache = "0.1"
//! serde = { version = "1", features = ["derive"] }
//! ```
//!
//! `cargo build --target wasm32-unknown-unknown` makes a module of such a crate; `attache build`
//! makes a smaller and faster one. The crate also compiles for the
//! build machine, where host calls answer [`Status::UNIMPLEMENTED`], so that a filter's own logic
//! has ordinary unit tests; `testing` makes requests and bodies for them.
//!
//! The [`guide`] goes on from here: bodies, call-outs, state, testing, failure, and porting from the
//! crate `proxy-wasm`.
//!
//! # Bodies
//!
//! `request.map_body` and `response.map_body` change a body while it passes ([`BodyTransform`]);
//! [`Next::send`] and [`Response::send`] pass the headers on and hold the body until it is
//! [collected](Incoming::collect). Who needs the body to decide on headers implements
//! [`HttpFilter<Holding>`](Holding).
//!
//! # Examples
//!
//! The repository's folder `examples/` has filters to begin with, each in one file, with a suite of
//! cases that it holds on the harness and on a real Envoy:
//!
//! * `add-header` puts headers into requests and responses;
//! * `deny-list` answers 403 in the upstream's place, by path and by header;
//! * `ext-auth` asks a cluster before a request goes on, with a [`Cache`] of verdicts and one question
//!   for all who want the same ([`SingleFlight`]);
//! * `body-rewrite` replaces fields of JSON bodies while it holds the headers ([`Holding`]);
//! * `sse` changes server-sent events while they pass, however they are cut ([`BodyTransform`]);
//! * `rate-limit` counts requests by key, over all workers ([`shared`]);
//! * `tcp-allow-list` lets some networks connect ([`TcpFilter`]);
//! * `audit` tells a service of each stream, over gRPC ([`AccessLogger`]).
//!
//! # Modules
//!
//! Everything is at the root; [`prelude`] is what a filter imports. Inside, `host` is the only
//! place that calls Envoy, `stream` holds the rules of a stream's life, `tasks` the futures that
//! wait, [`cluster`] and [`grpc`] call out, and `config` reads the plugin configuration.
//!
//! # Features
//!
//! * `allocator`, unless switched off: modules have an allocator that is smaller and faster than the one of
//!   `std`. Without it a filter may name another with `#[global_allocator]`.
//! * `prost`: gRPC call-outs on messages of the crate `prost` 0.14, beside those on bytes ([`grpc`]).
//!
//! # What may go wrong
//!
//! Client input never becomes an [`Error`]. An `Error` is a fault of the host or of the
//! configuration and meets the filter's [`FailureMode`]. See [`HttpFilter::failure_mode`].

#![cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "only the wasm32 entry drives streams")
)]

#[cfg(target_arch = "wasm32")]
mod entry;

mod access_logger;
mod body;
mod cache;
mod calls;
mod clock;
pub mod cluster;
mod completed;
mod config;
mod constants;
mod content_type;
mod describe;
mod environment;
mod error;
mod filter;
pub mod filter_state;
mod flow;
pub mod foreign;
pub mod grpc;
// Text only, so that a filter does not have it among the crate's modules.
#[cfg(any(doc, doctest))]
pub mod guide;
mod headers;
mod host;
mod kind;
mod logging;
pub mod matching;
pub mod metrics;
mod mode;
mod next;
mod overlay;
mod pairs;
mod phases;
mod plugin;
pub mod properties;
pub mod queue;
pub mod random;
mod registry;
mod request;
mod response;
mod retry;
mod secret;
mod service;
pub mod setting;
pub mod shared;
mod single_flight;
mod status;
mod stream;
mod tasks;
mod tcp;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod time;
pub mod together;

pub use crate::access_logger::AccessLogger;
pub use crate::body::{
    Bodiless, BodyTransform, Collect, Collected, Incoming, Piece, Reading, Rewriting, Watched,
    Whole,
};
pub use crate::cache::Cache;
pub use crate::clock::Timestamp;
pub use crate::completed::{Complete, Completed};
pub use crate::config::{ConfigError, Document};
pub use crate::content_type::{ContentType, Parameter};
pub use crate::error::{Error, ErrorKind};
pub use crate::filter::{FailureMode, HttpFilter};
pub use crate::headers::{Fate, FieldName, FieldValue, Headers};
pub use crate::mode::{Holding, Holds, Mode, Streaming};
pub use crate::next::{Arrival, Next, Run, Sent};
pub use crate::overlay::PerRoute;
pub use crate::phases::Phases;
pub use crate::plugin::Plugin;
pub use crate::request::{InvalidAuthority, InvalidMethod, InvalidPath, Path, Request};
pub use crate::response::{Body, InvalidStatus, LocalReply, Response, SentResponse};
pub use crate::retry::{Attempt, Retry, Retryable};
pub use crate::secret::{Secret, Wipe};
pub use crate::service::Service;
pub use crate::single_flight::SingleFlight;
pub use crate::status::{HostError, Status};
pub use crate::tcp::{
    Closed, ClosedBy, CompletedConnection, Connection, Data, DataTransform, Ending, FirstBytes,
    More, RunTcp, TcpFilter, TcpNext,
};
pub use crate::time::{Interval, Sleep, TimeoutError, interval, sleep, timeout};
pub use http;
pub use log;
pub use schemars;
pub use serde;

/// What a filter imports: the types that its methods take and return, [`setting`]s, header names,
/// [`log`], `Deserialize` and `JsonSchema`.
///
/// ```
/// use attache::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Config {
///     cluster: String,
///     timeout: setting::Duration,
/// }
///
/// # fn too_busy() -> Response {
/// log::warn!("too many requests");
/// LocalReply::new(StatusCode::TOO_MANY_REQUESTS).header(RETRY_AFTER, 1).into()
/// # }
/// ```
pub mod prelude {
    pub use crate::cluster::Cluster;
    pub use crate::{
        AccessLogger, BodyTransform, Collected, Completed, CompletedConnection, ConfigError,
        Connection, ContentType, Ending, Error, FailureMode, Headers, Holding, HttpFilter,
        LocalReply, Next, PerRoute, Phases, Piece, Plugin, Request, Response, Secret, Sent,
        Service, Streaming, TcpFilter, TcpNext, Timestamp, log, setting,
    };
    pub use http::header::*;
    pub use http::{Method, StatusCode};
    pub use schemars::JsonSchema;
    // The derive names its crate; so it is found without a line in the filter's manifest.
    #[doc(hidden)]
    pub use schemars;
    pub use serde::Deserialize;
}

/// What [`filters!`] expands to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::describe::{Described, Package, describe, described};
    #[cfg(target_arch = "wasm32")]
    pub use crate::entry::start;
    pub use crate::phases::{DECLARATION_EXTRA, declaration};
    pub use crate::registry::{Registration, phases, register};
    #[cfg(target_arch = "wasm32")]
    pub use proxy_wasm;
}

/// Makes a module of one or several filters, each under the root id that selects it. A filter is
/// whatever implements one of the traits for filters, such as [`HttpFilter`].
///
/// Envoy's plugin configuration names the root id. An unknown one fails `configure`, with the
/// known ones in the log; an empty one selects the filter of a module that holds just one.
///
/// The macro also leaves one line a filter in the custom section `attache.filters`, from which
/// `attache build` learns which callbacks the module needs (see [`Phases`]), and the export
/// `attache_describe`, which `attache build` calls once for name, version and configuration schemas
/// and then drops.
///
/// ```
/// use attache::prelude::*;
///
/// struct Allow;
/// struct Deny;
///
/// # impl HttpFilter for Allow {
/// #     type Config = ();
/// #     fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> { Ok(Self) }
/// #     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> { next.forward(request) }
/// # }
/// # impl HttpFilter<Holding> for Deny {
/// #     type Config = ();
/// #     fn configure((): (), _plugin: &Plugin) -> Result<Self, ConfigError> { Ok(Self) }
/// #     async fn call(&self, request: Request<Holding>, next: Next<Holding>) -> Result<Response<Holding>, Error> {
/// #         next.forward(request)
/// #     }
/// # }
/// // `impl HttpFilter for Allow { … }` and `impl HttpFilter<Holding> for Deny { … }`
///
/// attache::filters! {
///     "allow" => Allow,
///     "deny" => Deny,
/// }
/// ```
#[macro_export]
macro_rules! filters {
    ($($root_id:literal => $filter:ty),+ $(,)?) => {
        $(
            const _: () = {
                const LENGTH: usize = $root_id.len() + $crate::__private::DECLARATION_EXTRA;
                #[cfg(target_arch = "wasm32")]
                #[used]
                #[unsafe(link_section = "attache.filters")]
                static DECLARATION: [u8; LENGTH] = $crate::__private::declaration(
                    $root_id,
                    $crate::__private::phases::<$filter, _>(),
                );
                #[cfg(not(target_arch = "wasm32"))]
                const _: [u8; LENGTH] = $crate::__private::declaration(
                    $root_id,
                    $crate::__private::phases::<$filter, _>(),
                );
            };
        )+
        const _: () = {
            const REGISTRY: &[$crate::__private::Registration] =
                &[$($crate::__private::register::<$filter, _>($root_id)),+];
            #[cfg(target_arch = "wasm32")]
            $crate::__private::proxy_wasm::main! {{ $crate::__private::start(REGISTRY); }}
            // Off wasm32 the registry only has to type-check.
            #[cfg(not(target_arch = "wasm32"))]
            const _: usize = REGISTRY.len();
        };
        // Not part of the registry: what the registry names stays in the module.
        const _: () = {
            const PACKAGE: $crate::__private::Package = $crate::__private::Package {
                name: env!("CARGO_PKG_NAME"),
                version: env!("CARGO_PKG_VERSION"),
                description: env!("CARGO_PKG_DESCRIPTION"),
                license: env!("CARGO_PKG_LICENSE"),
            };
            const FILTERS: &[$crate::__private::Described] =
                &[$($crate::__private::described::<$filter, _>($root_id)),+];
            #[cfg(target_arch = "wasm32")]
            #[unsafe(no_mangle)]
            extern "C" fn attache_describe() -> u64 {
                $crate::__private::describe(&PACKAGE, FILTERS)
            }
            #[cfg(not(target_arch = "wasm32"))]
            const _: (&str, usize) = (PACKAGE.name, FILTERS.len());
        };
    };
}
