//! The properties `source.*`, `destination.*`, `connection.*` and `upstream.*`.

use std::net::SocketAddr;
use std::time::Duration;

use super::http::duration;
use super::stream_info::{StreamInfo, Upstream};
use super::value::{ABSENT, Found, Value};
use crate::attributes::Attributes;
use crate::downstream::{Certificate, Downstream};
use crate::response_flags::ResponseFlags;

/// Why the connection to an upstream failed, where nobody listens.
const REFUSED: &str = "delayed connect error: Connection refused";

/// A field of one end of the downstream connection.
pub(super) fn peer<'a>(address: SocketAddr, name: &[u8]) -> Found<'a> {
    match name {
        b"address" => Ok(Value::owned(address.to_string())),
        b"port" => Ok(Value::int(address.port())),
        _ => Err(ABSENT),
    }
}

/// A field of the downstream connection; TLS fields are absent without TLS, and names of
/// certificates without such a name, but for the subjects.
pub(super) fn connection<'a>(
    downstream: &'a Downstream,
    info: &StreamInfo<'a>,
    name: &[u8],
) -> Found<'a> {
    let tls = downstream.tls.as_ref();
    match name {
        b"id" => return Ok(Value::Uint(info.connection)),
        b"mtls" => return Ok(Value::Bool(tls.is_some_and(|tls| tls.mutual))),
        b"requested_server_name" => {
            return Ok(Value::text(tls.map_or("", |tls| &tls.server_name)));
        }
        _ => {}
    }
    let tls = tls.ok_or(ABSENT)?;
    let some = |text: &'a String| (!text.is_empty()).then(|| Value::text(text)).ok_or(ABSENT);
    let Certificate {
        uri_san, dns_san, ..
    } = &tls.local;
    match name {
        b"tls_version" => Ok(Value::text(&tls.version)),
        b"subject_local_certificate" => Ok(Value::text(&tls.local.subject)),
        b"subject_peer_certificate" => Ok(Value::text(&tls.peer.subject)),
        b"uri_san_local_certificate" => some(uri_san),
        b"dns_san_local_certificate" => some(dns_san),
        b"uri_san_peer_certificate" => some(&tls.peer.uri_san),
        b"dns_san_peer_certificate" => some(&tls.peer.dns_san),
        b"sha256_peer_certificate_digest" => some(&tls.peer_digest),
        _ => Err(ABSENT),
    }
}

/// A field of the upstream, which is known from the router on.
pub(super) fn upstream<'a>(
    attributes: &'a Attributes,
    info: &StreamInfo<'a>,
    name: &[u8],
) -> Found<'a> {
    let from = |stage, value: Value<'a>| (info.upstream >= stage).then_some(value).ok_or(ABSENT);
    let address = attributes.upstream_address;
    let tcp = info.protocol.is_none();
    match name {
        b"request_attempt_count" => {
            let asked = info.upstream >= Upstream::Selected;
            Ok(Value::Uint(u64::from(asked) + info.retried))
        }
        // A route names its cluster before anything is asked; the TCP proxy chooses it later, and has
        // a place for the reason from the first.
        b"num_endpoints" if tcp && info.upstream == Upstream::None => Err(ABSENT),
        b"transport_failure_reason" if tcp => Ok(Value::text(if info.refused {
            "delayed connect error: Connection refused"
        } else {
            ""
        })),
        b"num_endpoints" => Ok(Value::Uint(attributes.endpoints)),
        b"address" => from(Upstream::Selected, Value::owned(address.to_string())),
        b"port" => from(Upstream::Selected, Value::int(address.port())),
        b"locality" => from(
            Upstream::Selected,
            Value::Locality(&attributes.host_locality),
        ),
        b"transport_failure_reason" => {
            let failed = ResponseFlags::UPSTREAM_CONNECTION_FAILURE.bits();
            let reason = if info.flags & failed == 0 {
                ""
            } else {
                REFUSED
            };
            from(Upstream::Selected, Value::text(reason))
        }
        b"local_address" => {
            let local = attributes.upstream_local_address.to_string();
            from(Upstream::Connected, Value::owned(local))
        }
        b"cx_pool_ready_duration" => from(Upstream::Connected, duration(Duration::ZERO)),
        _ => Err(ABSENT),
    }
}
