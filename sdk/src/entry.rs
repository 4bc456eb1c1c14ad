//! Where the dispatcher of `proxy-wasm` meets this crate.

mod answers;
mod http;
pub(crate) mod tcp;
mod unused;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::ContextType;

use self::answers::answers_to_call_outs;
use self::http::Http;
use self::unused::{unused, unused_of_context, unused_of_root_context};
use crate::host;
use crate::kind::Installed;
use crate::logging;
use crate::metrics;
use crate::plugin::{Plugin, property_text};
use crate::registry::{Registration, select};
use crate::stream::Stream;
use crate::tasks::events;
use crate::tasks::{self, root::RootTask};

/// Starts a module: called by [`filters!`](crate::filters) in `_initialize`.
#[doc(hidden)]
pub fn start(registry: &'static [Registration]) {
    logging::install();
    // The callback is a plain function pointer without room for the registry.
    REGISTRY.set(registry);
    if registry.iter().all(Registration::is_http) {
        // The shorter way: no root is asked what its streams are.
        proxy_wasm::set_http_context(|id, root| {
            let stream = stream(root, id);
            Box::new(Http { root, id, stream })
        });
    }
    proxy_wasm::set_root_context(|id| {
        Box::new(Root {
            id,
            installed: None,
            task: None,
            said: Cell::new(false),
        })
    });
}

thread_local! {
    static REGISTRY: Cell<&'static [Registration]> = const { Cell::new(&[]) };
    /// What is configured, by root: few, because a plugin mostly has a VM of its own.
    static PLUGINS: RefCell<Vec<(u32, Installed)>> = const { RefCell::new(Vec::new()) };
}

/// The filters of the module.
pub(crate) fn registry() -> &'static [Registration] {
    REGISTRY.get()
}

/// A new HTTP stream; `None` where its root was never configured.
fn stream(root: u32, id: u32) -> Option<Rc<Stream>> {
    PLUGINS.with_borrow(|plugins| {
        let (_, plugin) = plugins.iter().find(|(of, _)| *of == root)?;
        Rc::clone(&plugin.0).http_stream(root, id)
    })
}

/// The roots that are configured.
pub(crate) fn roots() -> Vec<u32> {
    PLUGINS.with_borrow(|plugins| plugins.iter().map(|(root, _)| *root).collect())
}

/// Notes what is configured. What it takes the place of ends with the answer, because a filter's own code
/// may run then.
fn configured(root: u32, plugin: Option<Installed>) -> Option<Installed> {
    PLUGINS.with_borrow_mut(|plugins| {
        let at = plugins.iter().position(|(of, _)| *of == root);
        plugins.extend(plugin.map(|plugin| (root, plugin)));
        Some(plugins.swap_remove(at?).1)
    })
}

struct Root {
    id: u32,
    installed: Option<Installed>,
    /// What lives with it.
    task: Option<Rc<RootTask>>,
    /// Whether it was said that the plugin is at the wrong place.
    said: Cell<bool>,
}

impl Root {
    fn configure(&mut self, size: usize) -> Result<(), String> {
        let root_id = property_text("plugin_root_id");
        let registration = select(REGISTRY.get(), &root_id)?;
        let name = registration.root_id();
        let bytes = host::plugin_configuration(size)
            .map_err(|error| format!("filter={name} cannot read its configuration: {error}"))?;
        let plugin = Plugin::new(root_id).with_configuration(bytes);
        let installed = registration
            .install(plugin.configuration(), &plugin)
            .map_err(|error| format!("filter={name} configuration refused: {error}"))?;
        self.end();
        self.task = Rc::clone(&installed.0).start(self.id);
        drop(configured(self.id, Some(installed.clone())));
        self.installed = Some(installed);
        events::configured();
        Ok(())
    }

    fn end(&mut self) {
        if let Some(task) = self.task.take() {
            task.end();
        }
    }

    /// Says, once, that Envoy's configuration has the plugin where its filter cannot work.
    #[cold]
    #[inline(never)]
    fn misplaced(&self, place: &str) {
        if !self.said.replace(true) {
            let root_id = property_text("plugin_root_id");
            // Of no stream: what was at work last is at work no more.
            tasks::callback(self.id, self.id, || {
                error!("filter={root_id} is configured as {place}, which it is not");
            });
        }
    }
}

impl Context for Root {
    answers_to_call_outs!(|root| (root.id, root.id));
    unused_of_context!();
}

impl Drop for Root {
    fn drop(&mut self) {
        // `proxy_on_delete`.
        tasks::deletion(self.id, self.id, || self.end());
        drop(configured(self.id, None));
    }
}

impl RootContext for Root {
    unused_of_root_context!();

    fn on_configure(&mut self, size: usize) -> bool {
        tasks::callback(self.id, self.id, || {
            logging::follow_host_level();
            match self.configure(size) {
                Ok(()) => {
                    metrics::configured();
                    true
                }
                Err(refusal) => {
                    error!("{refusal}");
                    false
                }
            }
        })
    }

    fn on_tick(&mut self) {
        tasks::callback(self.id, self.id, || events::ticked(self.id));
    }

    fn on_queue_ready(&mut self, token: u32) {
        tasks::callback(self.id, self.id, || events::queue_ready(token));
    }

    fn on_log(&mut self) {
        if self.installed.as_ref().is_some_and(|it| !it.0.log(self.id)) {
            self.misplaced("an access logger");
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let installed = self.installed.as_ref();
        let stream =
            installed.and_then(|installed| Rc::clone(&installed.0).http_stream(self.id, id));
        if stream.is_none() {
            self.misplaced("an HTTP filter");
        }
        Some(Box::new(Http {
            root: self.id,
            id,
            stream,
        }))
    }

    fn create_stream_context(&self, id: u32) -> Option<Box<dyn StreamContext>> {
        let installed = self.installed.as_ref()?;
        if !installed.0.is_tcp() {
            self.misplaced("a TCP filter");
        }
        Rc::clone(&installed.0).tcp_context(self.id, id)
    }

    fn get_type(&self) -> Option<ContextType> {
        // A filter for HTTP streams asks nothing: each host call costs a stream more than all of
        // this. Where it is configured as a TCP filter, the crate below panics in
        // `proxy_on_new_connection`, which closes the connection.
        let http = self.installed.as_ref().is_none_or(|it| it.0.is_http());
        Some(if http || is_http() {
            ContextType::HttpContext
        } else {
            ContextType::StreamContext
        })
    }
}

/// Whether the stream that is being created is one of HTTP.
fn is_http() -> bool {
    let protocol = host::property(&["request", "protocol"]);
    protocol.ok().flatten().is_some()
}
