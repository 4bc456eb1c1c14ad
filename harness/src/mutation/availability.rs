//! What may be read and written when.

use std::fmt;

/// A map or a buffer, by its number in the ABI.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Resource {
    /// A header map.
    Map(u32),
    /// A buffer.
    Buffer(u32),
}

/// What is done with it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Access {
    /// It is read.
    Read,
    /// It is written.
    Write,
}

/// Who does it: what kind of context is the effective one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Holder {
    /// A root context.
    Root,
    /// The context of a stream.
    Stream,
}

/// An entry of the table: what, in which callback, by whom, and to what end.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Entry {
    pub(crate) resource: Resource,
    /// The export that the host called.
    pub(crate) callback: &'static str,
    pub(crate) holder: Holder,
    pub(crate) access: Access,
}

/// The callbacks in which a stream's context is asked for the maps and buffers of its stream; in the
/// last two another context was the effective one before.
const OF_STREAM: [&str; 12] = [
    "proxy_on_context_create",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_log",
    "proxy_on_done",
    "proxy_on_delete",
    "proxy_on_tick",
    "proxy_on_http_call_response",
];

/// The same for root contexts.
const OF_ROOT: [&str; 5] = [
    "proxy_on_context_create",
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_tick",
    "proxy_on_http_call_response",
];

/// Those of a stream.
const STREAMED: [Resource; 6] = [
    Resource::Map(0),
    Resource::Map(1),
    Resource::Map(2),
    Resource::Map(3),
    Resource::Buffer(0),
    Resource::Buffer(1),
];

/// Those of an answer to `proxy_http_call`.
const ANSWERED: [Resource; 3] = [Resource::Map(6), Resource::Map(7), Resource::Buffer(4)];

/// The VM's configuration and the plugin's.
const CONFIGURED: [Resource; 2] = [Resource::Buffer(6), Resource::Buffer(7)];

/// The callbacks about gRPC calls, and what there is in one of them.
const OF_GRPC: [&str; 4] = [
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_grpc_close",
];
const RECEIVED: [Resource; 3] = [Resource::Map(4), Resource::Map(5), Resource::Buffer(5)];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Entry> {
    let of_grpc = OF_GRPC.into_iter().flat_map(|callback| {
        RECEIVED.map(|resource| Entry {
            resource,
            callback,
            holder: Holder::Root,
            access: Access::Read,
        })
    });
    of_http().chain(of_grpc)
}

fn of_http() -> impl Iterator<Item = Entry> {
    let streams = OF_STREAM.map(|callback| (callback, Holder::Stream));
    let roots = OF_ROOT.map(|callback| (callback, Holder::Root));
    streams
        .into_iter()
        .chain(roots)
        .flat_map(|(callback, holder)| {
            let entry = move |resource, access| Entry {
                resource,
                callback,
                holder,
                access,
            };
            let both = [Access::Read, Access::Write];
            let streamed = STREAMED.into_iter();
            let read = ANSWERED.into_iter().chain(CONFIGURED);
            streamed
                .flat_map(move |resource| both.map(|access| entry(resource, access)))
                .chain(read.map(move |resource| entry(resource, Access::Read)))
                .filter(|entry| !entry.is_idle())
        })
}

pub(super) fn has(entry: Entry) -> bool {
    all().any(|known| known == entry)
}

impl Entry {
    /// Entries that would be the same for many callbacks stand for one of them only.
    fn is_idle(self) -> bool {
        let answered = ANSWERED.contains(&self.resource);
        let configured = CONFIGURED.contains(&self.resource);
        let of_answer = self.callback == "proxy_on_http_call_response";
        match self.holder {
            Holder::Stream if self.callback == "proxy_on_request_headers" => false,
            Holder::Stream => (answered && !of_answer) || configured,
            Holder::Root => answered && !of_answer && self.callback != "proxy_on_tick",
        }
    }

    pub(super) fn description(self) -> String {
        let what = match self.resource {
            Resource::Map(number) => format!("map {number}"),
            Resource::Buffer(number) => format!("buffer {number}"),
        };
        let done = match self.access {
            Access::Read => "can be read",
            Access::Write => "can be written",
        };
        let who = match self.holder {
            Holder::Root => "a root context",
            Holder::Stream => "a stream's context",
        };
        let callback = self.callback;
        format!("{what} {done} by {who} in `{callback}` if it should not, or the other way round")
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.resource {
            Resource::Map(number) => write!(f, "map-{number}")?,
            Resource::Buffer(number) => write!(f, "buffer-{number}")?,
        }
        let access = match self.access {
            Access::Read => "read",
            Access::Write => "write",
        };
        let holder = match self.holder {
            Holder::Root => "root",
            Holder::Stream => "stream",
        };
        let callback = self.callback.trim_start_matches("proxy_on_");
        write!(f, "/{holder}/{callback}/{access}")
    }
}
