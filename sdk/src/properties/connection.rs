//! The downstream connection.
//!
//! Names in the client's certificate are bytes: what stands there is its own choice, within what its issuer signs.
//!
//! Names in certificates:
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::connection;
//!
//! /// Who the client is, by the most telling name of its certificate.
//! fn client() -> Result<Option<Vec<u8>>, Error> {
//!     if connection::MTLS.get()? != Some(true) {
//!         return Ok(None);
//!     }
//!     for name in [
//!         connection::URI_SAN_PEER_CERTIFICATE,
//!         connection::DNS_SAN_PEER_CERTIFICATE,
//!         connection::SUBJECT_PEER_CERTIFICATE,
//!     ] {
//!         if let Some(name) = name.get()?.filter(|name| !name.is_empty()) {
//!             return Ok(Some(name));
//!         }
//!     }
//!     Ok(None)
//! }
//!
//! /// Which of the proxy's own certificates it was shown.
//! fn shown() -> Result<Option<String>, Error> {
//!     for name in [
//!         connection::URI_SAN_LOCAL_CERTIFICATE,
//!         connection::DNS_SAN_LOCAL_CERTIFICATE,
//!         connection::SUBJECT_LOCAL_CERTIFICATE,
//!     ] {
//!         if let Some(name) = name.get()? {
//!             return Ok(Some(name));
//!         }
//!     }
//!     Ok(None)
//! }
//! ```
//!
//! The connection itself:
//!
//! ```
//! use attache::prelude::*;
//! use attache::properties::connection;
//!
//! /// For a log of how connections begin and end.
//! fn line() -> Result<String, Error> {
//!     Ok(format!(
//!         "id={:?} server={:?} tls={:?} digest={:?} closed={:?} transport={:?}",
//!         connection::ID.get()?,
//!         connection::REQUESTED_SERVER_NAME.get()?.map(|name| name.escape_ascii().to_string()),
//!         connection::TLS_VERSION.get()?,
//!         connection::SHA256_PEER_CERTIFICATE_DIGEST.get()?,
//!         connection::TERMINATION_DETAILS.get()?,
//!         connection::TRANSPORT_FAILURE_REASON.get()?,
//!     ))
//! }
//! ```

use super::Property;

/// A number that Envoy counts connections by.
pub const ID: Property<u64> = Property::new("connection\0id");

/// Whether the client has shown a certificate, and it was accepted.
pub const MTLS: Property<bool> = Property::new("connection\0mtls");

/// The server name that the client asked for (SNI). Empty without TLS, and with it unless a TLS
/// inspector looked.
pub const REQUESTED_SERVER_NAME: Property<Vec<u8>> =
    Property::new("connection\0requested_server_name");

/// Why Envoy closed the connection, such as a filter's refusal; absent when it did not.
pub const TERMINATION_DETAILS: Property<String> = Property::new("connection\0termination_details");

/// The version of TLS, such as `TLSv1.3`. Absent without TLS.
pub const TLS_VERSION: Property<String> = Property::new("connection\0tls_version");

/// The subject of the proxy's certificate. Absent without TLS.
pub const SUBJECT_LOCAL_CERTIFICATE: Property<String> =
    Property::new("connection\0subject_local_certificate");

/// The subject of the client's certificate; empty without one. Absent without TLS.
pub const SUBJECT_PEER_CERTIFICATE: Property<Vec<u8>> =
    Property::new("connection\0subject_peer_certificate");

/// The first URI among the subject alternative names of the proxy's certificate. Absent without one.
pub const URI_SAN_LOCAL_CERTIFICATE: Property<String> =
    Property::new("connection\0uri_san_local_certificate");

/// The first URI among the subject alternative names of the client's certificate, such as a SPIFFE id.
/// Absent without one.
pub const URI_SAN_PEER_CERTIFICATE: Property<Vec<u8>> =
    Property::new("connection\0uri_san_peer_certificate");

/// The first DNS name among the subject alternative names of the proxy's certificate. Absent without
/// one.
pub const DNS_SAN_LOCAL_CERTIFICATE: Property<String> =
    Property::new("connection\0dns_san_local_certificate");

/// The first DNS name among the subject alternative names of the client's certificate. Absent without
/// one.
pub const DNS_SAN_PEER_CERTIFICATE: Property<Vec<u8>> =
    Property::new("connection\0dns_san_peer_certificate");

/// The SHA-256 digest of the client's certificate, in hexadecimal. Absent without one.
pub const SHA256_PEER_CERTIFICATE_DIGEST: Property<String> =
    Property::new("connection\0sha256_peer_certificate_digest");

/// Why the transport failed, such as a TLS handshake; absent, or empty, when it did not.
pub const TRANSPORT_FAILURE_REASON: Property<String> =
    Property::new("connection\0transport_failure_reason");
