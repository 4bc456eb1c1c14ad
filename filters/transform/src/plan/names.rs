//! Names that may be changed.

use attache::ConfigError;

/// Headers that belong to the connection or to the message's framing.
const KEPT: [&str; 12] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "expect",
    "content-encoding",
];

/// A token (RFC 9110, 5.6.2).
fn is_token(text: &str) -> bool {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(of_token)
}

/// A method. Their case counts, and those of HTTP are in upper case.
pub(super) fn method(name: &str, place: &str) -> Result<Vec<u8>, ConfigError> {
    if !is_token(name) || name.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(ConfigError::at(place, "expected a method, such as `GET`"));
    }
    Ok(name.as_bytes().to_vec())
}

/// A header's name in lower case.
pub(super) fn header(name: &str, place: &str) -> Result<String, ConfigError> {
    if name.starts_with(':') {
        return Err(ConfigError::at(
            place,
            "expected a header, found a pseudo header",
        ));
    }
    if !is_token(name) {
        return Err(ConfigError::at(
            place,
            "expected a header name: letters, digits and !#$%&'*+-.^_`|~",
        ));
    }
    Ok(name.to_ascii_lowercase())
}

/// The name of a header that may be changed.
pub(super) fn changeable(name: &str, place: &str) -> Result<String, ConfigError> {
    let name = header(name, place)?;
    if KEPT.contains(&name.as_str()) {
        return Err(ConfigError::at(
            place,
            "this header belongs to the connection or frames the message, and cannot be changed",
        ));
    }
    Ok(name)
}

/// The name of a query parameter.
pub(super) fn parameter(name: &str, place: &str) -> Result<String, ConfigError> {
    if name.is_empty() {
        return Err(ConfigError::at(
            place,
            "expected the name of a query parameter, found an empty string",
        ));
    }
    Ok(name.to_owned())
}
