//! What Envoy's codec of HTTP/2 takes for headers and trailers (`header_validator.cc` of oghttp2).

use super::is_hop_by_hop;
use crate::headers::Headers;
use crate::router::{is_header_value, is_token};

/// The details of a line that is none.
const FIELD: &str = "http2.invalid.header.field";
/// The details of lines that make no message.
const MESSAGE: &str = "http2.violation.of.messaging.rule";

/// Whether these are the headers of a request, or the details of the stream's reset.
pub(super) fn request(headers: &Headers) -> Result<(), &'static str> {
    headers.iter().try_for_each(line)?;
    let path = headers.get(":path").unwrap_or_default();
    let method = headers.get(":method").unwrap_or_default();
    let is_path = path.starts_with(b"/") || path == b"*" && method == b"OPTIONS";
    let known = |name: &[u8]| {
        let names = [&b":method"[..], b":scheme", b":authority", b":path"];
        !name.starts_with(b":") || names.contains(&name)
    };
    // CONNECT has no path.
    let connects = method == b"CONNECT";
    if connects || !is_path || !headers.iter().all(|(name, _)| known(name)) {
        return Err(MESSAGE);
    }
    Ok(())
}

/// Whether these are trailers of a body of this length, or the details of the stream's reset.
pub(crate) fn trailers(trailers: &Headers, body: u64) -> Result<(), &'static str> {
    trailers.iter().try_for_each(|(name, value)| match name {
        [b':', ..] => Err(MESSAGE),
        b"content-length" if value != body.to_string().as_bytes() => Err(MESSAGE),
        _ => line((name, value)),
    })
}

fn line((name, value): (&[u8], &[u8])) -> Result<(), &'static str> {
    // All names are in lower case here.
    let is_name = match name {
        [b':', rest @ ..] => is_token(rest),
        name => !name.is_empty() && is_token(name),
    };
    let fits = match name {
        b":authority" => is_authority(value),
        b":path" => !value.is_empty(),
        // Several lines are one here.
        b"te" => value
            .split(|byte| *byte == b',')
            .all(|coding| coding.eq_ignore_ascii_case(b"trailers")),
        name => !is_hop_by_hop(name),
    };
    if is_name && fits && is_header_value(value) {
        Ok(())
    } else {
        Err(FIELD)
    }
}

fn is_authority(host: &[u8]) -> bool {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()[]*+,;=:".contains(byte);
    !host.is_empty() && host.iter().all(valid)
}
