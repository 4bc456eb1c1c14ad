//! Discovery: what Envoys ask for, what they are sent, and what they say to it.

mod stream;

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_server::{
    ExtensionConfigDiscoveryService, ExtensionConfigDiscoveryServiceServer,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::plane::Plane;

/// A request of Envoy's has its node, with the names of all extensions that it was built with: about 60 KB.
const LARGEST_REQUEST: usize = 1 << 20;
/// Streams of one connection; Envoy opens one for each plugin that it discovers.
const MOST_STREAMS: u32 = 1_000;
/// A peer that is silent for so long is asked whether it is still there, and has as long to answer.
const SILENCE: Duration = Duration::from_secs(30);

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
    let service = ExtensionConfigDiscoveryServiceServer::new(Discovery { plane })
        .max_decoding_message_size(LARGEST_REQUEST);
    let mut server = Server::builder();
    if let Some(tls) = tls {
        server = server.tls_config(tls.config())?;
    }
    server
        .max_concurrent_streams(MOST_STREAMS)
        .http2_keepalive_interval(Some(SILENCE))
        .http2_keepalive_timeout(Some(SILENCE))
        .add_service(service)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await
}

struct Discovery {
    plane: Arc<Plane>,
}

#[tonic::async_trait]
impl ExtensionConfigDiscoveryService for Discovery {
    type StreamExtensionConfigsStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type DeltaExtensionConfigsStream = ReceiverStream<Result<DeltaDiscoveryResponse, Status>>;

    async fn stream_extension_configs(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamExtensionConfigsStream>, Status> {
        let address = request.remote_addr();
        // Room for one: what is not sent yet is replaced by what is newer, which a queue would hide.
        let (outbound, responses) = mpsc::channel(1);
        let plane = Arc::clone(&self.plane);
        tokio::spawn(stream::run(plane, address, request.into_inner(), outbound));
        Ok(Response::new(ReceiverStream::new(responses)))
    }

    async fn delta_extension_configs(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaExtensionConfigsStream>, Status> {
        Err(Status::unimplemented(
            "set `api_type: GRPC`; incremental discovery is not offered",
        ))
    }

    async fn fetch_extension_configs(
        &self,
        _: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        Err(Status::unimplemented(
            "set `api_type: GRPC`; discovery by polling is not offered",
        ))
    }
}
