//! HTTP streams.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action as RawAction;

use super::answers::answers_to_call_outs;
use crate::host::Direction;
use crate::stream::{Action, Stream};
use crate::tasks;

/// One HTTP stream; without a filter where the host calls on a root that was never configured.
pub(super) struct Http {
    pub(super) root: u32,
    pub(super) id: u32,
    pub(super) stream: Option<Rc<Stream>>,
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
    answers_to_call_outs!(|http| (http.root, http.id));
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
        tasks::callback(self.root, self.id, || self.end());
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        // `proxy_on_delete`; the module may lack `proxy_on_log`.
        tasks::deletion(self.root, self.id, || self.end());
    }
}
