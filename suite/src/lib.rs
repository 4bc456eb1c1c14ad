//! Plays one case on the harness and on a real Envoy, and compares what was seen.
//!
//! A [`Case`] is a chain of filters, requests in the order in which they begin, and what the
//! upstream answers. [`on_harness`] plays it in microseconds, [`on_envoy`] in front of a real
//! upstream; both give a [`Seen`], and two of these are equal or the harness is wrong.
//!
//! ```no_run
//! use attache_suite::{Case, Filter, Request};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let case = Case::new(Filter::new("auth-scrub", "target/attache/auth-scrub.wasm"))
//!     .request(Request::get("/orders").header("authorization", "Bearer x"));
//! let envoy = attache_envoy::find(
//!     &attache_envoy::Selection::Default,
//!     &attache_envoy::Environment::current(),
//!     &mut |_| (),
//! )?;
//! let folder = std::path::Path::new("target/case");
//! assert_eq!(
//!     attache_suite::on_harness(&case)?,
//!     attache_suite::on_envoy(&case, &envoy, folder)?
//! );
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod case;
mod on_envoy;
mod on_harness;
mod seen;

pub use crate::case::{Case, Filter, Request};
pub use crate::on_envoy::{EnvoyError, on_envoy};
pub use crate::on_harness::{HarnessError, on_harness};
pub use crate::seen::{Ended, Message, Seen, Stream};
pub use attache_envoy::upstream::Reply;
