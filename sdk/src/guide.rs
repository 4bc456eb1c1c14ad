//! A guide to writing filters, for readers who know Rust and not Envoy.
//!
//! * [`first_filter`]: Envoy in ten sentences, and a filter from an empty folder to a request.
//! * [`bodies`]: read them, judge them, change them while they pass.
//! * [`call_outs`]: ask other services before a request goes on.
//! * [`state`]: what lives how long, and who sees it.
//! * [`testing`]: without a proxy, and with one.
//! * [`failure`]: what goes wrong, and who decides what becomes of it.
//! * [`porting`]: from the crate `proxy-wasm`.
//!
//! Every block of Rust in it compiles.

#[doc = include_str!("guide/first_filter.md")]
pub mod first_filter {}

#[doc = include_str!("guide/bodies.md")]
pub mod bodies {}

#[doc = include_str!("guide/call_outs.md")]
pub mod call_outs {}

#[doc = include_str!("guide/state.md")]
pub mod state {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/failure.md")]
pub mod failure {}

#[doc = include_str!("guide/porting.md")]
pub mod porting {}
