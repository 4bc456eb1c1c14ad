//! Discovery: what Envoys ask for, what they are sent, and what they say to it.

mod gate;
mod letter;
mod node;
mod service;
mod shelf;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use self::gate::Gate;
use self::service::Discovery;
use crate::plane::Plane;

/// Streams of one connection. Envoy opens one for each plugin that it discovers, and another connection for
/// those beyond this.
const MOST_STREAMS: u32 = 100;
/// A peer that is silent for so long is asked whether it is still there, and has as long to answer: one whose host is
/// gone is known to be gone before it counts as one that does not answer.
const SILENCE: Duration = Duration::from_secs(4);

/// How a listener and its peers know each other.
#[derive(Clone)]
pub struct Tls {
    certificates: Vec<u8>,
    key: Vec<u8>,
    client_authorities: Vec<u8>,
}

/// Keys are not printed.
impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// The certificates of this server, its own first, their key, and who vouches for Envoys, all as PEM. An
    /// Envoy without a certificate that somebody of these vouches for is not let in.
    pub fn new(
        certificates: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
        client_authorities: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            certificates: certificates.into(),
            key: key.into(),
            client_authorities: client_authorities.into(),
        }
    }

    fn config(&self) -> ServerTlsConfig {
        ServerTlsConfig::new()
            .identity(Identity::from_pem(&self.certificates, &self.key))
            .client_ca_root(Certificate::from_pem(&self.client_authorities))
    }
}

/// How much of this program peers may take up.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_address: usize,
    /// Streams of all connections.
    pub streams: usize,
    /// A connection may be without a stream for so long, its handshake counted in.
    pub idle: Duration,
    /// A peer that takes nothing of what it is sent for so long is cut off.
    pub taken_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            connections_per_address: 256,
            streams: 16_384,
            idle: Duration::from_secs(15),
            taken_within: Duration::from_secs(30),
        }
    }
}

/// Serves discovery on a listener, for ever; without TLS where nothing is said of it.
///
/// # Errors
///
/// Those of the transport, and of what is said of TLS.
pub async fn serve(
    listener: TcpListener,
    plane: Arc<Plane>,
    tls: Option<Tls>,
) -> Result<(), tonic::transport::Error> {
    serve_within(listener, plane, tls, Limits::default()).await
}

/// The same with other limits.
///
/// # Errors
///
/// As [`serve`].
pub async fn serve_within(
    listener: TcpListener,
    plane: Arc<Plane>,
    tls: Option<Tls>,
    limits: Limits,
) -> Result<(), tonic::transport::Error> {
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls.config())?;
    }
    server
        .max_concurrent_streams(MOST_STREAMS)
        .http2_keepalive_interval(Some(SILENCE))
        .http2_keepalive_timeout(Some(SILENCE))
        .add_service(Discovery::new(plane))
        .serve_with_incoming(Gate::new(limits).admit(listener))
        .await
}
