//! Call-outs to the clusters of the proxy.
//!
//! ```
//! use attache::prelude::*;
//!
//! /// Asks another service before a request goes on.
//! struct Gate { authz: Cluster }
//!
//! impl HttpFilter for Gate {
//!     type Config = ();
//!
//!     fn configure((): (), plugin: &Plugin) -> Result<Self, ConfigError> {
//!         Ok(Self { authz: plugin.cluster("authz") })
//!     }
//!
//!     async fn call(&self, request: Request, next: Next) -> Result<Response, Error> {
//!         let question = self.authz.get(request.path().as_bytes());
//!         if question.send().await?.status() == StatusCode::OK {
//!             return next.run(request).await;
//!         }
//!         Ok(Response::local(StatusCode::FORBIDDEN, "denied\n"))
//!     }
//! }
//! ```

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
pub(crate) mod forwarded;
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
    ///
    /// ```
    /// use attache::prelude::*;
    ///
    /// fn unavailable(cluster: &Cluster) -> Response {
    ///     let body = format!("{} does not answer\n", cluster.name());
    ///     LocalReply::new(StatusCode::SERVICE_UNAVAILABLE).body(body).details("no_answer").into()
    /// }
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Rc<str> {
        Rc::clone(&self.name)
    }

    /// A call with this method and this path, query and all. The bytes go out as they are.
    ///
    /// ```
    /// use attache::cluster::Call;
    /// use attache::prelude::*;
    ///
    /// /// The same request to another cluster; `None` for a method that is none.
    /// fn shadow(cluster: &Cluster, request: &Request) -> Option<Call> {
    ///     let method = Method::from_bytes(request.method()).ok()?;
    ///     Some(cluster.request(method, request.path().as_bytes()))
    /// }
    /// ```
    pub fn request(&self, method: Method, path: impl AsRef<[u8]>) -> Call {
        Call::new(Rc::clone(&self.name), method, path.as_ref())
    }

    /// A `GET`.
    ///
    /// ```
    /// use attache::cluster::{Call, Cluster};
    ///
    /// fn profile(users: &Cluster, id: u64) -> Call {
    ///     users.get(format!("/users/{id}")).header("accept", "application/json")
    /// }
    /// ```
    pub fn get(&self, path: impl AsRef<[u8]>) -> Call {
        self.request(Method::GET, path)
    }

    /// A `POST`.
    ///
    /// ```
    /// use attache::cluster::{Call, Cluster};
    ///
    /// fn begin(sessions: &Cluster, user: &str) -> Call {
    ///     sessions.post("/sessions").json(&[user])
    /// }
    /// ```
    pub fn post(&self, path: impl AsRef<[u8]>) -> Call {
        self.request(Method::POST, path)
    }

    /// A `PUT`.
    ///
    /// ```
    /// use attache::cluster::{Call, Cluster};
    ///
    /// fn store(sessions: &Cluster, id: u64, state: Vec<u8>) -> Call {
    ///     sessions.put(format!("/sessions/{id}")).body(state)
    /// }
    /// ```
    pub fn put(&self, path: impl AsRef<[u8]>) -> Call {
        self.request(Method::PUT, path)
    }

    /// A `DELETE`.
    ///
    /// ```
    /// use attache::cluster::{Call, Cluster};
    ///
    /// fn end(sessions: &Cluster, id: u64) -> Call {
    ///     sessions.delete(format!("/sessions/{id}"))
    /// }
    /// ```
    pub fn delete(&self, path: impl AsRef<[u8]>) -> Call {
        self.request(Method::DELETE, path)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Cluster").field(&self.name).finish()
    }
}
