//! gRPC call-outs, on bytes.
//!
//! Bytes are what the host hands over; any crate for Protobuf makes messages of them. With this
//! crate's feature `prost`, [`Rpc`] has `unary_message` and `open_messages`, on types of `prost` 0.14.
//!
//! ```
//! use std::time::Duration;
//! use attache::prelude::*;
//!
//! /// The profile of a user, as the bytes of a message.
//! async fn profile(users: &Cluster, user: Vec<u8>) -> Result<Vec<u8>, Error> {
//!     let profile = users
//!         .grpc("shop.Users", "Profile")
//!         .timeout(Duration::from_millis(200))
//!         .unary(user)
//!         .await?;
//!     // The empty message is the default of each of its fields.
//!     log::debug!("{} bytes", profile.len());
//!     Ok(profile)
//! }
//! ```

pub use self::rpc::{Opening, Rpc, Unary};
pub use self::stream::GrpcStream;
#[cfg(feature = "prost")]
pub use self::typed::MessageStream;
use crate::cluster::Cluster;

mod rpc;
mod stream;
mod target;
#[cfg(feature = "prost")]
mod typed;

impl Cluster {
    /// A gRPC call of a method, such as `Check` of `envoy.service.auth.v3.Authorization`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use attache::cluster::{CallError, Cluster};
    ///
    /// async fn check(authz: &Cluster, request: Vec<u8>) -> Result<Vec<u8>, CallError> {
    ///     authz
    ///         .grpc("envoy.service.auth.v3.Authorization", "Check")
    ///         .timeout(Duration::from_millis(200))
    ///         .unary(request)
    ///         .await
    /// }
    /// ```
    pub fn grpc(&self, service: &str, method: &str) -> Rpc {
        Rpc::new(self.shared_name(), service, method)
    }
}
