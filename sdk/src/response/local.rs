use std::borrow::Cow;
use std::fmt;

use http::{HeaderValue, StatusCode};

use crate::error::Error;
use crate::headers::Headers;
use crate::headers::name::{self, FieldName};
use crate::headers::value::FieldValue;
use crate::host::{self, Reply};
use crate::pairs;

/// A reply made by the filter, in place of the upstream's.
///
/// Envoy sets `content-length`, and `content-type: text/plain` where no header says otherwise. To
/// a gRPC request it answers status 200 with the gRPC status and the body as its message.
///
/// ```
/// use attache::prelude::*;
///
/// fn unknown() -> Response {
///     LocalReply::new(StatusCode::UNAUTHORIZED)
///         .header(WWW_AUTHENTICATE, "Bearer")
///         .body("who are you?\n")
///         .details("no_credential")
///         .grpc_status(16)
///         .into()
/// }
///
/// assert_eq!(unknown().status(), Some(StatusCode::UNAUTHORIZED));
/// assert!(unknown().headers().contains(WWW_AUTHENTICATE));
/// ```
#[derive(Clone)]
pub struct LocalReply {
    pub(crate) status: StatusCode,
    pub(super) headers: Vec<(Vec<u8>, HeaderValue)>,
    /// Whether one is left out.
    pub(super) is_flawed: bool,
    body: Body,
    details: Cow<'static, str>,
    grpc_status: Option<u8>,
}

/// Without values and body, which may be secrets.
impl fmt::Debug for LocalReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.headers.iter().map(|(name, _)| name.escape_ascii());
        let names: Vec<String> = names.map(|name| name.to_string()).collect();
        formatter
            .debug_struct("LocalReply")
            .field("status", &self.status.as_u16())
            .field("headers", &names)
            .field("body", &self.body)
            .field("details", &self.details)
            .field("grpc_status", &self.grpc_status)
            .finish_non_exhaustive()
    }
}

impl LocalReply {
    /// A reply without headers and body.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            is_flawed: false,
            body: Body::default(),
            details: Cow::Borrowed("attache_local_reply"),
            grpc_status: None,
        }
    }

    /// Adds a header, whose name and value may be text; a repeated name gives two.
    ///
    /// A name or a value that is none is a fault of the filter's, which is logged and counted when the reply is sent. It
    /// goes without that header: a decision to answer never becomes one to let the request pass.
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// let reply = LocalReply::new(StatusCode::TOO_MANY_REQUESTS)
    ///     .header(RETRY_AFTER, 10)
    ///     .header("X-Reason", "quota");
    /// let response: Response = reply.into();
    /// assert_eq!(response.headers().all("x-reason"), [b"quota"]);
    /// ```
    #[must_use]
    pub fn header(mut self, name: impl FieldName, value: impl FieldValue) -> Self {
        match value.into_value() {
            Some(value) if name::is_token(&name) => {
                self.headers.push((name.as_bytes().to_vec(), value));
            }
            _ => self.is_flawed = true,
        }
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the response code details, as the access log prints them by
    /// `%RESPONSE_CODE_DETAILS%`; Envoy turns blanks into `_`.
    #[must_use]
    pub fn details(mut self, details: impl Into<Cow<'static, str>>) -> Self {
        self.details = details.into();
        self
    }

    /// Sets the gRPC status, 0 to 16, for a gRPC request. Without one Envoy derives it from the
    /// HTTP status.
    #[must_use]
    pub fn grpc_status(mut self, code: u8) -> Self {
        self.grpc_status = Some(code);
        self
    }

    /// Sends the reply with `headers` on the effective stream.
    pub(crate) fn send(&self, headers: &Headers) -> Result<(), Error> {
        let pairs: Vec<(&[u8], &[u8])> = headers.iter().collect();
        let bytes = pairs::serialize(&pairs)
            .ok_or_else(|| Error::misuse("a local reply has over 4 GiB of headers"))?;
        host::send_local_response(Reply {
            status: self.status.as_u16(),
            details: &self.details,
            body: &self.body.0,
            headers: if pairs.is_empty() { b"" } else { &bytes },
            grpc_status: self.grpc_status.map_or(-1, i32::from),
        })?;
        Ok(())
    }
}

/// The body of a local reply: text or bytes.
///
/// ```
/// use attache::Body;
///
/// let bodies: [Body; 3] = ["text".into(), String::from("text").into(), vec![0xff].into()];
/// ```
#[derive(Clone, Default)]
pub struct Body(Cow<'static, [u8]>);

/// How large it is: what is in it may be a secret.
impl fmt::Debug for Body {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Body({} bytes)", self.0.len())
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text.into_bytes()))
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Cow::Owned(bytes))
    }
}
