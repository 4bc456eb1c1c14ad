//! The labels that every metric has unless told otherwise: Istio's.

/// A label, by its name, and where its value comes from on either end of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Label {
    /// Its name.
    pub(crate) name: &'static str,
    source: Origin,
    destination: Origin,
}

/// Where the value of a label comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// It is the same for all requests.
    Constant(Constant),
    /// It is found out for each.
    Stream(Fact),
}

/// What is the same for all requests of a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Constant {
    /// Which end of the request it is.
    Reporter,
    /// The workload that it stands beside.
    Workload,
    /// That workload's namespace.
    Namespace,
    /// Its label `app`.
    App,
    /// Its label `version`.
    Version,
    /// Its canonical service.
    CanonicalService,
    /// Its canonical revision.
    CanonicalRevision,
    /// The cluster (of machines) that it runs in.
    Cluster,
    /// What nobody tells a proxy that is not part of Istio.
    Unknown,
    /// The same of a revision.
    UnknownRevision,
}

/// What is found out for each request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fact {
    /// The workload of the host that it was sent to.
    PeerWorkload,
    /// That workload's namespace.
    PeerNamespace,
    /// Its canonical service.
    PeerCanonicalService,
    /// Its canonical revision.
    PeerCanonicalRevision,
    /// The cluster (of machines) that it runs in.
    PeerCluster,
    /// The client's certificate says it.
    ClientPrincipal,
    /// The proxy's certificate says it, towards clients.
    OwnPrincipal,
    /// The upstream's certificate says it.
    UpstreamPrincipal,
    /// The proxy's certificate says it, towards upstreams.
    OwnUpstreamPrincipal,
    /// The host of the service.
    Service,
    /// The service's name.
    ServiceName,
    /// `http` or `grpc`.
    Protocol,
    /// The status, or its class.
    Code,
    /// The status of a gRPC call.
    GrpcStatus,
    /// Envoy's response flags.
    Flags,
    /// Whether the client showed a certificate.
    Security,
}

/// Those labels, in the order in which they stand in the name of a series.
pub(crate) const LABELS: [Label; 25] = {
    use Constant::{
        App, CanonicalRevision, CanonicalService, Cluster, Namespace, Reporter, Unknown,
        UnknownRevision, Version, Workload,
    };
    use Fact::{
        ClientPrincipal, Code, Flags, GrpcStatus, OwnPrincipal, OwnUpstreamPrincipal,
        PeerCanonicalRevision, PeerCanonicalService, PeerCluster, PeerNamespace, PeerWorkload,
        Protocol, Security, Service, ServiceName, UpstreamPrincipal,
    };
    [
        alike("reporter", Origin::Constant(Reporter)),
        own("source_workload", Workload, Unknown),
        own("source_workload_namespace", Namespace, Unknown),
        facts("source_principal", OwnUpstreamPrincipal, ClientPrincipal),
        own("source_app", App, Unknown),
        own("source_version", Version, Unknown),
        own("source_canonical_service", CanonicalService, Unknown),
        own(
            "source_canonical_revision",
            CanonicalRevision,
            UnknownRevision,
        ),
        own("source_cluster", Cluster, Unknown),
        theirs("destination_workload", PeerWorkload, Workload),
        theirs("destination_workload_namespace", PeerNamespace, Namespace),
        facts("destination_principal", UpstreamPrincipal, OwnPrincipal),
        own("destination_app", Unknown, App),
        own("destination_version", Unknown, Version),
        alike("destination_service", Origin::Stream(Service)),
        alike("destination_service_name", Origin::Stream(ServiceName)),
        theirs("destination_service_namespace", PeerNamespace, Namespace),
        theirs(
            "destination_canonical_service",
            PeerCanonicalService,
            CanonicalService,
        ),
        theirs(
            "destination_canonical_revision",
            PeerCanonicalRevision,
            CanonicalRevision,
        ),
        theirs("destination_cluster", PeerCluster, Cluster),
        alike("request_protocol", Origin::Stream(Protocol)),
        alike("response_code", Origin::Stream(Code)),
        alike("grpc_response_status", Origin::Stream(GrpcStatus)),
        alike("response_flags", Origin::Stream(Flags)),
        // Istio knows it where the connection comes in only.
        Label {
            name: "connection_security_policy",
            source: Origin::Constant(Unknown),
            destination: Origin::Stream(Security),
        },
    ]
};

impl Label {
    /// Where its value comes from, on the proxy of who asks or of who is asked.
    #[must_use]
    pub(crate) fn origin(&self, end: End) -> Origin {
        match end {
            End::Source => self.source,
            End::Destination => self.destination,
        }
    }
}

/// An end of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Who asks.
    Source,
    /// Who is asked.
    Destination,
}

impl End {
    /// What the label `reporter` says.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
        }
    }
}

/// Whether a label of this name is one of them.
#[must_use]
pub(crate) fn is_standard(name: &str) -> bool {
    LABELS.iter().any(|label| label.name == name)
}

const fn alike(name: &'static str, origin: Origin) -> Label {
    Label {
        name,
        source: origin,
        destination: origin,
    }
}

const fn own(name: &'static str, source: Constant, destination: Constant) -> Label {
    Label {
        name,
        source: Origin::Constant(source),
        destination: Origin::Constant(destination),
    }
}

const fn theirs(name: &'static str, source: Fact, destination: Constant) -> Label {
    Label {
        name,
        source: Origin::Stream(source),
        destination: Origin::Constant(destination),
    }
}

const fn facts(name: &'static str, source: Fact, destination: Fact) -> Label {
    Label {
        name,
        source: Origin::Stream(source),
        destination: Origin::Stream(destination),
    }
}
