//! Futures that wait: which context the host acts on, who was woken, and the turn they get.
//!
//! A module has one thread, so all of this is thread-local.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use self::table::{Key, Table};
use crate::host;
use crate::status::HostError;

pub(crate) mod events;
pub(crate) mod root;
mod table;

/// How many woken futures get a turn at the end of one callback. The rest wait for the next one, and
/// a tick is asked for where the module has ticks: a future that always wakes itself must not hold a
/// worker of Envoy.
const TURNS_A_CALLBACK: usize = 1_000;

thread_local! {
    /// The context that the host called for.
    static CALLED: Cell<u32> = const { Cell::new(0) };
    /// The context that host calls act on now.
    static EFFECTIVE: Cell<u32> = const { Cell::new(0) };
    /// The root of the context whose future runs now: ticks are a root's.
    static ROOT: Cell<u32> = const { Cell::new(0) };
    /// The context that `proxy-wasm` would register a call-out for; 0 when nobody knows.
    static REGISTRANT: Cell<u32> = const { Cell::new(0) };
    static WOKEN: RefCell<VecDeque<Arc<TaskWaker>>> = const { RefCell::new(VecDeque::new()) };
    /// Whether there is one: mostly there is none. In a module without a waker that may set it, the
    /// compiler sees that, and leaves out all that is done for woken futures.
    static ANY_WOKEN: Cell<bool> = const { Cell::new(false) };
    /// What the host shows of the request whose future runs now.
    static REQUEST: Cell<Shown> = const { Cell::new(Shown::Nothing) };
    /// The stream that was the last to wait for what it will not hear of.
    static UNHEARD: Cell<u32> = const { Cell::new(0) };
    /// What may be woken from another callback.
    static WAITING: RefCell<Table> = const { RefCell::new(Table::new()) };
}

/// The waker of what is polled in its own callbacks only. In one place: what `Waker::noop` answers is
/// another one wherever it is compiled in, and two that look different are cloned and woken.
static NOBODY: &Waker = Waker::noop();

/// A copy of the waker of a future, for what is told of outside of the callbacks of its stream. A stream that is polled in
/// those only is noted: it would wait for ever.
pub(crate) fn copied(waker: &Waker) -> Waker {
    if waker.will_wake(NOBODY) {
        UNHEARD.set(EFFECTIVE.get());
    }
    waker.clone()
}

/// Forgets what was noted: what a stream waits for is told anew in each of its polls, or was told before.
pub(crate) fn hear_anew() {
    UNHEARD.set(0);
}

/// Whether a stream that is polled in its own callbacks only has begun to wait for something else.
pub(crate) fn is_unheard(id: u32) -> bool {
    UNHEARD.get() == id
}

/// What the host shows of a request's headers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shown {
    /// There is no stream, or its request has gone on.
    Nothing,
    /// What came, with what filters before have made of it.
    Coming,
    /// The access log is written: what went out.
    Logged,
}

/// What has a future that may be woken from another callback.
pub(crate) trait Task {
    /// The root that it belongs to.
    fn root(&self) -> u32;

    /// Polls the future, because it was woken.
    fn turn(&self);
}

/// Runs a callback of the host for context `id` of root `root`, which is `id` where the callback is
/// the root's own, then gives the woken futures their turn.
pub(crate) fn callback<R>(root: u32, id: u32, body: impl FnOnce() -> R) -> R {
    enter(root, id, id, id, body)
}

/// Runs the callback that deletes context `id`: there, `proxy-wasm` still registers call-outs for
/// whatever context was called last.
pub(crate) fn deletion<R>(root: u32, id: u32, body: impl FnOnce() -> R) -> R {
    enter(root, id, id, 0, || {
        let result = body();
        events::ended(id);
        result
    })
}

/// Runs a callback that brings the answer to a call-out: the host calls for the root, and
/// `proxy-wasm` has made effective the context `id` that the call was registered for.
pub(crate) fn answer<R>(root: u32, id: u32, body: impl FnOnce() -> R) -> R {
    enter(root, root, id, id, body)
}

fn enter<R>(
    root: u32,
    called: u32,
    effective: u32,
    registrant: u32,
    body: impl FnOnce() -> R,
) -> R {
    CALLED.set(called);
    EFFECTIVE.set(effective);
    ROOT.set(root);
    REGISTRANT.set(registrant);
    let result = body();
    if ANY_WOKEN.get() && turns() {
        let ends = registrant == 0 && called == root;
        if !ends {
            events::left(root);
        }
    }
    result
}

