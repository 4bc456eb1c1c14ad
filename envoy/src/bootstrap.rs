mod endpoint;
mod render;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::discovered::Discovered;
use crate::native::NativeFilter;
use crate::plugin::Plugin;

pub use endpoint::{Endpoint, EndpointError};

/// A whole configuration of Envoy: listeners with plugins in front of one upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Bootstrap {
    /// Who this Envoy is.
    pub node: Identity,
    /// Where the admin endpoint listens. It can do anything with this Envoy
    /// and asks nobody for a password: keep it on the loopback interface.
    pub admin: SocketAddr,
    /// The listeners, each with a filter chain of its own.
    pub listeners: Vec<Listener>,
    /// Where all requests go.
    pub upstream: Endpoint,
    /// What is spoken there.
    pub upstream_codec: Codec,
    /// Further clusters, which plugins call out to, by name.
    pub clusters: BTreeMap<String, Cluster>,
    /// Plugins that run for themselves, started in this order.
    pub services: Vec<Service>,
    /// Plugins that are told of all statistics.
    pub stats_sinks: Vec<Plugin>,
    /// How often these are told; Envoy's 5 s unless set.
    pub stats_flush_interval: Option<Duration>,
}

/// A plugin that runs for itself (`envoy.extensions.wasm.v3.WasmService`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Service {
    /// In every thread.
    Threads(Plugin),
    /// In the main thread only.
    Singleton(Plugin),
}

/// What is spoken on the connections to a cluster.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Codec {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// A cluster beside the upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Cluster {
    /// Its only server.
    pub endpoint: Endpoint,
    /// What is spoken there.
    pub codec: Codec,
}

impl Cluster {
    /// A cluster of one server that speaks this.
    pub fn new(endpoint: impl Into<Endpoint>, codec: Codec) -> Self {
        Self {
            endpoint: endpoint.into(),
            codec,
        }
    }
}

/// A place where requests come in, and what they pass.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Listener {
    /// Its name, also the prefix of its statistics.
    pub name: String,
    /// Where it listens; port 0 means a free one.
    pub address: SocketAddr,
    /// Whether each worker has a socket of its own on the port, as Envoy has it unless told otherwise: the kernel
    /// then spreads connections over the workers. Else they share one, and no second Envoy can take the port too.
    pub reuse_port: bool,
    /// How many bytes of a body a filter can hold back, before Envoy answers
    /// 413 or 500. Without it, Envoy's default of 1 MiB.
    pub buffer_limit: Option<u32>,
    /// The `filter_metadata` of the route, by namespace.
    pub route_metadata: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    /// The plugins that requests pass, in this order; responses pass them backwards.
    pub filters: Vec<FilterSource>,
    /// The file that gets one line of JSON for each request; see
    /// [`AccessEntry`](crate::AccessEntry).
    pub access_log: Option<PathBuf>,
    /// Plugins that log each request, or each connection.
    pub access_loggers: Vec<Plugin>,
    /// What stands behind the filters.
    pub proxy: Proxy,
    /// What becomes of HTTP/1 trailers.
    pub trailers: Trailers,
    /// How long Envoy leaves an HTTP/1.1 connection open that it cuts, so that the client can read what
    /// came last; Envoy's 1 s unless set.
    pub delayed_close: Option<Duration>,
    /// What requests over HTTP/1.1 may ask an upgrade to, such as `websocket`.
    pub upgrades: Vec<String>,
    /// What becomes of `x-request-id`.
    pub request_id: RequestId,
    /// What becomes of the response header `server`.
    pub server_header: ServerHeader,
}

/// What stands behind the filters of a listener, and so what kind of filters these are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Proxy {
    /// Envoy's router, which sends requests to the upstream.
    #[default]
    Http,
    /// Envoy's TCP proxy, which sends bytes to a cluster. The filters are static then, and there is no
    /// access log in a file.
    Tcp {
        /// Which one.
        cluster: String,
    },
}

