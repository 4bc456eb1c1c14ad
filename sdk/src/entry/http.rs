//! HTTP streams.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action as RawAction;

use super::answers::answers_to_call_outs;
use super::unused::{self, unused, unused_of_context, unused_of_http_context};
use crate::flow::Action;
use crate::host::{self, Direction, Reply};
use crate::stream::{End, Event, Stream};
use crate::tasks;

/// One HTTP stream; without a filter where the host calls on a root that was never configured, or
/// whose filter is of another kind.
pub(super) struct Http {
    pub(super) root: u32,
    pub(super) id: u32,
    pub(super) stream: Option<Rc<Stream>>,
}

impl Http {
    fn callback(&self, direction: Direction, event: Event) -> RawAction {
        let action = match &self.stream {
            Some(stream) => stream.callback(direction, event),
            // Nothing judged this request, so nothing lets it through. Its reply passes.
            None if direction == Direction::Request => Action::Pause,
            None => Action::Continue,
        };
        match action {
            Action::Continue => RawAction::Continue,
            Action::Pause => RawAction::Pause,
        }
    }
}

impl Context for Http {
    answers_to_call_outs!(|http| (http.root, http.id));
    unused_of_context!();
}

impl HttpContext for Http {
    unused_of_http_context!();

    fn on_http_request_headers(&mut self, _count: usize, is_last: bool) -> RawAction {
        if self.stream.is_none() {
            // Where that fails, the request stays held.
            let _ = host::send_local_response(Reply {
                status: 503,
                details: "attache_no_http_filter",
                body: b"",
                headers: b"",
                grpc_status: -1,
            });
            return RawAction::Pause;
        }
        self.callback(Direction::Request, Event::Headers { is_last })
    }

    fn on_http_request_body(&mut self, size: usize, is_last: bool) -> RawAction {
        self.callback(Direction::Request, Event::Body { size, is_last })
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> RawAction {
        self.callback(Direction::Request, Event::Trailers)
    }

    fn on_http_response_headers(&mut self, _count: usize, is_last: bool) -> RawAction {
        self.callback(Direction::Response, Event::Headers { is_last })
    }

    fn on_http_response_body(&mut self, size: usize, is_last: bool) -> RawAction {
        self.callback(Direction::Response, Event::Body { size, is_last })
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> RawAction {
        self.callback(Direction::Response, Event::Trailers)
    }

    fn on_log(&mut self) {
        if let Some(stream) = &self.stream {
            tasks::callback(self.root, self.id, || stream.end(End::AccessLog));
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        // `proxy_on_delete`; the module may lack `proxy_on_log`.
        if let Some(stream) = &self.stream {
            tasks::deletion(self.root, self.id, || stream.end(End::Deletion));
        }
    }
}
