//! Where the dispatcher of `proxy-wasm` meets this crate.

use std::rc::Rc;

use log::error;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action as RawAction, ContextType};

use crate::filter::AnyFilter;
use crate::host::{self, Direction};
use crate::logging;
use crate::plugin::{Plugin, property_text};
use crate::registry::{Registration, select};
use crate::stream::{Action, Stream};
use crate::tasks;

/// Starts a module: called by [`filters!`](crate::filters) in `_initialize`.
#[doc(hidden)]
pub fn start(registry: &'static [Registration]) {
    logging::install();
    // The callback is a plain function pointer without room for the registry.
    REGISTRY.set(registry);
    proxy_wasm::set_root_context(|id| {
        Box::new(Root {
            id,
            registry: REGISTRY.get(),
            filter: None,
        })
    });
}

thread_local! {
    static REGISTRY: std::cell::Cell<&'static [Registration]> = const { std::cell::Cell::new(&[]) };
}

struct Root {
    id: u32,
    registry: &'static [Registration],
    filter: Option<Rc<dyn AnyFilter>>,
}

impl Root {
    fn configure(&mut self, size: usize) -> Result<(), String> {
        let root_id = property_text("plugin_root_id");
        let registration = select(self.registry, &root_id)?;
        let name = registration.root_id();
        let bytes = host::plugin_configuration(size)
            .map_err(|error| format!("filter={name} cannot read its configuration: {error}"))?;
        let filter = registration
            .configure(&bytes, &Plugin::new(root_id))
            .map_err(|error| format!("filter={name} configuration refused: {error}"))?;
        self.filter = Some(filter);
        Ok(())
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        tasks::callback(self.id, || {
            logging::follow_host_level();
            match self.configure(size) {
                Ok(()) => true,
                Err(refusal) => {
                    error!("{refusal}");
                    false
                }
            }
        })
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let stream = self.filter.clone().map(|filter| Stream::new(id, filter));
        Some(Box::new(Http { id, stream }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// One HTTP stream; without a filter where the host calls on a root that was never configured.
struct Http {
    id: u32,
    stream: Option<Rc<Stream>>,
}

impl Http {
    fn callback(&self, direction: Direction, event: impl FnOnce(&Stream)) -> RawAction {
        let action = match &self.stream {
            Some(stream) => stream.callback(direction, event),
            // Nothing judged this stream, so nothing lets it through.
            None => Action::Pause,
        };
        match action {
            Action::Continue => RawAction::Continue,
            Action::Pause => RawAction::Pause,
        }
    }

    fn end(&self) {
        if let Some(stream) = &self.stream {
            stream.end();
        }
    }
}

impl Context for Http {
    fn on_done(&mut self) -> bool {
        true
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> RawAction {
        self.callback(Direction::Request, |stream| {
            stream.request_headers(end_of_stream);
        })
    }

    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> RawAction {
        self.callback(Direction::Request, Stream::body_or_trailers)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> RawAction {
        self.callback(Direction::Request, Stream::body_or_trailers)
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> RawAction {
        self.callback(Direction::Response, Stream::response_headers)
    }

    fn on_http_response_body(&mut self, _size: usize, _end_of_stream: bool) -> RawAction {
        self.callback(Direction::Response, Stream::body_or_trailers)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> RawAction {
        self.callback(Direction::Response, Stream::body_or_trailers)
    }

    fn on_log(&mut self) {
        tasks::callback(self.id, || self.end());
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        // `proxy_on_delete`; the module may lack `proxy_on_log`.
        tasks::callback(self.id, || self.end());
    }
}
