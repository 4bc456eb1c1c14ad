//! Where plugins stand in Envoy: in filter chains, among access loggers, as services, as stats
//! sinks.

use std::fmt;

use crate::error::HostError;
use crate::plugin::Plugin;

/// The chain that [`HostBuilder::plugin`](crate::HostBuilder::plugin) fills.
pub(crate) const DEFAULT_CHAIN: &str = "default";

/// What a filter chain carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    Http,
    Tcp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Tcp => "TCP",
        })
    }
}

/// A filter chain: what a connection or a request passes. `P` is a plugin, or its index.
#[derive(Debug)]
pub(crate) struct Chain<P = usize> {
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    /// In the order of a request.
    pub(crate) plugins: Vec<P>,
    pub(crate) access_loggers: Vec<P>,
}

/// On which threads a plugin runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Threads {
    All,
    /// `WasmService` with `singleton: true`.
    Main,
}

/// The plugins of a host, each where it stands. `P` is a plugin, or its index.
#[derive(Debug)]
pub(crate) struct Entries<P = usize> {
    pub(crate) chains: Vec<Chain<P>>,
    pub(crate) services: Vec<(P, Threads)>,
    /// Stats are flushed in the main thread, so that sinks run nowhere else.
    pub(crate) stats_sinks: Vec<P>,
}

impl<P> Default for Entries<P> {
    fn default() -> Self {
        Self {
            chains: Vec::new(),
            services: Vec::new(),
            stats_sinks: Vec::new(),
        }
    }
}

impl<P> Entries<P> {
    /// The chain of this name, made where there is none. The default chain is always the first.
    pub(crate) fn chain_mut(&mut self, name: &str, protocol: Protocol) -> &mut Chain<P> {
        let known = self.chains.iter().position(|chain| chain.name == name);
        let at = known.unwrap_or_else(|| {
            let at = if name == DEFAULT_CHAIN {
                0
            } else {
                self.chains.len()
            };
            let chain = Chain {
                name: name.to_owned(),
                protocol,
                plugins: Vec::new(),
                access_loggers: Vec::new(),
            };
            self.chains.insert(at, chain);
            at
        });
        &mut self.chains[at]
    }

    /// The chain of this name, or the first, of a protocol.
    pub(crate) fn find(&self, protocol: Protocol, name: Option<&str>) -> Result<usize, HostError> {
        let fits = |chain: &Chain<P>| {
            chain.protocol == protocol && name.is_none_or(|name| chain.name == name)
        };
        self.chains
            .iter()
            .position(fits)
            .ok_or_else(|| HostError::UnknownChain {
                protocol: protocol.to_string(),
                chain: name.map(str::to_owned),
                known: self.names(protocol),
            })
    }

    fn names(&self, protocol: Protocol) -> Vec<String> {
        self.chains
            .iter()
            .filter(|chain| chain.protocol == protocol)
            .map(|chain| chain.name.clone())
            .collect()
    }
}

impl Entries<Plugin> {
    /// Numbers the plugins in the order in which Envoy starts them, and lists them with their
    /// threads: listeners, then stats sinks, then services. An HTTP connection manager makes its
    /// access loggers before its filters; those of a TCP chain belong to the last filter, the TCP
    /// proxy.
    pub(crate) fn number(self) -> (Entries, Vec<(Plugin, Threads)>) {
        let mut list = Vec::new();
        let mut add = |plugins: Vec<Plugin>, threads| {
            let first = list.len();
            list.extend(plugins.into_iter().map(|plugin| (plugin, threads)));
            (first..list.len()).collect::<Vec<usize>>()
        };
        let chains = self.chains.into_iter().map(|chain| {
            let (plugins, access_loggers) = match chain.protocol {
                Protocol::Http => {
                    let access_loggers = add(chain.access_loggers, Threads::All);
                    (add(chain.plugins, Threads::All), access_loggers)
                }
                Protocol::Tcp => {
                    let plugins = add(chain.plugins, Threads::All);
                    (plugins, add(chain.access_loggers, Threads::All))
                }
            };
            Chain {
                name: chain.name,
                protocol: chain.protocol,
                plugins,
                access_loggers,
            }
        });
        let chains = chains.collect();
        let stats_sinks = add(self.stats_sinks, Threads::Main);
        let services = self.services.into_iter().map(|(plugin, threads)| {
            let number = add(vec![plugin], threads)[0];
            (number, threads)
        });
        let services = services.collect();
        let entries = Entries {
            chains,
            services,
            stats_sinks,
        };
        (entries, list)
    }
}
