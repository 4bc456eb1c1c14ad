//! The downstream end of a connection, as properties tell of it.

use std::net::{Ipv4Addr, SocketAddr};

/// Who connects, to what address, and how: the properties `source.*`, `destination.*` and
/// `connection.*`. Unless set, 127.0.0.1:49152 connects to 127.0.0.1:10000 without TLS.
///
/// ```
/// use attache_harness::{Downstream, Request, Tls};
///
/// let tls = Tls::new("TLSv1.3").server_name("api.example.com").peer_subject("CN=ada");
/// let client = Downstream::default().client(([203, 0, 113, 7], 50_000)).tls(tls);
/// let request = Request::get("/").downstream(client);
/// # let _ = request;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Downstream {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) tls: Option<Tls>,
}

impl Default for Downstream {
    fn default() -> Self {
        Self {
            client: SocketAddr::from((Ipv4Addr::LOCALHOST, 49_152)),
            server: SocketAddr::from((Ipv4Addr::LOCALHOST, 10_000)),
            tls: None,
        }
    }
}

impl Downstream {
    /// Sets the client's address: `source.address`, `source.port`.
    pub fn client(mut self, address: impl Into<SocketAddr>) -> Self {
        self.client = address.into();
        self
    }

    /// Sets the address that was connected to: `destination.address`, `destination.port`.
    pub fn server(mut self, address: impl Into<SocketAddr>) -> Self {
        self.server = address.into();
        self
    }

    /// Lets the connection use TLS.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }
}

/// A TLS session with the client. Certificates are what the test says of them: none is made.
#[derive(Clone, Debug)]
#[must_use]
pub struct Tls {
    pub(crate) version: String,
    pub(crate) server_name: String,
    pub(crate) mutual: bool,
    pub(crate) local: Certificate,
    pub(crate) peer: Certificate,
    pub(crate) peer_digest: String,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Certificate {
    pub(crate) subject: String,
    pub(crate) uri_san: String,
    pub(crate) dns_san: String,
}

impl Tls {
    /// A session of a version, such as `TLSv1.3`, in which the client showed no certificate.
    pub fn new(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            server_name: String::new(),
            mutual: false,
            local: Certificate::default(),
            peer: Certificate::default(),
            peer_digest: String::new(),
        }
    }

    /// Sets `connection.requested_server_name`, the client's SNI.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = name.into();
        self
    }

    /// Sets `connection.subject_local_certificate`.
    pub fn local_subject(mut self, subject: impl Into<String>) -> Self {
        self.local.subject = subject.into();
        self
    }

    /// Sets `connection.uri_san_local_certificate`.
    pub fn local_uri_san(mut self, name: impl Into<String>) -> Self {
        self.local.uri_san = name.into();
        self
    }

    /// Sets `connection.dns_san_local_certificate`.
    pub fn local_dns_san(mut self, name: impl Into<String>) -> Self {
        self.local.dns_san = name.into();
        self
    }

    /// Sets `connection.subject_peer_certificate`; the session is mutual then.
    pub fn peer_subject(mut self, subject: impl Into<String>) -> Self {
        self.peer.subject = subject.into();
        self.mutual = true;
        self
    }

    /// Sets `connection.uri_san_peer_certificate`; the session is mutual then.
    pub fn peer_uri_san(mut self, name: impl Into<String>) -> Self {
        self.peer.uri_san = name.into();
        self.mutual = true;
        self
    }

    /// Sets `connection.dns_san_peer_certificate`; the session is mutual then.
    pub fn peer_dns_san(mut self, name: impl Into<String>) -> Self {
        self.peer.dns_san = name.into();
        self.mutual = true;
        self
    }

    /// Sets `connection.sha256_peer_certificate_digest`, in hexadecimal; the session is mutual
    /// then.
    pub fn peer_digest(mut self, digest: impl Into<String>) -> Self {
        self.peer_digest = digest.into();
        self.mutual = true;
        self
    }
}
