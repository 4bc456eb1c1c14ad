//! Futures that wait: which context the host acts on, who was woken, and the turn they get.
//!
//! A module has one thread, so all of this is thread-local.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use crate::host;
use crate::status::HostError;
use crate::stream::Stream;

/// How many woken futures get a turn at the end of one callback. The rest wait for the next one:
/// a future that always wakes itself must not hold a worker of Envoy.
const TURNS_A_CALLBACK: usize = 1_000;

thread_local! {
    /// The context that the host called for.
    static CALLED: Cell<u32> = const { Cell::new(0) };
    /// The context that host calls act on now.
    static EFFECTIVE: Cell<u32> = const { Cell::new(0) };
    static WOKEN: RefCell<VecDeque<Arc<StreamWaker>>> = const { RefCell::new(VecDeque::new()) };
    /// Streams whose future may be woken by others.
    static WAITING: RefCell<BTreeMap<u32, Rc<Stream>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Runs a callback of the host for context `id`, then gives the woken futures their turn.
pub(crate) fn callback<R>(id: u32, body: impl FnOnce() -> R) -> R {
    CALLED.set(id);
    EFFECTIVE.set(id);
    let result = body();
    for _ in 0..TURNS_A_CALLBACK {
        let Some(woken) = WOKEN.with_borrow_mut(VecDeque::pop_front) else {
            break;
        };
        woken.queued.store(false, Ordering::Relaxed);
        let stream = WAITING.with_borrow(|waiting| waiting.get(&woken.stream).cloned());
        if let Some(stream) = stream {
            stream.turn();
        }
    }
    result
}

/// Runs `body` with host calls acting on context `id`, and restores the one before.
pub(crate) fn within<R>(id: u32, body: impl FnOnce() -> R) -> Result<R, HostError> {
    let before = EFFECTIVE.get();
    if before == id {
        return Ok(body());
    }
    act_on(id)?;
    let result = body();
    act_on(before)?;
    Ok(result)
}

fn act_on(id: u32) -> Result<(), HostError> {
    // 0 is the context called for: that one may be on its way out, so that the host no longer
    // knows it by its id.
    host::set_effective_context(if id == CALLED.get() { 0 } else { id })?;
    EFFECTIVE.set(id);
    Ok(())
}

/// Remembers a stream whose future may be woken from another callback.
pub(crate) fn register(id: u32, stream: &Rc<Stream>) {
    WAITING.with_borrow_mut(|waiting| waiting.insert(id, Rc::clone(stream)));
}

/// Forgets it. A later wake of its future does nothing: ids are never used twice in one VM.
pub(crate) fn forget(id: u32) {
    // The entry is dropped after the table is released: dropping a future runs the filter's code.
    let entry = WAITING.with_borrow_mut(|waiting| waiting.remove(&id));
    drop(entry);
}

/// A waker for the future of stream `id`.
pub(crate) fn waker(id: u32) -> Waker {
    Waker::from(Arc::new(StreamWaker {
        stream: id,
        queued: AtomicBool::new(false),
    }))
}

struct StreamWaker {
    stream: u32,
    queued: AtomicBool,
}

impl Wake for StreamWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            WOKEN.with_borrow_mut(|woken| woken.push_back(Arc::clone(self)));
        }
    }
}
