//! The clock by which guest code is interrupted.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often the clock moves. A deadline is kept to within two of these.
const TICK: Duration = Duration::from_millis(20);

/// For how many ticks the thread goes on when nobody needs it: a test makes its host when the one of the test
/// before is gone, and to start a thread for it takes as long as to start a VM.
const SPARE_TICKS: u32 = 50;

/// A thread that moves the engines' epochs for as long as somebody holds this, and a second more.
#[derive(Debug)]
pub(crate) struct Ticker(());

impl Ticker {
    /// The ticker that runs, or a new one.
    pub(crate) fn shared(
        running: &'static Mutex<Option<Arc<Self>>>,
        tick: impl Fn() + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        let mut place = running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticker) = &*place {
            return Ok(Arc::clone(ticker));
        }
        let ticker = Arc::new(Self(()));
        thread::Builder::new()
            .name("harness-epoch".to_owned())
            .spawn(move || {
                let mut idle = 0;
                while idle < SPARE_TICKS || !end(running) {
                    thread::sleep(TICK);
                    tick();
                    idle = if is_held(running) { 0 } else { idle + 1 };
                }
            })?;
        *place = Some(Arc::clone(&ticker));
        Ok(ticker)
    }

    /// The ticks after which at least this much time has passed.
    pub(crate) fn ticks(time: Duration) -> u64 {
        let ticks = time.as_millis().div_ceil(TICK.as_millis());
        u64::try_from(ticks)
            .unwrap_or(u64::MAX / 2)
            .saturating_add(1)
    }
}

/// Whether somebody needs the ticker beside the place that it is had from.
fn is_held(running: &Mutex<Option<Arc<Ticker>>>) -> bool {
    let place = running.lock().unwrap_or_else(PoisonError::into_inner);
    place
        .as_ref()
        .is_some_and(|ticker| Arc::strong_count(ticker) > 1)
}

/// Gives the place up; false where somebody has come in the meantime.
fn end(running: &Mutex<Option<Arc<Ticker>>>) -> bool {
    // Only under this lock does somebody come.
    let mut place = running.lock().unwrap_or_else(PoisonError::into_inner);
    let is_spare = place
        .as_ref()
        .is_none_or(|ticker| Arc::strong_count(ticker) == 1);
    if is_spare {
        *place = None;
    }
    is_spare
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_deadline_is_never_short() {
        assert_eq!(Ticker::ticks(Duration::ZERO), 1);
        assert_eq!(Ticker::ticks(TICK), 2);
        assert_eq!(Ticker::ticks(TICK + Duration::from_millis(1)), 3);
    }

    #[test]
    fn the_ticker_goes_on_for_the_next_and_ends_a_while_behind_the_last() {
        static RUNNING: Mutex<Option<Arc<Ticker>>> = Mutex::new(None);
        static TICKS: AtomicU32 = AtomicU32::new(0);
        let take = || {
            Ticker::shared(&RUNNING, || {
                TICKS.fetch_add(1, Ordering::Relaxed);
            })
            .expect("a thread")
        };
        let first = take();
        drop(first.clone());
        assert!(Arc::ptr_eq(&first, &take()));
        let number = Arc::as_ptr(&first);
        drop(first);
        // Beside other tests the second of grace may be over before this comes; then there is a new one.
        let second = take();
        let same = Arc::as_ptr(&second) == number;
        assert!(same || TICKS.load(Ordering::Relaxed) >= SPARE_TICKS);
        drop(second);
        let begun = Instant::now();
        while RUNNING.lock().expect("unpoisoned").is_some() {
            assert!(begun.elapsed() < Duration::from_secs(90), "it never ends");
            thread::sleep(TICK);
        }
        assert!(TICKS.load(Ordering::Relaxed) >= SPARE_TICKS);
    }
}
