//! Waiting for time to pass, over the ticks of the root context.
//!
//! A root has one tick. It is set to what the first of its waits still needs, and switched off by a
//! tick that finds nobody waiting.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::entry::roots;
use crate::host;
use crate::status::HostError;
use crate::tasks;
use crate::tasks::events::{self, Ear, Event};

pub use self::interval::{Interval, interval};
pub use self::timeout::{TimeoutError, timeout};

mod interval;
mod timeout;

const MILLISECOND: u64 = 1_000_000;

/// How much later than asked for a tick may come before it is asked for again, in nanoseconds.
const PATIENCE: u64 = 1_000 * MILLISECOND;

/// How much time may pass from one look at the clock to the next, in nanoseconds: a day. A clock that
/// says more has been set, and must not bring time to its end.
const LARGEST_STEP: u64 = 86_400_000 * MILLISECOND;

thread_local! {
    static TIMERS: RefCell<Timers> = const { RefCell::new(Timers::new()) };
}

/// Waits for `duration`, to the millisecond. Nothing passes for no time at all.
///
/// The wait begins when the future is first polled. In a stream it needs
/// [`Phases::WAITS`](crate::Phases::WAITS), in the `run` of a filter [`Phases::BESIDE`](crate::Phases::BESIDE). It ends early where the host's clock is set forward
/// meanwhile: the host tells the time of day only.
///
/// ```
/// use std::time::Duration;
/// use attache::{Error, sleep};
///
/// async fn soon() -> Result<(), Error> {
///     sleep(Duration::from_millis(20)).await?;
///     Ok(())
/// }
/// ```
///
/// # Errors
///
/// A [`HostError`] when the host refuses to tick.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep(State::Fresh(duration))
}

/// The future of [`sleep`].
///
/// ```
/// use std::time::Duration;
/// use attache::together::{Either, select};
/// use attache::{Sleep, sleep};
///
/// /// Whether the work is done in time.
/// async fn in_time(work: impl Future<Output = ()>) -> bool {
///     let pause: Sleep = sleep(Duration::from_millis(50));
///     matches!(select(work, pause).await, Either::Left(()))
/// }
/// ```
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep(State);

enum State {
    Fresh(Duration),
    Waiting(Wait),
    Over,
}

/// Where a wait stands in the table of timers.
#[derive(Clone, Copy)]
struct Wait {
    root: u32,
    /// When it is over, and a number that makes it unique.
    key: (u64, u64),
}

impl Future for Sleep {
    type Output = Result<(), HostError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0 {
            State::Fresh(duration) if duration.is_zero() => {}
            State::Fresh(duration) => {
                let begun =
                    TIMERS.with_borrow_mut(|timers| timers.begin(duration, context.waker()));
                match begun {
                    Ok(wait) => {
                        self.0 = State::Waiting(wait);
                        return Poll::Pending;
                    }
                    Err(refusal) => {
                        self.0 = State::Over;
                        return Poll::Ready(Err(refusal));
                    }
                }
            }
            State::Waiting(wait) => {
                // The waker before is dropped here, where the table is free again: what that runs
                // may wait, too.
                let before = TIMERS.with_borrow_mut(|timers| timers.renew(wait, context.waker()));
                if before.is_some() {
                    return Poll::Pending;
                }
            }
            State::Over => {}
        }
        self.0 = State::Over;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let State::Waiting(wait) = self.0 {
            // The tick stays as it is: when it comes, it looks for who waits then.
            let waker = TIMERS.with_borrow_mut(|timers| timers.cancel(wait));
            drop(waker);
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sleep").finish_non_exhaustive()
    }
}

/// Time since an arbitrary moment, which never goes back, whatever is done to the host's clock.
pub(crate) fn now() -> Duration {
    Duration::from_nanos(TIMERS.with_borrow_mut(Timers::now))
}

/// From now on, hears of ticks, and asks for them where they are needed.
///
/// Envoy 1.40 keeps the periods of a VM's roots in a table and holds on to it while a root ticks. A root that
/// asks for its first period then, because that tick lets a stream go on, may make the table grow, and Envoy
/// reads what it has freed. So all roots have their place from the first wait on, when nobody ticks yet: a
/// period of 0 makes it, and asks for nothing.
pub(crate) fn listen() {
    if events::hear(Ear::Time, hear) {
        take_places(|_| false);
    }
}

