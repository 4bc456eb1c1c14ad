//! Where the dispatcher of `proxy-wasm` meets this crate.

mod answers;
mod http;
pub(crate) mod tcp;

use std::rc::Rc;

use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::ContextType;

use self::answers::answers_to_call_outs;
use self::http::Http;
use crate::host;
use crate::kind::Installed;
use crate::logging;
use crate::metrics;
use crate::plugin::{Plugin, property_text};
use crate::registry::{Registration, select};
use crate::tasks;
use crate::tasks::events;

/// Starts a module: called by [`filters!`](crate::filters) in `_initialize`.
#[doc(hidden)]
pub fn start(registry: &'static [Registration]) {
    logging::install();
    // The callback is a plain function pointer without room for the registry.
    REGISTRY.set(registry);
    proxy_wasm::set_root_context(|id| {
        Box::new(Root {
            id,
            installed: None,
        })
    });
}

thread_local! {
    static REGISTRY: std::cell::Cell<&'static [Registration]> = const { std::cell::Cell::new(&[]) };
}

struct Root {
    id: u32,
    installed: Option<Installed>,
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
        self.installed = Some(installed);
        Ok(())
    }
}

impl Context for Root {
    answers_to_call_outs!(|root| (root.id, root.id));
}

impl Drop for Root {
    fn drop(&mut self) {
        // `proxy_on_delete`.
        tasks::deletion(self.id, self.id, || {});
    }
}

impl RootContext for Root {
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

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let installed = self.installed.as_ref();
        let stream =
            installed.and_then(|installed| Rc::clone(&installed.0).http_stream(self.id, id));
        Some(Box::new(Http {
            root: self.id,
            id,
            stream,
        }))
    }

    fn create_stream_context(&self, id: u32) -> Option<Box<dyn StreamContext>> {
        let installed = self.installed.as_ref()?;
        Rc::clone(&installed.0).tcp_context(self.id, id)
    }

    fn get_type(&self) -> Option<ContextType> {
        let tcp = self.installed.as_ref().is_some_and(|it| it.0.is_tcp());
        Some(if tcp {
            ContextType::StreamContext
        } else {
            ContextType::HttpContext
        })
    }
}
