//! Headers that `connection` nominates ([RFC 9110, 7.6.1]), as the codec of HTTP/1.1 takes them out
//! (`Utility::sanitizeConnectionHeader`).
//!
//! [RFC 9110, 7.6.1]: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1

use crate::headers::Headers;

/// `connection` names what it may not, or too much.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rejected;

/// So many names are too many.
const TOO_MANY: usize = 10;
/// So long a `te` is too long.
const TOO_LONG: usize = 256;

/// Takes out what `connection` nominates, there and where it stands.
pub(super) fn strip(headers: &mut Headers) -> Result<(), Rejected> {
    let Some(value) = headers.get("connection") else {
        return Ok(());
    };
    let value = value.to_vec();
    let names = || {
        value
            .split(|byte| *byte == b',')
            .filter(|name| !name.is_empty())
    };
    if names().count() >= TOO_MANY {
        return Err(Rejected);
    }
    let mut kept = Vec::new();
    for token in names() {
        if stays(headers, token.trim_ascii())? {
            kept.push(token.trim_ascii());
        }
    }
    if kept.len() == names().count() {
        return Ok(());
    }
    if kept.is_empty() {
        headers.remove(b"connection");
    } else {
        headers.set(b"connection", &kept.join(&b","[..]));
    }
    Ok(())
}

/// Takes a header out that is nominated. Whether its name stays in `connection`.
fn stays(headers: &mut Headers, name: &[u8]) -> Result<bool, Rejected> {
    let name = name.to_ascii_lowercase();
    match &name[..] {
        b"close" | b"http2-settings" | b"keep-alive" | b"upgrade" => return Ok(true),
        b"connection" => return Ok(false),
        b"x-forwarded-for" | b"x-forwarded-host" | b"x-forwarded-proto" | [b':', ..] => {
            return Err(Rejected);
        }
        b"te" => {
            let te = headers.get("te").unwrap_or_default();
            if te.len() >= TOO_LONG {
                return Err(Rejected);
            }
            let trailers = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"trailers");
            if te.split(|byte| *byte == b',').any(trailers) {
                headers.set(b"te", b"trailers");
                return Ok(true);
            }
        }
        _ => {}
    }
    headers.remove(&name);
    Ok(false)
}