/// Makes the places of the roots that have none in the host's table. One root alone needs none: nobody ticks where
/// it asks for its first period. Where a place is refused, so is the wait that comes later.
fn take_places(has_waited: impl Fn(u32) -> bool) {
    let roots = roots();
    if roots.len() > 1 {
        for root in roots.into_iter().filter(|&root| !has_waited(root)) {
            let _ = tasks::within(root, || host::timers::set_tick_period(0));
        }
    }
}

/// Without a host nothing is configured.
#[cfg(not(target_arch = "wasm32"))]
const fn roots() -> Vec<u32> {
    Vec::new()
}

fn hear(event: Event) {
    let woken = match event {
        Event::Tick(root) => TIMERS.with_borrow_mut(|timers| timers.tick(root)),
        // It has its tick where it has waited.
        Event::Configured => TIMERS.with_borrow(|timers| {
            take_places(|root| timers.roots.contains_key(&root));
            Vec::new()
        }),
        Event::Ended(context) => TIMERS.with_borrow_mut(|timers| timers.end(context)),
        Event::Left(root) => {
            TIMERS.with_borrow_mut(|timers| timers.hurry(root));
            Vec::new()
        }
        Event::Answer(_) => Vec::new(),
    };
    woken.into_iter().for_each(Waker::wake);
}

struct Timers {
    /// What the host's clock said last.
    wall: Option<u64>,
    /// Nanoseconds that have passed, as far as is known.
    now: u64,
    number: u64,
    roots: BTreeMap<u32, Ticker>,
}

/// The tick of one root.
#[derive(Default)]
struct Ticker {
    /// When the tick is to come, if one was asked for.
    armed: Option<u64>,
    waiting: BTreeMap<(u64, u64), Waker>,
}

impl Timers {
    const fn new() -> Self {
        Self {
            wall: None,
            now: 0,
            number: 0,
            roots: BTreeMap::new(),
        }
    }

    fn now(&mut self) -> u64 {
        if let Ok(wall) = host::surroundings::time() {
            let passed = self.wall.map_or(0, |before| wall.saturating_sub(before));
            let passed = passed.min(LARGEST_STEP);
            self.now = self.now.saturating_add(passed);
            self.wall = Some(wall);
        }
        self.now
    }

    /// Begins a wait of the future that runs now.
    fn begin(&mut self, duration: Duration, waker: &Waker) -> Result<Wait, HostError> {
        listen();
        let now = self.now();
        let span = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.number += 1;
        let wait = Wait {
            root: tasks::current_root(),
            key: (now.saturating_add(span), self.number),
        };
        let ticker = self.roots.entry(wait.root).or_default();
        ticker.waiting.insert(wait.key, tasks::copied(waker));
        if let Err(refusal) = ticker.arm(now) {
            ticker.waiting.remove(&wait.key);
            return Err(refusal);
        }
        Ok(wait)
    }

    /// While a wait goes on, makes `waker` the one to wake, and hands over the one before.
    fn renew(&mut self, wait: Wait, waker: &Waker) -> Option<Waker> {
        let known = self.roots.get_mut(&wait.root)?.waiting.get_mut(&wait.key)?;
        Some(std::mem::replace(known, waker.clone()))
    }

    fn cancel(&mut self, wait: Wait) -> Option<Waker> {
        self.roots.get_mut(&wait.root)?.waiting.remove(&wait.key)
    }

    /// Those whose wait is over. Host calls act on the root.
    fn tick(&mut self, root: u32) -> Vec<Waker> {
        let now = self.now();
        let Some(ticker) = self.roots.get_mut(&root) else {
            // A tick that nobody asked for. It repeats, unless the host is told otherwise.
            let _ = host::timers::set_tick_period(0);
            return Vec::new();
        };
        // The host's clock may have been set back, or may not be readable: a tick says that the
        // time has come all the same.
        let now = ticker.armed.map_or(now, |due| now.max(due));
        self.now = now;
        let later = ticker.waiting.split_off(&(now, u64::MAX));
        let over = std::mem::replace(&mut ticker.waiting, later);
        // Where the host refuses, it goes on ticking as before.
        let _ = ticker.rearm(now);
        over.into_values().collect()
    }

