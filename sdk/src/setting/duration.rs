use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A length of time, written with its unit: `200ms`, `1.5s`, `2m`.
///
/// The units are `ns`, `us`, `ms`, `s`, `m` and `h`; a fraction is decimal and has at most nine digits.
/// Durations of Envoy's own configuration (`0.200s`) are written so too. A number alone is refused: no
/// reader knows its unit.
///
/// ```
/// use std::time::Duration;
/// use attache::setting;
///
/// let timeout: setting::Duration = "0.2s".parse()?;
/// assert_eq!(*timeout, Duration::from_millis(200));
/// assert_eq!(timeout.to_string(), "200ms");
/// # Ok::<(), attache::setting::DurationError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Duration(time::Duration);

/// A text that is no [`Duration`].
///
/// ```
/// use attache::setting::{Duration, DurationError};
///
/// let refused = "200".parse::<Duration>();
/// assert!(matches!(refused, Err(DurationError { .. })));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DurationError;

impl Duration {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(time::Duration::from_millis(millis))
    }

    /// So many seconds.
    ///
    /// ```
    /// use attache::setting;
    ///
    /// const INTERVAL: setting::Duration = setting::Duration::from_secs(90);
    /// assert_eq!(INTERVAL.to_string(), "90s");
    /// ```
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(time::Duration::from_secs(seconds))
    }
}

impl Deref for Duration {
    type Target = time::Duration;

    fn deref(&self) -> &time::Duration {
        &self.0
    }
}

impl From<time::Duration> for Duration {
    fn from(duration: time::Duration) -> Self {
        Self(duration)
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse(text).map(Self).ok_or(DurationError)
    }
}

fn parse(text: &str) -> Option<time::Duration> {
    let begin = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(begin)?;
    let unit: u128 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => NANOS_PER_SECOND,
        "m" => 60 * NANOS_PER_SECOND,
        "h" => 3_600 * NANOS_PER_SECOND,
        _ => return None,
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (number, "0"),
    };
    let places = u32::try_from(fraction.len())
        .ok()
        .filter(|&places| places <= 9)?;
    let whole = u128::from(digits(whole)?).checked_mul(unit)?;
    // What is finer than a nanosecond is cut off.
    let fraction = u128::from(digits(fraction)?).checked_mul(unit)? / 10_u128.pow(places);
    let nanos = whole.checked_add(fraction)?;
    let seconds = u64::try_from(nanos / NANOS_PER_SECOND).ok()?;
    let rest = u32::try_from(nanos % NANOS_PER_SECOND).ok()?;
    Some(time::Duration::new(seconds, rest))
}

/// A number without the sign that `parse` would take.
fn digits(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// In the largest unit that leaves no fraction.
impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let units = [
            ("h", 3_600 * NANOS_PER_SECOND),
            ("m", 60 * NANOS_PER_SECOND),
            ("s", NANOS_PER_SECOND),
            ("ms", 1_000_000),
            ("us", 1_000),
        ];
        let unit = units
            .into_iter()
            .find(|(_, unit)| nanos.is_multiple_of(*unit));
        let (name, unit) = match unit {
            _ if nanos == 0 => ("s", 1),
            Some(unit) => unit,
            None => ("ns", 1),
        };
        write!(formatter, "{}{name}", nanos / unit)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn schema_id() -> Cow<'static, str> {
        "attache::setting::Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^[0-9]+(\.[0-9]{1,9})?(ns|us|ms|s|m|h)$",
            "examples": ["200ms", "1.5s"],
        })
    }
}

impl fmt::Display for DurationError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not a duration with its unit, such as `200ms`, `1.5s` or `2m`")
    }
}

impl std::error::Error for DurationError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_decimal_number_with_its_unit() {
        for (text, nanos) in [
            ("200ms", 200_000_000),
            ("0.2s", 200_000_000),
            ("0.200000000s", 200_000_000),
            ("1.5s", 1_500_000_000),
            ("2m", 120_000_000_000),
            ("0.5h", 1_800_000_000_000),
            ("0s", 0),
            ("7us", 7_000),
            ("1.9ns", 1),
            ("007ns", 7),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.as_nanos(), nanos, "{text}");
        }
        let longest = "18446744073709551615s".parse::<Duration>().unwrap();
        assert_eq!(longest.as_secs(), u64::MAX);
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "200",
            "s",
            "ms",
            ".5s",
            "5.s",
            "-1s",
            "+1s",
            "1 s",
            " 1s",
            "1s ",
            "1S",
            "1d",
            "1e3s",
            "1.1234567890s",
            "1.5.5s",
            "1,5s",
            "1ms2s",
            "18446744073709551616s",
            "1µs",
            "١s",
            "0x1s",
            "18446744073709551615h",
        ] {
            assert_eq!(text.parse::<Duration>(), Err(DurationError), "{text}");
        }
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1500ns"),
            (500_000_000, "500ms"),
            (90_000_000_000, "90s"),
            (120_000_000_000, "2m"),
            (7_200_000_000_000, "2h"),
        ] {
            let duration = Duration::from(time::Duration::from_nanos(nanos));
            assert_eq!(duration.to_string(), text);
            assert_eq!(text.parse(), Ok(duration));
        }
    }
}
