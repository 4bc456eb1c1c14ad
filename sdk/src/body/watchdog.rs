//! Notices a host that shows no body while headers are held.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::Error;
use crate::tasks;
use crate::time::{Sleep, sleep};

/// How long headers are held without a look at the body, before that is a fault.
const PATIENCE: Duration = Duration::from_secs(5);

thread_local! {
    /// The roots that have been shown a body behind held headers: theirs say the option.
    static PROVEN: RefCell<BTreeSet<u32>> = const { RefCell::new(BTreeSet::new()) };
}

/// Runs while headers are held and nothing of the body has come. A module cannot read the option
/// `allow_on_headers_stop_iteration`; without it the stream would wait until some time limit of
/// Envoy's. Once a root has seen that it is set, a slow client is a slow client.
pub(super) struct Watchdog(Option<Sleep>);

impl Watchdog {
    pub(super) fn off() -> Self {
        Self(None)
    }

    pub(super) fn on() -> Self {
        let is_proven = PROVEN.with_borrow(|proven| proven.contains(&tasks::current_root()));
        Self((!is_proven).then(|| sleep(PATIENCE)))
    }

    /// Says that the host shows bodies.
    pub(super) fn rest(&mut self) {
        if self.0.take().is_some() {
            PROVEN.with_borrow_mut(|proven| proven.insert(tasks::current_root()));
        }
    }

    /// Whether the time is over.
    pub(super) fn look(&mut self, context: &mut Context<'_>) -> Result<(), Error> {
        let Some(sleep) = &mut self.0 else {
            return Ok(());
        };
        match Pin::new(sleep).poll(context) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(refusal)) => return Err(refusal.into()),
        }
        self.0 = None;
        Err(Error::misuse(
            "the host shows no body while headers are held: the plugin's configuration needs \
             `allow_on_headers_stop_iteration: true`",
        ))
    }
}