    /// Asks for a tick as soon as can be. The effective context is of `root`.
    fn hurry(&mut self, root: u32) {
        let due = self.now().saturating_add(MILLISECOND);
        let ticker = self.roots.entry(root).or_default();
        // Where the host refuses, the next callback has to do.
        if ticker.armed.is_none_or(|armed| armed > due) && host::timers::set_tick_period(1).is_ok()
        {
            ticker.armed = Some(due);
        }
    }

    fn end(&mut self, context: u32) -> Vec<Waker> {
        let ended = self.roots.remove(&context);
        ended.map_or_else(Vec::new, |ticker| ticker.waiting.into_values().collect())
    }
}

impl Ticker {
    /// Asks for a tick where none is to come in time.
    fn arm(&mut self, now: u64) -> Result<(), HostError> {
        let Some(&(due, _)) = self.waiting.keys().next() else {
            return Ok(());
        };
        let in_time = self.armed.is_some_and(|armed| {
            armed < due.saturating_add(MILLISECOND) && now < armed.saturating_add(PATIENCE)
        });
        if in_time {
            return Ok(());
        }
        self.rearm(now)
    }

    /// Asks for the tick that the first of those who wait needs, or for none.
    fn rearm(&mut self, now: u64) -> Result<(), HostError> {
        let Some(&(due, _)) = self.waiting.keys().next() else {
            self.armed = None;
            return host::timers::set_tick_period(0);
        };
        let milliseconds = due.saturating_sub(now).div_ceil(MILLISECOND).max(1);
        // A longer wait is cut into several: when the tick comes, the rest is asked for.
        let period = u32::try_from(milliseconds).unwrap_or(u32::MAX).min(LONGEST);
        host::timers::set_tick_period(period)?;
        self.armed = Some(now.saturating_add(u64::from(period) * MILLISECOND));
        Ok(())
    }
}

/// The longest period to ask for, in milliseconds: a host may read the number as a signed one.
const LONGEST: u32 = i32::MAX.cast_unsigned();

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::host::double::{self, Answer};

    const ROOT: u32 = 1;

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        let mut context = Context::from_waker(Waker::noop());
        tasks::callback(ROOT, 2, || future.poll(&mut context))
    }

    fn tick() {
        tasks::callback(ROOT, ROOT, || events::ticked(ROOT));
    }

    #[test]
    fn any_answer_of_the_host_is_a_wait_or_an_error() {
        for answer in double::hostile() {
            double::answer([answer.clone()]);
            let mut wait = pin!(sleep(Duration::from_millis(5)));
            match poll(wait.as_mut()) {
                Poll::Ready(outcome) => assert!(outcome.is_err(), "{answer:?}"),
                Poll::Pending => {
                    tick();
                    assert_eq!(poll(wait), Poll::Ready(Ok(())), "{answer:?}");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_back_delays_nobody() {
        let hour = 3_600_000 * MILLISECOND;
        double::answer([Answer::ok().number(2 * hour)]);
        let mut wait = pin!(sleep(Duration::from_millis(5)));
        assert!(poll(wait.as_mut()).is_pending());
        double::answer([Answer::ok().number(hour)]);
        tick();
        assert_eq!(poll(wait), Poll::Ready(Ok(())));
    }

    #[test]
    fn the_longest_wait_is_cut_to_what_a_host_can_count() {
        double::answer([Answer::ok()]);
        let mut wait = pin!(sleep(Duration::MAX));
        assert!(poll(wait.as_mut()).is_pending());
        let period = double::made().pop().map(|call| call.bytes);
        assert_eq!(period, Some(LONGEST.to_le_bytes().to_vec()));
        tick();
        assert!(poll(wait).is_pending());
    }

    #[test]
    fn a_tick_that_finds_nobody_is_the_last() {
        double::answer([Answer::ok()]);
        {
            let mut wait = pin!(sleep(Duration::from_millis(5)));
            assert!(poll(wait.as_mut()).is_pending());
        }
        tick();
        let last = double::made().pop().map(|call| (call.name, call.bytes));
        let stopped = ("proxy_set_tick_period_milliseconds", vec![0; 4]);
        assert_eq!(last, Some(stopped));
    }
}
