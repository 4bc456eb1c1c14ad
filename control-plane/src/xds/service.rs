//! The service of discovery, below what is generated for it: a generated one has each response written anew for
//! each stream, and all of it kept until the peer takes it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codec::{DecodeBuf, Decoder};
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderValue, Request, Response, header};
use tonic::server::NamedService;
use tonic::transport::server::TlsConnectInfo;
use tonic::{Status, Streaming};

use super::gate::Peer;
use super::letter::{Pieces, Progress};
use super::shelf::Shelf;
use super::stream;
use crate::plane::Plane;

/// A request of Envoy's has its node, with the names of all extensions that it was built with: about 60 KB.
const LARGEST_REQUEST: usize = 1 << 20;

#[derive(Clone)]
pub(super) struct Discovery {
    plane: Arc<Plane>,
    shelf: Arc<Shelf>,
}

impl NamedService for Discovery {
    const NAME: &'static str = "envoy.service.extension.v3.ExtensionConfigDiscoveryService";
}

impl Service<Request<Body>> for Discovery {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        let response = match method {
            "StreamExtensionConfigs" => self.stream(request),
            "DeltaExtensionConfigs" => Err(Status::unimplemented(
                "set `api_type: GRPC`; incremental discovery is not offered",
            )),
            "FetchExtensionConfigs" => Err(Status::unimplemented(
                "set `api_type: GRPC`; discovery by polling is not offered",
            )),
            _ => Err(Status::unimplemented("there is no such method")),
        };
        ready(Ok(response.unwrap_or_else(Status::into_http)))
    }
}

impl Discovery {
    pub(super) fn new(plane: Arc<Plane>) -> Self {
        Self {
            plane,
            shelf: Arc::default(),
        }
    }

    fn stream(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let peer = peer(&request).ok_or_else(|| Status::internal("a connection without a peer"))?;
        let seat = peer
            .stream()
            .ok_or_else(|| Status::resource_exhausted("too many streams are open"))?;
        let body = request.into_body();
        let requests = Streaming::new_request(Requests, body, None, Some(LARGEST_REQUEST));
        let (letters, outbound) = mpsc::channel(1);
        let progress = Arc::new(Progress::default());
        let pieces = Pieces::new(outbound, Arc::clone(&progress));
        let (plane, shelf) = (Arc::clone(&self.plane), Arc::clone(&self.shelf));
        tokio::spawn(stream::run(plane, shelf, seat, requests, letters, progress));
        let mut response = Response::new(Body::new(pieces));
        let kind = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok(response)
    }
}

fn peer(request: &Request<Body>) -> Option<Arc<Peer>> {
    let extensions = request.extensions();
    let plain = extensions.get::<Arc<Peer>>();
    let inside = || extensions.get::<TlsConnectInfo<Arc<Peer>>>();
    plain.or_else(|| Some(inside()?.get_ref())).cloned()
}

/// Reads requests.
struct Requests;

impl Decoder for Requests {
    type Item = DiscoveryRequest;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<DiscoveryRequest>, Status> {
        match DiscoveryRequest::decode(bytes) {
            Ok(request) => Ok(Some(request)),
            Err(error) => Err(Status::invalid_argument(error.to_string())),
        }
    }
}
