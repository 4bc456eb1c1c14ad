//! What the host tells besides the events of a stream: ticks, answers to call-outs, the end of a
//! context.
//!
//! Who wants to hear of it leaves a function here. A filter that neither waits for time nor calls
//! out leaves none, and its module does not carry that code.

use std::cell::Cell;
use std::hint::black_box;

/// Something that the host told.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A tick of a root context.
    Tick(u32),
    /// An answer to a call-out, or a part of one.
    Answer(Answer),
    /// A root was configured.
    Configured,
    /// A context was deleted.
    Ended(u32),
    /// A callback of this root, or of its streams, ends with futures that have had no turn.
    Left(u32),
}

/// An answer to a call-out, by the token that the host gave when the call was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) token: u32,
    pub(crate) kind: Kind,
}

/// What came.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// The answer to an HTTP call: how many headers, bytes of body, and trailers.
    Http {
        headers: usize,
        body: usize,
        trailers: usize,
    },
    /// The answer to a gRPC call: its status, and how many bytes of message.
    GrpcCall { status: u32, size: usize },
    /// The first metadata of a gRPC stream.
    GrpcInitialMetadata,
    /// A message of a gRPC stream.
    GrpcMessage { size: usize },
    /// The last metadata of a gRPC stream.
    GrpcTrailingMetadata,
    /// The end of a gRPC stream.
    GrpcClose { status: u32 },
}

/// Who hears of what.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ear {
    Time,
    Calls,
}

type Hear = Cell<Option<fn(Event)>>;

thread_local! {
    static TIME: Hear = const { Cell::new(None) };
    static CALLS: Hear = const { Cell::new(None) };
    static QUEUES: Cell<Option<fn(u32)>> = const { Cell::new(None) };
}

/// From now on, tells `hear` of what is for `ear`, and of contexts that end. Whether nobody did before.
pub(crate) fn hear(ear: Ear, hear: fn(Event)) -> bool {
    // Without this the compiler sees that only one function is ever left, calls it by name, and so
    // links it into modules that never get here.
    let hear = black_box(hear);
    let before = match ear {
        Ear::Time => TIME.replace(Some(hear)),
        Ear::Calls => CALLS.replace(Some(hear)),
    };
    before.is_none()
}

/// From now on, tells `hear` of queues with new items, by their tokens.
pub(crate) fn hear_queues(hear: fn(u32)) {
    QUEUES.set(Some(black_box(hear)));
}

/// Tells of a queue with a new item.
pub(crate) fn queue_ready(token: u32) {
    if let Some(hear) = QUEUES.get() {
        hear(token);
    }
}

/// Tells of a tick.
pub(crate) fn ticked(root: u32) {
    if let Some(hear) = TIME.get() {
        hear(Event::Tick(root));
    }
}

/// Tells of a root that is configured.
pub(crate) fn configured() {
    if let Some(hear) = TIME.get() {
        hear(Event::Configured);
    }
}

/// Tells of futures that wait for a turn.
pub(super) fn left(root: u32) {
    if let Some(hear) = TIME.get() {
        hear(Event::Left(root));
    }
}

/// Tells of an answer.
pub(crate) fn answered(answer: Answer) {
    if let Some(hear) = CALLS.get() {
        hear(Event::Answer(answer));
    }
}

/// Tells of a context's end.
pub(crate) fn ended(id: u32) {
    for ear in [TIME.get(), CALLS.get()].into_iter().flatten() {
        ear(Event::Ended(id));
    }
}
