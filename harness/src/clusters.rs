//! The clusters of a host: who answers the stream's own request and the call-outs.

use std::fmt;
use std::time::Duration;

use crate::codec::Codec;
use crate::exchange::UpstreamRequest;
use crate::grpc_calls::frames::messages;
use crate::grpc_reply::{GrpcEvent, GrpcReply};
use crate::host::{Host, HostBuilder};
use crate::response::{Fault, Response};
use crate::upstream_failure::UpstreamFailure;

/// The place of the cluster that the host's route leads to.
pub(crate) const UPSTREAM: usize = 0;

/// How a cluster answers: always alike, or as a closure says.
///
/// ```
/// use attache_harness::{Answer, Response, UpstreamRequest};
///
/// let canned: Answer = Response::new(403).into();
/// let by_path: Answer = (|request: &UpstreamRequest| match request.path() {
///     b"/health" => Response::ok(),
///     _ => Response::new(404),
/// }).into();
/// # let _ = (canned, by_path);
/// ```
pub struct Answer(Kind, Codec);

type GrpcClosure = Box<dyn FnMut(&GrpcEvent<'_>) -> GrpcReply + Send>;
type Closure = Box<dyn FnMut(&UpstreamRequest) -> Response + Send>;

enum Kind {
    Canned(Box<Response>),
    /// Asked with the whole request.
    Late(Closure),
    /// Asked with the request's headers.
    Early(Closure),
    Grpc(GrpcClosure),
    NoEndpoint,
}

impl Answer {
    /// Answers as the closure says, once the whole request is there.
    #[must_use]
    pub fn with<R: Into<Response>>(
        mut answer: impl FnMut(&UpstreamRequest) -> R + Send + 'static,
    ) -> Self {
        Self(
            Kind::Late(Box::new(move |request| answer(request).into())),
            Codec::Http1,
        )
    }

    /// Answers as the closure says, once the request's headers are there; the body that the closure
    /// sees is empty.
    #[must_use]
    pub fn early<R: Into<Response>>(
        mut answer: impl FnMut(&UpstreamRequest) -> R + Send + 'static,
    ) -> Self {
        Self(
            Kind::Early(Box::new(move |request| answer(request).into())),
            Codec::Http1,
        )
    }

    /// Answers a gRPC call event by event: to its beginning, to each message, to its end. What is
    /// answered to one event is sent before what is answered to the next.
    ///
    /// ```
    /// use attache_harness::{Answer, GrpcEvent, GrpcReply};
    ///
    /// let echo = Answer::grpc(|event: &GrpcEvent<'_>| match event {
    ///     GrpcEvent::Message(message) => GrpcReply::new().message(message),
    ///     GrpcEvent::HalfClosed => GrpcReply::new().status(0, ""),
    ///     _ => GrpcReply::new(),
    /// });
    /// # let _ = echo;
    /// ```
    #[must_use]
    pub fn grpc(answer: impl FnMut(&GrpcEvent<'_>) -> GrpcReply + Send + 'static) -> Self {
        Self(Kind::Grpc(Box::new(answer)), Codec::Http2)
    }

    /// The cluster exists and has no (healthy) endpoint: a stream gets a 503 at once, a call-out
    /// fails while it is made.
    #[must_use]
    pub fn no_healthy_endpoint() -> Self {
        Self(Kind::NoEndpoint, Codec::Http1)
    }

    /// The cluster speaks HTTP/2, as with `http2_protocol_options`: that is what changes of an HTTP call to it. gRPC
    /// is spoken over HTTP/2 anyway, and the stream's own upstream has [`HostBuilder::upstream_codec`].
    ///
    /// ```
    /// use attache_harness::{Answer, Response};
    ///
    /// let authz = Answer::from(Response::new(403)).over_http2();
    /// # let _ = authz;
    /// ```
    #[must_use]
    pub fn over_http2(self) -> Self {
        Self(self.0, Codec::Http2)
    }
}

impl Host {
    /// Lets the upstream answer in another way from now on: the cluster `upstream`, to which the
    /// host's route leads.
    pub fn upstream<R: Into<Response>>(
        &mut self,
        answer: impl FnMut(&UpstreamRequest) -> R + Send + 'static,
    ) {
        self.cluster("upstream", Answer::with(answer));
    }

    /// Adds a cluster on all threads, or lets one answer in another way from now on.
    pub fn cluster(&mut self, name: &str, answer: impl Into<Answer>) {
        self.proxy.world.clusters.set(name, answer.into());
    }
}

impl HostBuilder {
    /// Adds a cluster that filters may call. There always is `upstream`, to which the route leads; it
    /// answers 200 unless it is described here too.
    pub fn cluster(mut self, name: &str, answer: impl Into<Answer>) -> Self {
        self.clusters.set(name, answer.into());
        self
    }

    /// Sets how long the upstream may take for its whole response, counted from the request's end, as
    /// `timeout` of a route; 15 s unless set, no limit if zero.
    pub fn route_timeout(mut self, timeout: Duration) -> Self {
        self.route_timeout = timeout;
        self
    }

    /// Sets how long nothing may move between Envoy and the client of a stream, as
    /// `stream_idle_timeout` of the connection manager; 5 min unless set, no limit if zero. That is
    /// what ends a stream which a filter holds for ever.
    pub fn stream_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }
}

/// All that a gRPC server sends to a request that is complete.
fn answer_whole(answer: &mut GrpcClosure, request: &UpstreamRequest) -> GrpcReply {
    let mut reply = answer(&GrpcEvent::Opened(request));
    for message in messages(request) {
        if !reply.has_ended() {
            reply = reply.then(answer(&GrpcEvent::Message(&message)));
        }
    }
    if reply.has_ended() {
        return reply;
    }
    reply.then(answer(&GrpcEvent::HalfClosed))
}

impl From<GrpcReply> for Answer {
    fn from(reply: GrpcReply) -> Self {
        Self::from(Response::from(reply)).over_http2()
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self(Kind::Canned(Box::new(response)), Codec::Http1)
    }
}

impl<F, R> From<F> for Answer
where
    F: FnMut(&UpstreamRequest) -> R + Send + 'static,
    R: Into<Response>,
{
    fn from(answer: F) -> Self {
        Self::with(answer)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Canned(response) => response.fmt(f),
            Kind::Late(_) | Kind::Early(_) | Kind::Grpc(_) => f.write_str("(a closure)"),
            Kind::NoEndpoint => f.write_str("(no healthy endpoint)"),
        }
    }
}

