//! The kinds without streams of their own, access loggers and services, and what runs beside the streams of others.

use std::any::type_name;
use std::future::Ready;
use std::rc::Rc;

use log::error;
#[cfg(target_arch = "wasm32")]
use proxy_wasm::traits::StreamContext;

use super::{AnyPlugin, Installed, Registered, sealed};
use crate::access_logger::AccessLogger;
use crate::completed::Completed;
use crate::config::ConfigError;
use crate::error::{Chain, Error};
use crate::phases::Phases;
use crate::plugin::{Plugin, property_text};
use crate::service::Service;
use crate::tasks::{self, Shown, root::RootTask, root::live_with};

/// A configured one, with what its future needs.
struct Configured<F, Kind> {
    filter: F,
    root_id: &'static str,
    plugin: Plugin,
    kind: std::marker::PhantomData<Kind>,
}

/// The kind of [`AccessLogger`].
#[derive(Debug)]
pub enum Log {}

impl<F: AccessLogger> sealed::Sealed<Log> for F {}

impl<F: AccessLogger> Registered<Log> for F {
    type Settings = F::Config;

    const PHASES: Phases = Phases::ACCESS_LOG;
    const KIND: &'static str = "access_logger";

    fn make(
        settings: F::Config,
        root_id: &'static str,
        plugin: &Plugin,
    ) -> Result<Installed, ConfigError> {
        let filter = F::configure(settings, plugin)?;
        Ok(installed::<F, Log>(filter, root_id, plugin))
    }
}

impl<F: AccessLogger> AnyPlugin for Configured<F, Log> {
    #[cfg(target_arch = "wasm32")]
    fn tcp_context(self: Rc<Self>, _root: u32, _id: u32) -> Option<Box<dyn StreamContext>> {
        Some(crate::entry::tcp::refused())
    }

    fn log(&self, root: u32) -> bool {
        tasks::callback(root, root, || {
            tasks::show_request(Shown::Logged);
            self.filter.log(&Completed::new(root));
            tasks::show_request(Shown::Nothing);
        });
        true
    }

    fn start(self: Rc<Self>, root: u32) -> Option<Rc<RootTask>> {
        Some(runs(root, self.root_id, async move || {
            self.filter.run(&self.plugin).await
        }))
    }
}

/// The kind of [`Service`].
#[derive(Debug)]
pub enum Run {}

impl<F: Service> sealed::Sealed<Run> for F {}

impl<F: Service> Registered<Run> for F {
    type Settings = F::Config;

    const PHASES: Phases = Phases::SERVICE;
    const KIND: &'static str = "service";

    fn make(
        settings: F::Config,
        root_id: &'static str,
        plugin: &Plugin,
    ) -> Result<Installed, ConfigError> {
        let filter = F::configure(settings, plugin)?;
        Ok(installed::<F, Run>(filter, root_id, plugin))
    }
}

impl<F: Service> AnyPlugin for Configured<F, Run> {
    #[cfg(target_arch = "wasm32")]
    fn tcp_context(self: Rc<Self>, _root: u32, _id: u32) -> Option<Box<dyn StreamContext>> {
        Some(crate::entry::tcp::refused())
    }

    fn start(self: Rc<Self>, root: u32) -> Option<Rc<RootTask>> {
        Some(runs(root, self.root_id, async move || {
            self.filter.run(&self.plugin).await
        }))
    }
}

fn installed<F: 'static, Kind: 'static>(
    filter: F,
    root_id: &'static str,
    plugin: &Plugin,
) -> Installed
where
    Configured<F, Kind>: AnyPlugin,
{
    Installed(Rc::new(Configured {
        filter,
        root_id,
        // Without the configuration, which may have secrets.
        plugin: Plugin::new(plugin.root_id().to_owned()),
        kind: std::marker::PhantomData::<Kind>,
    }))
}

/// The plugin of the root context that runs, which a filter of streams does not keep.
pub(super) fn plugin() -> Plugin {
    Plugin::new(property_text("plugin_root_id"))
}

/// Refuses a filter that has a run of its own which is not declared, and so would never be run. It is not polled for
/// that: the future of a run that nobody wrote is of a known type.
#[inline]
pub(super) fn is_declared<R: Future>(_run: R) -> Result<(), ConfigError> {
    if type_name::<R>() == type_name::<Ready<Result<(), Error>>>() {
        return Ok(());
    }
    Err(ConfigError::at("", "`run` needs `Phases::BESIDE`"))
}

/// Has `run` live with root context `root`.
pub(super) fn runs(
    root: u32,
    name: &'static str,
    run: impl AsyncFnOnce() -> Result<(), Error> + 'static,
) -> Rc<RootTask> {
    live_with(root, async move {
        if let Err(fault) = run().await {
            error!("filter={name} its run ended: {}", Chain(&fault));
        }
    })
}
