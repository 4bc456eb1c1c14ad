//! Call-outs to the clusters of the proxy.

use std::fmt;
use std::rc::Rc;

use http::Method;

pub use self::call::{Call, DEFAULT_LIMIT, DEFAULT_TIMEOUT, Sending};
pub(crate) use self::call::{breaks_line, milliseconds};
pub use self::error::{CallError, CallErrorKind};
pub(crate) use self::forwarded::headers as forwarded_headers;
pub use self::response::CallResponse;
use crate::plugin::Plugin;

mod call;
mod error;
mod forwarded;
mod response;
#[cfg(test)]
mod tests;

/// A cluster of the proxy's configuration, to call out to.
///
/// ```
/// use std::time::Duration;
/// use attache::prelude::*;
/// use attache::cluster::Cluster;
///
/// async fn may_pass(authz: &Cluster, credential: &[u8]) -> Result<bool, Error> {
///     let verdict = authz
///         .get("/check")
///         .header(AUTHORIZATION, credential)
///         .timeout(Duration::from_millis(200))
///         .send()
///         .await?
///         .error_for_server_failure()?;
///     Ok(verdict.status() == StatusCode::OK)
/// }
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Cluster {
    name: Rc<str>,
}

impl Plugin {
    /// A cluster by its name in the proxy's configuration. Whether there is one shows when it is
    /// called: clusters come and go.
    ///
    /// ```
    /// use attache::Plugin;
    /// use attache::cluster::Cluster;
    ///
    /// fn authz(plugin: &Plugin) -> Cluster {
    ///     plugin.cluster("authz")
    /// }
    /// ```
    #[must_use]
    pub fn cluster(&self, name: &str) -> Cluster {
        Cluster { name: name.into() }
    }
}

impl Cluster {
    /// The name in the proxy's configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Rc<str> {
        Rc::clone(&self.name)
    }

    /// A call with this method and this path, query and all. The bytes go out as they are.
    pub fn request(&self, method: Method, path: impl AsRef<[u8]>) -> Call {
        Call::new(Rc::clone(&self.name), method, path.as_ref())
    }

    /// A `GET`.
    pub fn get(&self, path: impl AsRef<[u8]>) -> Call {
        self.request(Method::GET, path)
    }

    /// A `POST`.
    pub fn post(&self, path: impl AsRef<[u8]>) -> Call {
        self.request(Method::POST, path)
    }

    /// A `PUT`.
    pub fn put(&self, path: impl AsRef<[u8]>) -> Call {
        self.request(Method::PUT, path)
    }

    /// A `DELETE`.
    pub fn delete(&self, path: impl AsRef<[u8]>) -> Call {
        self.request(Method::DELETE, path)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Cluster").field(&self.name).finish()
    }
}
