//! A host for proxy-wasm modules that answers as Envoy 1.40 does, for tests.
//!
//! It runs the `.wasm` that is shipped, without a proxy and without a network, in microseconds a
//! request. Where Envoy would crash, hang or block, it fails the test and says why.
//!
//! ```
//! use attache_harness::{Host, HostError, Plugin, Request};
//!
//! # fn filter() -> Vec<u8> {
//! #     wat::parse_str(r#"(module
//! #       (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
//! #       (memory (export "memory") 1)
//! #       (data (i32.const 0) "authorization")
//! #       (func (export "proxy_abi_version_0_2_1"))
//! #       (func (export "malloc") (param i32) (result i32) i32.const 1024)
//! #       (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
//! #         (drop (call $remove (i32.const 0) (i32.const 0) (i32.const 13))) i32.const 0))"#).unwrap()
//! # }
//! let mut host = Host::with(Plugin::from_bytes("auth-scrub", filter()).config("{}"))?;
//! let exchange = host.send(Request::get("/orders").header("Authorization", "Bearer x"))?;
//! assert!(!exchange.upstream_request().headers().contains_key("authorization"));
//! # Ok::<(), HostError>(())
//! ```
//!
//! * [`Host`] starts plugins and sends requests; [`HostBuilder`] has Envoy's settings.
//! * [`Plugin`] is a filter with its configuration; [`plugin!`] builds one of the workspace.
//! * [`Request`] and [`Response`] are what the two peers send; [`Headers`] keeps bytes and order.
//! * [`Answer`] is how a cluster answers call-outs, and the upstream streams; [`CallOut`] is what it got.
//! * [`Connection`] is what came of a connection to a TCP chain, whose upstream answers each
//!   [`Arrival`] by a [`TcpReply`].
//! * [`Exchange`] is what came of a request; its [`Timeline`] says how.
//! * [`Lint`] is a surprise: played as Envoy plays it, and reported with the reason and the advice.
//! * [`BareStream`] is one whose callbacks a test makes one by one, without a proxy around them.
//! * [`Budget`] limits what a stream costs; [`PhaseCost`] is the part of each callback, and [`Growth`] what
//!   many streams leave behind.
//! * [`Module`] checks whether Envoy would load a module.
//!
//! The host plays ABI 0.1.0, 0.2.0 and 0.2.1, with the part of WASI that Envoy has. What Envoy
//! answers and this harness does not, ends the test with [`HostError::NotAnswered`]:
//!
//! * in expressions, messages made by their type, time zones by name, and patterns at the edges of
//!   RE2's syntax;
//! * kept messages of types that are Envoy's own, or whose schema is a reflection of FlatBuffers;
//! * `xds.node.extensions` and the build's metadata, which each build of Envoy has of its own;
//! * calls to a `google_grpc` target, which Envoy reaches without a cluster;
//! * a retry of a request that is under way; those of gRPC call-outs, and how many there are at a time, are not played;
//! * a resume, reply or close of a stream that is asked for in the middle of that stream's own host call, the end
//!   of a root there, and a 17th callback inside of 16 others.

#![forbid(unsafe_code)]

mod abi;
mod access_loggers;
mod agenda;
mod appointments;
mod arrival;
mod attributes;
mod bare_streams;
mod base64;
mod bases;
mod body;
mod budgets;
mod buffers;
mod call;
mod calls;
mod capabilities;
mod clock;
mod clusters;
mod codec;
mod configuration;
mod connection;
mod connection_manager;
mod contexts;
mod decimal;
mod dns;
mod downstream;
mod engine;
mod entries;
mod environment;
mod envoy_version;
mod error;
mod exchange;
mod expressions;
mod filter_chain;
mod filter_state;
mod foreign_functions;
mod growth;
mod grpc_calls;
mod grpc_reply;
mod guest;
mod handles;
mod headers;
mod host;
mod http_calls;
mod http_fields;
mod http_streams;
mod imports;
mod inline_headers;
mod json;
mod known_difference;
mod limits;
mod lints;
mod loading;
mod local_reply;
mod logging;
mod memory;
mod metrics;
mod module;
#[doc(hidden)]
pub mod mutation;
mod nested;
mod pairs;
mod phases;
mod plugin;
mod properties;
mod protobuf;
mod proxy;
mod random;
mod reload;
mod request;
mod response;
mod response_flags;
mod router;
mod shared_data;
mod shared_queues;
mod start;
mod stats_sink;
mod stream;
mod stream_callbacks;
mod tcp_streams;
mod timeline;
mod timers;
mod tunnel;
mod upstream_failure;
mod variables;
mod vm;
mod wasi;
mod world;

pub use crate::abi::{AbiVersion, Direction, LogLevel, Status};
pub use crate::appointments::{Appointment, Source};
pub use crate::attributes::{Attributes, Field, Locality, TrafficDirection};
pub use crate::bare_streams::{BareReply, BareResult, BareStream};
pub use crate::budgets::{Budget, Cost, Excess, OverBudget};
pub use crate::calls::{CallKind, CallOut};
pub use crate::clusters::Answer;
pub use crate::codec::Codec;
pub use crate::connection::{Arrival, Connection, End, Peer, TcpReply};
pub use crate::downstream::{Downstream, Tls};
pub use crate::envoy_version::{EnvoyVersion, VersionDifference};
pub use crate::error::{HostError, SourceError, StartError};
pub use crate::exchange::{
    DownstreamResponse, Exchange, LocalReply, Message, Outcome, StreamId, UpstreamRequest,
};
pub use crate::growth::Growth;
pub use crate::grpc_reply::{GrpcEvent, GrpcReply};
pub use crate::headers::Headers;
pub use crate::host::{Host, HostBuilder};
pub use crate::known_difference::{KnownDifference, KnownGround, Reach};
pub use crate::lints::{Lint, LintKind};
pub use crate::module::{LoadError, Module};
pub use crate::phases::PhaseCost;
pub use crate::plugin::{Configuration, FailurePolicy, Plugin};

pub use crate::request::Request;
pub use crate::response::Response;
pub use crate::response_flags::ResponseFlags;
pub use crate::timeline::{Argument, Event, HostCall, LogLine, Note, Numbers, Timeline};