/// How a plugin comes to Envoy.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FilterSource {
    /// Written into the listener; another one needs another Envoy.
    Static(Plugin),
    /// Read from a file that can be replaced while Envoy runs.
    Discovered(Discovered),
    /// Asked of a control plane, which can replace it while Envoy runs.
    Served {
        /// The name of the plugin, and of the filter in the chain.
        name: String,
        /// The cluster of the control plane, which speaks [`Codec::Http2`].
        cluster: String,
    },
    /// A filter of Envoy's own.
    Native(NativeFilter),
    /// A place between filters, by a name of its own: the access log tells what HTTP messages passed it
    /// ([`AccessEntry::taps`](crate::AccessEntry::taps)). It needs an Envoy with the Lua filter.
    Tap(String),
}

/// Who an Envoy is for a control plane.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Identity {
    /// A name that no other Envoy has.
    pub id: String,
    /// The group of Envoys that it belongs to.
    pub cluster: String,
    /// What else a control plane may know.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// `attache` in `attache`.
impl Default for Identity {
    fn default() -> Self {
        Self {
            id: "attache".to_owned(),
            cluster: "attache".to_owned(),
            metadata: serde_json::Map::new(),
        }
    }
}

/// What becomes of HTTP/1 trailers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Trailers {
    /// They are dropped, as Envoy does when nothing is said.
    #[default]
    Dropped,
    /// They pass, and filters see them.
    Kept,
}

/// What becomes of `x-request-id`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum RequestId {
    /// Envoy writes a random one, as it does when nothing is said.
    #[default]
    Generated,
    /// None is written, so that equal requests stay equal.
    Untouched,
}

/// What becomes of the response header `server`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ServerHeader {
    /// It says `envoy`, as Envoy does when nothing is said.
    #[default]
    Overwritten,
    /// It is what the upstream wrote, or absent.
    Untouched,
}

impl Bootstrap {
    /// Listeners in front of an upstream, with the admin endpoint on a free port.
    pub fn new(upstream: Endpoint, listeners: Vec<Listener>) -> Self {
        Self {
            node: Identity::default(),
            admin: loopback(),
            listeners,
            upstream,
            upstream_codec: Codec::default(),
            clusters: BTreeMap::new(),
            services: Vec::new(),
            stats_sinks: Vec::new(),
            stats_flush_interval: None,
        }
    }

    /// The plugins that can be replaced, each once; for
    /// [`StartOptions::discovered`](crate::StartOptions::discovered).
    #[must_use]
    pub fn discovered(&self) -> Vec<Discovered> {
        let mut found = Vec::new();
        for filter in self.listeners.iter().flat_map(|listener| &listener.filters) {
            if let FilterSource::Discovered(discovered) = filter
                && !found.contains(discovered)
            {
                found.push(discovered.clone());
            }
        }
        found
    }

    /// The configuration as commented YAML.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::Path`], if it holds a path that is not UTF-8.
    pub fn to_yaml(&self) -> Result<String, BootstrapError> {
        render::render(self).map_err(|error| BootstrapError::Path {
            reason: error.to_string(),
        })
    }

    /// Writes the configuration to a file, and creates the folder that it is in.
    ///
    /// # Errors
    ///
    /// [`BootstrapError`].
    pub fn write(&self, path: &Path) -> Result<PathBuf, BootstrapError> {
        let yaml = self.to_yaml()?;
        let write = || {
            let path = std::path::absolute(path)?;
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&path, yaml)?;
            Ok(path)
        };
        write().map_err(|source| BootstrapError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

impl Listener {
    /// A listener on a free port of 127.0.0.1 without filters and access log,
    /// with Envoy's own defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: loopback(),
            reuse_port: false,
            buffer_limit: None,
            route_metadata: BTreeMap::new(),
            filters: Vec::new(),
            access_log: None,
            access_loggers: Vec::new(),
            proxy: Proxy::default(),
            trailers: Trailers::default(),
            upgrades: Vec::new(),
            delayed_close: None,
            request_id: RequestId::default(),
            server_header: ServerHeader::default(),
        }
    }
}

/// Why a configuration could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// It holds a path that YAML cannot.
    #[error("{reason}")]
    Path {
        /// Which one.
        reason: String,
    },
    /// The file could not be written.
    #[error("cannot write the configuration `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
