use std::fmt;
use std::ops::Add;
use std::time::Duration;

use crate::error::Error;
use crate::host::surroundings;

/// A moment by the clock of the proxy's system, in nanoseconds since 1970.
///
/// `std::time::SystemTime::now` panics in a module for wasm32-unknown-unknown, so this takes its
/// place. The clock may be set back: what must not be fooled by that compares with
/// [`since`](Self::since), which is zero then.
///
/// ```
/// use std::time::Duration;
/// use attache::Timestamp;
///
/// let opened = Timestamp::from_unix(Duration::from_secs(1_700_000_000));
/// let closed = opened + Duration::from_millis(1_500);
/// assert_eq!(closed.since(opened), Duration::from_millis(1_500));
/// assert_eq!(opened.since(closed), Duration::ZERO);
/// assert_eq!(closed.unix().as_secs(), 1_700_000_001);
/// ```
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Now. One host call: a callback that needs the time in several places asks once.
    ///
    /// ```
    /// use std::time::Duration;
    /// use attache::{Error, Timestamp};
    ///
    /// /// Whether a token that is valid until then, in seconds since 1970, still is.
    /// fn is_valid(expires: u64) -> Result<bool, Error> {
    ///     Ok(Timestamp::now()? < Timestamp::from_unix(Duration::from_secs(expires)))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when the host refuses, as one without the capability
    /// `proxy_get_current_time_nanoseconds` does.
    pub fn now() -> Result<Self, Error> {
        Ok(Self(surroundings::time()?))
    }

    /// A moment by its distance from 1970. The last one there is lies in the year 2554.
    #[must_use]
    pub fn from_unix(distance: Duration) -> Self {
        Self(u64::try_from(distance.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The distance from 1970.
    #[must_use]
    pub fn unix(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long `earlier` was ago; zero when it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    pub(crate) fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }
}

/// Ends at the last moment there is.
impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanoseconds))
    }
}

/// Seconds since 1970.
impl fmt::Debug for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unix = self.unix();
        write!(formatter, "{}.{:09}", unix.as_secs(), unix.subsec_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::double::{self, Answer};

    #[test]
    fn the_hosts_clock_is_asked_once() {
        double::answer([Answer::ok().number(1_700_000_000_123_456_789)]);
        let now = Timestamp::now().unwrap();
        assert_eq!(format!("{now:?}"), "1700000000.123456789");
        assert_eq!(double::calls(), ["proxy_get_current_time_nanoseconds"]);
    }

    #[test]
    fn moments_past_the_end_are_the_last_one() {
        let last = Timestamp::from_unix(Duration::MAX);
        assert_eq!(last + Duration::MAX, last);
        assert_eq!(last, Timestamp::from_nanoseconds(u64::MAX));
    }

    #[test]
    fn whatever_the_host_answers_is_a_time_or_an_error() {
        for answer in double::hostile() {
            let good = answer.status == 0;
            double::answer([answer]);
            assert_eq!(Timestamp::now().is_ok(), good);
        }
    }
}
