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

/// A header's name in lower case.
pub(super) fn header(name: &str, place: &str) -> Result<String, ConfigError> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.starts_with(':') {
        return Err(ConfigError::at(
            place,
            "expected a header, found a pseudo header",
        ));
    }
    if name.is_empty() || !name.bytes().all(is_token) {
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
