//! The upstream that the stream was sent to.
//!
//! Absent until the router has chosen a host: a filter sees them with the response, and in the access log.
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::upstream;
//!
//! /// Where a request went, and how hard that was.
//! fn way() -> Result<String, Error> {
//!     Ok(format!(
//!         "from={:?} to={:?} port={:?} zone={:?} hosts={:?} attempts={:?} waited={:?}",
//!         upstream::LOCAL_ADDRESS.get()?,
//!         upstream::ADDRESS.get()?,
//!         upstream::PORT.get()?,
//!         upstream::LOCALITY.child::<String>("zone").get()?,
//!         upstream::NUM_ENDPOINTS.get()?,
//!         upstream::REQUEST_ATTEMPT_COUNT.get()?,
//!         upstream::CX_POOL_READY_DURATION.get()?,
//!     ))
//! }
//! ```
//!
//! Its TLS:
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::upstream;
//!
//! /// Who answered, by the most telling name of its certificate.
//! fn server() -> Result<Option<Vec<u8>>, Error> {
//!     for name in [
//!         upstream::URI_SAN_PEER_CERTIFICATE,
//!         upstream::DNS_SAN_PEER_CERTIFICATE,
//!         upstream::SUBJECT_PEER_CERTIFICATE,
//!     ] {
//!         if let Some(name) = name.get()?.filter(|name| !name.is_empty()) {
//!             return Ok(Some(name));
//!         }
//!     }
//!     Ok(None)
//! }
//!
//! /// Who the proxy was to it, and how the two spoke.
//! fn handshake() -> Result<String, Error> {
//!     Ok(format!(
//!         "tls={:?} uri={:?} dns={:?} subject={:?} digest={:?} failure={:?}",
//!         upstream::TLS_VERSION.get()?,
//!         upstream::URI_SAN_LOCAL_CERTIFICATE.get()?,
//!         upstream::DNS_SAN_LOCAL_CERTIFICATE.get()?,
//!         upstream::SUBJECT_LOCAL_CERTIFICATE.get()?,
//!         upstream::SHA256_PEER_CERTIFICATE_DIGEST.get()?,
//!         upstream::TRANSPORT_FAILURE_REASON.get()?,
//!     ))
//! }
//! ```

use std::time::Duration;

use super::Property;

/// Address and port of the host.
pub const ADDRESS: Property<String> = Property::new("upstream\0address");

/// Its port.
pub const PORT: Property<i64> = Property::new("upstream\0port");

/// The proxy's own end of the connection to it.
pub const LOCAL_ADDRESS: Property<String> = Property::new("upstream\0local_address");

/// Where the host is, a serialized `envoy.config.core.v3.Locality`; [`child`](Property::child) with
/// `region`, `zone` or `sub_zone` is text.
pub const LOCALITY: Property<Vec<u8>> = Property::new("upstream\0locality");

/// How many hosts its cluster has. There once a route is.
pub const NUM_ENDPOINTS: Property<u64> = Property::new("upstream\0num_endpoints");

/// How often the request was sent, retries among them; 0 before it was.
pub const REQUEST_ATTEMPT_COUNT: Property<u64> = Property::new("upstream\0request_attempt_count");

/// How long the stream waited for a connection.
pub const CX_POOL_READY_DURATION: Property<Duration> =
    Property::new("upstream\0cx_pool_ready_duration");

/// The version of TLS, such as `TLSv1.3`. Absent without TLS.
pub const TLS_VERSION: Property<String> = Property::new("upstream\0tls_version");

/// The subject of the proxy's certificate. Absent without TLS.
pub const SUBJECT_LOCAL_CERTIFICATE: Property<String> =
    Property::new("upstream\0subject_local_certificate");

/// The subject of the upstream's certificate; empty without one. Absent without TLS.
pub const SUBJECT_PEER_CERTIFICATE: Property<Vec<u8>> =
    Property::new("upstream\0subject_peer_certificate");

/// The first URI among the subject alternative names of the proxy's certificate. Absent without one.
pub const URI_SAN_LOCAL_CERTIFICATE: Property<String> =
    Property::new("upstream\0uri_san_local_certificate");

/// The first URI among the subject alternative names of the upstream's certificate, such as a SPIFFE id.
/// Absent without one.
pub const URI_SAN_PEER_CERTIFICATE: Property<Vec<u8>> =
    Property::new("upstream\0uri_san_peer_certificate");

/// The first DNS name among the subject alternative names of the proxy's certificate. Absent without
/// one.
pub const DNS_SAN_LOCAL_CERTIFICATE: Property<String> =
    Property::new("upstream\0dns_san_local_certificate");

/// The first DNS name among the subject alternative names of the upstream's certificate. Absent without
/// one.
pub const DNS_SAN_PEER_CERTIFICATE: Property<Vec<u8>> =
    Property::new("upstream\0dns_san_peer_certificate");

/// The SHA-256 digest of the upstream's certificate, in hexadecimal. Absent without one.
pub const SHA256_PEER_CERTIFICATE_DIGEST: Property<String> =
    Property::new("upstream\0sha256_peer_certificate_digest");

/// Why the transport failed, such as a TLS handshake; absent, or empty, when it did not.
pub const TRANSPORT_FAILURE_REASON: Property<String> =
    Property::new("upstream\0transport_failure_reason");
