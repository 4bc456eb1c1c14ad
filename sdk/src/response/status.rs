use std::fmt;

use http::StatusCode;

/// A status that a response cannot be given: with it, or with the one it has, there is no body.
///
/// ```
/// # use attache::prelude::*;
/// # use attache::InvalidStatus;
/// fn hide(response: &mut Response) -> Result<(), InvalidStatus> {
///     response.set_status(StatusCode::NOT_FOUND)
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidStatus;

impl fmt::Display for InvalidStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a status with which there is no body cannot be set, or be changed")
    }
}

impl std::error::Error for InvalidStatus {}

/// RFC 9110, 6.4.1.
pub(super) fn is_bodiless(status: StatusCode) -> bool {
    status.is_informational() || matches!(status.as_u16(), 204 | 304)
}
