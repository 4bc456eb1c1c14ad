//! TCP connections.

use std::rc::Rc;

use proxy_wasm::traits::{Context, StreamContext};
use proxy_wasm::types::{Action as RawAction, PeerType};

use super::answers::answers_to_call_outs;
use super::unused::{self, unused, unused_of_context, unused_of_stream_context};
use crate::flow::Action;
use crate::host;
use crate::tasks;
use crate::tcp::{AnyTcpFilter, ClosedBy, TcpStream};

/// The context of a connection that `filter` judges.
pub(crate) fn context(root: u32, id: u32, filter: Rc<dyn AnyTcpFilter>) -> Box<dyn StreamContext> {
    Box::new(Tcp {
        root,
        id,
        stream: TcpStream::new(root, id, filter),
    })
}

/// The context of a connection of a filter that is not for such: it is closed.
pub(crate) fn refused() -> Box<dyn StreamContext> {
    Box::new(Refused)
}

struct Refused;

impl Context for Refused {
    unused_of_context!();
}

impl StreamContext for Refused {
    unused_of_stream_context!();

    fn on_new_connection(&mut self) -> RawAction {
        // Where that fails, it stays held.
        let _ = host::close_connection();
        RawAction::Pause
    }
}

struct Tcp {
    root: u32,
    id: u32,
    stream: Rc<TcpStream>,
}

impl Context for Tcp {
    answers_to_call_outs!(|tcp| (tcp.root, tcp.id));
    unused_of_context!();
}

impl StreamContext for Tcp {
    unused_of_stream_context!();

    fn on_new_connection(&mut self) -> RawAction {
        raw(self.stream.new_connection())
    }

    fn on_downstream_data(&mut self, size: usize, end: bool) -> RawAction {
        raw(self.stream.downstream_data(size, end))
    }

    fn on_upstream_data(&mut self, size: usize, end: bool) -> RawAction {
        raw(self.stream.upstream_data(size, end))
    }

    fn on_upstream_close(&mut self, _: PeerType) {
        self.stream.upstream_close();
    }

    fn on_downstream_close(&mut self, by: PeerType) {
        self.stream.close(match by {
            PeerType::Remote => ClosedBy::Client,
            PeerType::Local => ClosedBy::Envoy,
            _ => ClosedBy::Unknown,
        });
    }

    fn on_log(&mut self) {
        self.stream.complete();
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        // `proxy_on_delete`.
        tasks::deletion(self.root, self.id, || self.stream.end());
    }
}

fn raw(action: Action) -> RawAction {
    match action {
        Action::Continue => RawAction::Continue,
        Action::Pause => RawAction::Pause,
    }
}
