use std::time::Duration;

use crate::timestamp::Timestamp;

/// When something happens: what the calendar says, which is for people, and how long this program has been
/// running, which decides. A clock that is set meanwhile ends no waiting time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moment {
    calendar: Timestamp,
    running: Duration,
}

impl Moment {
    /// At this time by the calendar, so long after this program began.
    #[must_use]
    pub fn new(calendar: Timestamp, running: Duration) -> Self {
        Self { calendar, running }
    }

    /// What the calendar says.
    #[must_use]
    pub fn calendar(self) -> Timestamp {
        self.calendar
    }

    /// How long after `earlier` this is; nothing if it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.running.saturating_sub(earlier.running)
    }

    /// Whether this is `later` or comes after it.
    #[must_use]
    pub fn has_reached(self, later: Self) -> bool {
        self.running >= later.running
    }

    /// The moment that comes so much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        Self {
            calendar: self.calendar.after(time),
            running: self.running.saturating_add(time),
        }
    }
}
