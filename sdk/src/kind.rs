//! The kinds of filters, and how [`filters!`](crate::filters) tells them apart.
//!
//! Each kind has a trait that filters implement, and a marker. [`Registered`] has one blanket
//! implementation for each kind, so that the compiler infers the marker from the trait that a type
//! implements.

mod root;

use std::marker::PhantomData;
use std::rc::Rc;

#[cfg(target_arch = "wasm32")]
use proxy_wasm::traits::StreamContext;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::config::ConfigError;
use crate::filter::{Configured, HttpFilter};
use crate::mode::Mode;
use crate::phases::Phases;
use crate::plugin::Plugin;
use crate::stream::Stream;
use crate::tasks::root::RootTask;
use crate::tcp::{self, TcpFilter};

/// A type that [`filters!`](crate::filters) takes, and its kind.
///
/// Sealed: a type becomes one by implementing a trait for filters, such as [`HttpFilter`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a filter",
    label = "not a filter",
    note = "a filter implements `HttpFilter`, `TcpFilter`, `AccessLogger` or `Service`"
)]
pub trait Registered<Kind>: sealed::Sealed<Kind> {
    /// The plugin configuration.
    type Settings: DeserializeOwned + JsonSchema;

    /// The callbacks that it needs.
    const PHASES: Phases;

    /// The kind's name in a module's description, such as `http`.
    const KIND: &'static str;

    /// Whether it filters HTTP streams.
    const IS_HTTP: bool = false;

    /// Makes the filter from its configuration, to be called under `root_id`.
    ///
    /// # Errors
    ///
    /// What is wrong with the configuration.
    fn make(
        settings: Self::Settings,
        root_id: &'static str,
        plugin: &Plugin,
    ) -> Result<Installed, ConfigError>;
}

mod sealed {
    pub trait Sealed<Kind> {}
}

/// A configured filter without its type.
#[expect(missing_debug_implementations, reason = "nobody outside holds one")]
#[derive(Clone)]
pub struct Installed(pub(crate) Rc<dyn AnyPlugin>);

/// A configured filter of any kind, as its root context sees it.
///
/// What a kind needs of code is reached through its own implementation only: a module has the code
/// of the kinds that it registers and of no other.
pub(crate) trait AnyPlugin {
    /// A new HTTP stream of root context `root`; `None` where the filter is not for such.
    fn http_stream(self: Rc<Self>, root: u32, id: u32) -> Option<Rc<Stream>> {
        let _ = (root, id);
        None
    }

    /// Whether all its streams are HTTP streams, or else have to be asked what they are.
    fn is_http(&self) -> bool {
        false
    }

    /// Whether its streams are TCP connections.
    fn is_tcp(&self) -> bool {
        false
    }

    /// A new TCP connection; one that is closed, where the filter is not for such.
    #[cfg(target_arch = "wasm32")]
    fn tcp_context(self: Rc<Self>, root: u32, id: u32) -> Option<Box<dyn StreamContext>> {
        let _ = (root, id);
        None
    }

    /// Called by the host at the end of a stream, where the plugin is an access logger; false where the filter is none.
    fn log(&self, root: u32) -> bool {
        let _ = root;
        false
    }

    /// What lives with root context `root` from now on.
    fn start(self: Rc<Self>, root: u32) -> Option<Rc<RootTask>> {
        let _ = root;
        None
    }
}

/// The kind of [`HttpFilter`], in each of its modes.
#[derive(Debug)]
pub struct Http<M>(PhantomData<M>);

impl<F: HttpFilter<M>, M: Mode> sealed::Sealed<Http<M>> for F {}

impl<F: HttpFilter<M>, M: Mode> Registered<Http<M>> for F {
    type Settings = F::Config;

    const PHASES: Phases = Phases::of_http::<F, M>();
    const KIND: &'static str = "http";
    const IS_HTTP: bool = true;

    fn make(
        settings: F::Config,
        root_id: &'static str,
        plugin: &Plugin,
    ) -> Result<Installed, ConfigError> {
        let filter = F::configure(settings, plugin)?;
        if const { !F::PHASES.contains(Phases::BESIDE) } {
            root::is_declared(filter.run(plugin))?;
        }
        Ok(Installed(Rc::new(Configured::<F, Http<M>>::new(
            filter, root_id,
        ))))
    }
}

impl<F: HttpFilter<M>, M: Mode> AnyPlugin for Configured<F, Http<M>> {
    fn http_stream(self: Rc<Self>, root: u32, id: u32) -> Option<Rc<Stream>> {
        // Known when it is compiled: what only those that wait need is not in a module without such.
        Some(
            match const { Phases::of_http::<F, M>().contains(Phases::WAITS) } {
                true => Stream::waiting(root, id, self),
                false => Stream::new(root, id, self),
            },
        )
    }

    fn is_http(&self) -> bool {
        true
    }

    fn start(self: Rc<Self>, root: u32) -> Option<Rc<RootTask>> {
        match const { F::PHASES.contains(Phases::BESIDE) } {
            true => Some(root::runs(root, self.root_id, async move || {
                self.filter.run(&root::plugin()).await
            })),
            false => None,
        }
    }
}

/// The kind of [`TcpFilter`].
#[derive(Debug)]
pub enum Tcp {}

impl<F: TcpFilter> sealed::Sealed<Tcp> for F {}

impl<F: TcpFilter> Registered<Tcp> for F {
    type Settings = F::Config;

    const PHASES: Phases = Phases::CONNECTION.union(F::PHASES);
    const KIND: &'static str = "tcp";

    fn make(
        settings: F::Config,
        root_id: &'static str,
        plugin: &Plugin,
    ) -> Result<Installed, ConfigError> {
        let filter = F::configure(settings, plugin)?;
        if const { !F::PHASES.contains(Phases::BESIDE) } {
            root::is_declared(filter.run(plugin))?;
        }
        Ok(Installed(Rc::new(tcp::Configured { filter, root_id })))
    }
}

impl<F: TcpFilter> AnyPlugin for tcp::Configured<F> {
    fn is_tcp(&self) -> bool {
        true
    }

    #[cfg(target_arch = "wasm32")]
    fn tcp_context(self: Rc<Self>, root: u32, id: u32) -> Option<Box<dyn StreamContext>> {
        Some(crate::entry::tcp::context(root, id, self))
    }

    fn start(self: Rc<Self>, root: u32) -> Option<Rc<RootTask>> {
        match const { F::PHASES.contains(Phases::BESIDE) } {
            true => Some(root::runs(root, self.root_id, async move || {
                self.filter.run(&root::plugin()).await
            })),
            false => None,
        }
    }
}