/// When a cluster can say what it does with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decides {
    /// Before anything is sent: it has no endpoint.
    AtOnce,
    WithHeaders,
    WithWholeRequest,
}

/// All clusters of a host; the first one is the route's.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    clusters: Vec<(String, Answer)>,
}

impl Clusters {
    /// The cluster of the route, and no other.
    pub(crate) fn of_route() -> Self {
        Self {
            clusters: vec![("upstream".to_owned(), Response::ok().into())],
        }
    }

    /// Adds a cluster, or lets it answer in another way.
    pub(crate) fn set(&mut self, name: &str, answer: Answer) {
        match self.find(name.as_bytes()) {
            Some(cluster) => self.clusters[cluster].1 = answer,
            None => self.clusters.push((name.to_owned(), answer)),
        }
    }

    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        self.clusters
            .iter()
            .position(|(own, _)| own.as_bytes() == name)
    }

    /// What is spoken with a cluster.
    pub(crate) fn codec(&self, cluster: usize) -> Codec {
        self.clusters[cluster].1.1
    }

    pub(crate) fn name(&self, cluster: usize) -> &str {
        &self.clusters[cluster].0
    }

    /// Whether nobody ever listens there.
    pub(crate) fn refuses(&self, cluster: usize) -> bool {
        let refused = Some(Fault::Failed(UpstreamFailure::Refused));
        matches!(&self.clusters[cluster].1.0, Kind::Canned(response) if response.fault == refused)
    }

    pub(crate) fn decides(&self, cluster: usize) -> Decides {
        match &self.clusters[cluster].1.0 {
            Kind::NoEndpoint => Decides::AtOnce,
            Kind::Early(_) => Decides::WithHeaders,
            Kind::Canned(response) if response.early || self.refuses(cluster) => {
                Decides::WithHeaders
            }
            Kind::Canned(_) | Kind::Late(_) | Kind::Grpc(_) => Decides::WithWholeRequest,
        }
    }

    /// What a cluster answers to a request. One without an endpoint is not asked.
    pub(crate) fn answer(&mut self, cluster: usize, request: &UpstreamRequest) -> Response {
        match &mut self.clusters[cluster].1.0 {
            Kind::Canned(response) => (**response).clone(),
            Kind::Late(answer) | Kind::Early(answer) => answer(request),
            Kind::Grpc(answer) => answer_whole(answer, request).into(),
            Kind::NoEndpoint => Response::refused(),
        }
    }

    /// What a gRPC server sends when it learns of an event; none if the cluster answers whole
    /// requests.
    pub(crate) fn grpc_event(
        &mut self,
        cluster: usize,
        event: &GrpcEvent<'_>,
    ) -> Option<GrpcReply> {
        match &mut self.clusters[cluster].1.0 {
            Kind::Grpc(answer) => Some(answer(event)),
            _ => None,
        }
    }
}
