//! The clock by which guest code is interrupted.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

/// How often the clock moves. A deadline is kept to within two of these.
const TICK: Duration = Duration::from_millis(20);

/// A thread that moves the engines' epochs for as long as somebody holds this.
#[derive(Debug)]
pub(crate) struct Ticker {
    /// Dropped with the last host: that ends the thread.
    _hosts: mpsc::Sender<()>,
}

impl Ticker {
    /// The ticker that runs, or a new one.
    pub(crate) fn shared(
        running: &Mutex<Weak<Self>>,
        tick: impl Fn() + Send + 'static,
    ) -> std::io::Result<Arc<Self>> {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticker) = running.upgrade() {
            return Ok(ticker);
        }
        let (hosts, ended) = mpsc::channel();
        thread::Builder::new()
            .name("harness-epoch".to_owned())
            .spawn(move || {
                while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                    tick();
                }
            })?;
        let ticker = Arc::new(Self { _hosts: hosts });
        *running = Arc::downgrade(&ticker);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_short() {
        assert_eq!(Ticker::ticks(Duration::ZERO), 1);
        assert_eq!(Ticker::ticks(TICK), 2);
        assert_eq!(Ticker::ticks(TICK + Duration::from_millis(1)), 3);
    }

    #[test]
    fn the_ticker_ends_with_the_last_who_holds_it() {
        let running = Mutex::default();
        let first = Ticker::shared(&running, || ()).expect("a thread");
        let second = Ticker::shared(&running, || ()).expect("the same");
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        assert!(running.lock().expect("unpoisoned").upgrade().is_none());
    }
}
