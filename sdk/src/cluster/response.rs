use std::fmt;
use std::rc::Rc;

use http::StatusCode;
use serde::de::DeserializeOwned;

use super::error::{CallError, CallErrorKind};
use crate::headers::Headers;
use crate::host::calls::{Received, received};
use crate::host::{self, Map};

/// The answer to a call-out.
///
/// ```
/// use attache::cluster::{CallError, Cluster};
///
/// #[derive(serde::Deserialize)]
/// struct Plan { name: String }
///
/// async fn plan(billing: &Cluster) -> Result<Option<String>, CallError> {
///     let answer = billing.get("/plan").send().await?.error_for_server_failure()?;
///     if !answer.status().is_success() || !answer.headers().contains("etag") {
///         return Ok(None);
///     }
///     Ok(Some(answer.json::<Plan>()?.name))
/// }
/// ```
pub struct CallResponse {
    cluster: Rc<str>,
    status: StatusCode,
    headers: Headers,
    body: Vec<u8>,
    trailers: Option<Headers>,
}

/// How much the host says has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) headers: usize,
    pub(super) body: usize,
    pub(super) trailers: usize,
}

impl CallResponse {
    /// Reads the answer that the callback brings that runs now.
    pub(super) fn read(cluster: &Rc<str>, counts: Counts, limit: usize) -> Result<Self, CallError> {
        let fault = |kind| CallError::new(cluster, kind);
        let refused = |refusal| fault(CallErrorKind::Refused(refusal));
        if counts.headers == 0 {
            let (_, reason) = host::calls::call_status().unwrap_or_default();
            return Err(fault(CallErrorKind::Unanswered {
                reason: String::from_utf8_lossy(&reason).into_owned(),
            }));
        }
        if counts.body > limit {
            return Err(fault(CallErrorKind::TooLarge {
                size: counts.body,
                limit,
            }));
        }
        let garbled = || {
            fault(CallErrorKind::Garbled {
                call: "proxy_get_header_map_pairs",
            })
        };
        let read = |map| {
            let block = host::header_pairs(map).map_err(refused)?;
            Headers::read_only(block).ok_or_else(garbled)
        };
        let headers = read(Map::CallHeaders)?;
        let status = headers.pseudo(":status").unwrap_or_default();
        let status = StatusCode::from_bytes(status).map_err(|_| garbled())?;
        let mut body = Vec::new();
        if counts.body > 0 {
            body = received(Received::HttpBody, counts.body).map_err(refused)?;
        }
        let trailers = (counts.trailers > 0)
            .then(|| read(Map::CallTrailers))
            .transpose()?;
        Ok(Self {
            cluster: Rc::clone(cluster),
            status,
            headers,
            body,
            trailers,
        })
    }

    /// The status. It may be Envoy's own: 503 where the peer could not be reached, 504 where it
    /// took too long.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body.
    ///
    /// ```
    /// use attache::cluster::{CallError, Cluster};
    ///
    /// async fn is_open(shop: &Cluster) -> Result<bool, CallError> {
    ///     Ok(shop.get("/open").send().await?.body().trim_ascii() == b"yes")
    /// }
    /// ```
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body, to keep.
    ///
    /// ```
    /// use attache::cluster::{CallError, Cluster};
    ///
    /// async fn keys(issuer: &Cluster) -> Result<Vec<u8>, CallError> {
    ///     let answer = issuer.get("/keys").send().await?.error_for_server_failure()?;
    ///     Ok(answer.into_body())
    /// }
    /// ```
    #[must_use]
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// The trailers, where there are any.
    ///
    /// ```
    /// use attache::cluster::CallResponse;
    ///
    /// /// Whether the peer says that it has sent all of it.
    /// fn is_complete(answer: &CallResponse) -> bool {
    ///     answer.trailers().is_some_and(|trailers| trailers.contains("x-complete"))
    /// }
    /// ```
    #[must_use]
    pub fn trailers(&self) -> Option<&Headers> {
        self.trailers.as_ref()
    }

    /// The body as JSON.
    ///
    /// ```
    /// use attache::cluster::{CallError, Cluster};
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Verdict {
    ///     allowed: bool,
    /// }
    ///
    /// async fn ask(authz: &Cluster) -> Result<bool, CallError> {
    ///     Ok(authz.get("/verdict").send().await?.json::<Verdict>()?.allowed)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`CallError`] with the place where it is something else, and without what stands there.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|fault| {
            CallError::new(
                &self.cluster,
                CallErrorKind::NotJson {
                    line: fault.line(),
                    column: fault.column(),
                },
            )
        })
    }

    /// The response, unless its status says that the peer, or Envoy in its place, has failed.
    ///
    /// ```
    /// use attache::cluster::{CallError, Cluster};
    /// use attache::prelude::*;
    ///
    /// /// Whether the peer knows the user. That nobody answers is an error, and no such word.
    /// async fn is_known(users: &Cluster, name: &str) -> Result<bool, CallError> {
    ///     let answer = users.get(format!("/users/{name}")).send().await?.error_for_server_failure()?;
    ///     Ok(answer.status() != StatusCode::NOT_FOUND)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CallErrorKind::ServerFailure`] for a status from 500 on.
    pub fn error_for_server_failure(self) -> Result<Self, CallError> {
        if self.status.as_u16() >= 500 {
            let kind = CallErrorKind::ServerFailure(self.status);
            return Err(CallError::new(&self.cluster, kind));
        }
        Ok(self)
    }
}

/// Without values and body: they may be secrets.
impl fmt::Debug for CallResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CallResponse")
            .field("cluster", &self.cluster)
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}
