//! gRPC call-outs, on bytes.
//!
//! Bytes are what the host hands over; any crate for Protobuf makes messages of them.

pub use self::rpc::{Opening, Rpc, Unary};
pub use self::stream::GrpcStream;
use crate::cluster::Cluster;

mod rpc;
mod stream;
mod target;

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
