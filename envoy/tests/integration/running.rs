use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use attache_envoy::http1::{Response, exchange};
use attache_envoy::upstream::{Request, Upstream};
use attache_envoy::{
    Bootstrap, Environment, Envoy, FilterSource, Installation, Listener, ModuleStore, Plugin,
    Selection, StartError, StartOptions, find,
};

use crate::modules::{Verdict, module};
use crate::scratch::Scratch;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The Envoy that all tests use.
pub(crate) fn installation() -> Installation {
    static FOUND: OnceLock<Installation> = OnceLock::new();
    let found = || find(&Selection::Default, &Environment::current(), &mut |_| ()).unwrap();
    FOUND.get_or_init(found).clone()
}

/// What an Envoy needs around it.
pub(crate) struct Stage {
    pub(crate) folder: Scratch,
    pub(crate) upstream: Upstream,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            folder: Scratch::new(),
            upstream: Upstream::echo().unwrap(),
        }
    }

    /// The file of a module that writes this value.
    pub(crate) fn module(&self, value: &str, verdict: Verdict) -> PathBuf {
        ModuleStore::new(self.folder.join("modules"))
            .keep(&module(value, verdict))
            .unwrap()
    }

    pub(crate) fn bootstrap(&self, listeners: Vec<Listener>) -> Bootstrap {
        Bootstrap::new(self.upstream.address().into(), listeners)
    }

    pub(crate) fn start(&self, bootstrap: &Bootstrap) -> Result<Envoy, StartError> {
        let options = StartOptions {
            discovered: bootstrap.discovered(),
            ..StartOptions::default()
        };
        self.start_with(bootstrap, options)
    }

    pub(crate) fn start_with(
        &self,
        bootstrap: &Bootstrap,
        options: StartOptions,
    ) -> Result<Envoy, StartError> {
        let config = bootstrap.write(&self.folder.join("envoy.yaml")).unwrap();
        Envoy::start(&installation(), &config, &self.folder.join("run"), options)
    }

    /// Sends a request and returns what came back and what arrived.
    pub(crate) fn send(&self, address: SocketAddr, request: &[u8]) -> (Response, Request) {
        let response = exchange(address, request, LIMIT).unwrap();
        (
            response,
            self.upstream.wait_for(1, LIMIT).unwrap().remove(0),
        )
    }

    /// What a module has written into the request, or nothing.
    pub(crate) fn written(&self, envoy: &Envoy) -> Option<String> {
        let address = envoy.listener_address("filtered").unwrap();
        let (_, received) = self.send(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        let value = received.header("x-module").next().map(<[u8]>::to_vec);
        value.map(|value| String::from_utf8(value).unwrap())
    }
}

/// A listener with this one filter.
pub(crate) fn filtered(source: FilterSource) -> Listener {
    let mut listener = Listener::new("filtered");
    listener.filters.push(source);
    listener
}

/// A listener with this one plugin in it.
pub(crate) fn with_plugin(plugin: Plugin) -> Listener {
    filtered(FilterSource::Static(plugin))
}