/// Gives woken futures their turn; whether any are left.
#[inline(never)]
fn turns() -> bool {
    for _ in 0..TURNS_A_CALLBACK {
        let Some(woken) = WOKEN.with_borrow_mut(VecDeque::pop_front) else {
            ANY_WOKEN.set(false);
            return false;
        };
        woken.queued.store(false, Ordering::Relaxed);
        let task = WAITING.with_borrow(|waiting| waiting.get(woken.key));
        if let Some(task) = task {
            ROOT.set(task.root());
            task.turn();
        }
    }
    let is_left = WOKEN.with_borrow(|woken| !woken.is_empty());
    if !is_left {
        ANY_WOKEN.set(false);
    }
    is_left
}

/// Runs `body` with host calls acting on context `id`, and restores the one before.
pub(crate) fn within<R>(id: u32, body: impl FnOnce() -> R) -> Result<R, HostError> {
    let before = switch(id)?;
    let result = body();
    switch_back(before)?;
    Ok(result)
}

/// Has host calls act on context `id`; what they acted on before, if that was another.
#[inline]
pub(crate) fn switch(id: u32) -> Result<Option<u32>, HostError> {
    let before = EFFECTIVE.get();
    if before == id {
        return Ok(None);
    }
    act_on(id)?;
    Ok(Some(before))
}

/// Has host calls act again on what they acted on before.
#[inline]
pub(crate) fn switch_back(before: Option<u32>) -> Result<(), HostError> {
    before.map_or(Ok(()), act_on)
}

#[inline(never)]
fn act_on(id: u32) -> Result<(), HostError> {
    // 0 is the context called for: that one may be on its way out, so that the host no longer
    // knows it by its id.
    host::set_effective_context(if id == CALLED.get() { 0 } else { id })?;
    EFFECTIVE.set(id);
    Ok(())
}

/// Notes what the host shows of the request whose future is polled next.
pub(crate) fn show_request(shown: Shown) {
    REQUEST.set(shown);
}

/// What the host shows of the request whose future runs now.
pub(crate) fn request() -> Shown {
    REQUEST.get()
}

/// The context that host calls act on now.
pub(crate) fn effective() -> u32 {
    EFFECTIVE.get()
}

/// The root of the future that runs now.
pub(crate) fn current_root() -> u32 {
    ROOT.get()
}

/// The context that a call-out made now would be answered through; `None` where that context may
/// end before the future that makes the call. `proxy-wasm` keeps the context of the last callback
/// with each call, and drops what arrives after that one's end.
pub(crate) fn registrant() -> Option<u32> {
    let registrant = REGISTRANT.get();
    let lasts = registrant == EFFECTIVE.get() || registrant == ROOT.get();
    (registrant != 0 && lasts).then_some(registrant)
}

/// A task's place among those that may be woken from another callback, if it may, and what wakes it.
pub(crate) struct Place(Option<(Key, Waker)>);

impl Place {
    /// That of a task which is polled in its own callbacks only. A module in which all are such lacks what
    /// wakes others.
    pub(crate) const NONE: Self = Self(None);

    /// The context of a poll of the task's future.
    pub(crate) fn context(&self) -> Context<'_> {
        Context::from_waker(self.waker())
    }

    pub(crate) fn waker(&self) -> &Waker {
        self.0.as_ref().map_or(NOBODY, |(_, waker)| waker)
    }

    /// Gives the place up. A later wake of the task's future does nothing.
    #[inline]
    pub(crate) fn leave(&self) {
        if let &Some((key, _)) = &self.0 {
            free(key);
        }
    }
}

#[inline(never)]
fn free(key: Key) {
    // Dropped after the table is released: dropping a future runs the filter's code.
    let entry = WAITING.with_borrow_mut(|waiting| waiting.free(key));
    drop(entry);
}

/// Makes a task that may be woken from another callback.
pub(crate) fn waiting<T: Task + 'static>(make: impl FnOnce(Place) -> T) -> Rc<T> {
    let key = WAITING.with_borrow_mut(Table::reserve);
    let task = Rc::new(make(Place(Some((key, waker(key))))));
    let waiting: Rc<dyn Task> = Rc::<T>::clone(&task);
    WAITING.with_borrow_mut(|all| all.put(key, waiting));
    task
}

/// A waker for the future of a task.
fn waker(key: Key) -> Waker {
    Waker::from(Arc::new(TaskWaker {
        key,
        queued: AtomicBool::new(false),
    }))
}

struct TaskWaker {
    key: Key,
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            WOKEN.with_borrow_mut(|woken| woken.push_back(Arc::clone(self)));
            ANY_WOKEN.set(true);
        }
    }
}
