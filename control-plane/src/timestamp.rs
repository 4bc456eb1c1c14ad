use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment, to the millisecond; written as in RFC 3339, in UTC.
///
/// ```
/// use attache_control_plane::Timestamp;
///
/// let moment: Timestamp = "2026-11-29T02:55:00.250Z".parse()?;
/// assert_eq!(moment.milliseconds(), 1_795_920_900_250);
/// assert_eq!(moment.to_string(), "2026-11-29T02:55:00.250Z");
/// # Ok::<_, attache_control_plane::TimestampError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(u64);

impl Timestamp {
    /// What the system's clock says.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let milliseconds = since.unwrap_or_default().as_millis();
        Self(u64::try_from(milliseconds).unwrap_or(u64::MAX))
    }

    /// So many milliseconds after the beginning of 1970.
    #[must_use]
    pub fn from_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the beginning of 1970.
    #[must_use]
    pub fn milliseconds(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; nothing if it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The moment that comes so much later.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(milliseconds))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0 / 86_400_000);
        let (of_day, rest) = (self.0 / 1_000 % 86_400, self.0 % 1_000);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:03}Z"
        )
    }
}

/// A text is no moment as this program writes it.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no moment; it looks like `2026-11-29T02:55:00.250Z`")]
#[non_exhaustive]
pub struct TimestampError {
    /// What was given.
    pub text: String,
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text).map(Self).ok_or_else(|| TimestampError {
            text: text.to_owned(),
        })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

fn read(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (time, rest) = time.split_once('.')?;
    let mut time = time.splitn(3, ':').map(|part| part.parse::<u64>().ok());
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    if rest.len() != 3 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * 1_000 + rest.parse::<u64>().ok()?)
}

/// The date of a day after the beginning of 1970
/// ([`civil_from_days`](https://howardhinnant.github.io/date_algorithms.html), whose years begin in March).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// The opposite of [`civil`].
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_written_and_read_alike() {
        for day in 0..40_000 {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
        let leap = Timestamp(1_709_164_800_001);
        assert_eq!(leap.to_string(), "2024-02-29T00:00:00.001Z");
        assert_eq!(leap.to_string().parse::<Timestamp>().unwrap(), leap);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2026-11-29",
            "2026-13-01T00:00:00.000Z",
            "2026-11-29T02:55:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
