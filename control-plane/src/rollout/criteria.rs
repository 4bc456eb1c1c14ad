use std::fmt;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A group that tries a version before the others.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Canary {
    /// The group.
    pub group: String,
    /// How long its Envoys are watched, once every worker of them runs the version.
    #[serde(rename = "for", with = "time")]
    pub watched_for: Duration,
}

/// What makes a version fail that is with Envoys. Counters are those of all Envoys that have it, from the
/// moment at which it was sent to them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Criteria {
    /// Every worker of an Envoy has to run the version so long after it was sent there.
    #[serde(with = "time")]
    pub not_confirmed_within: Duration,
    /// How long after that it may still fail.
    #[serde(with = "time")]
    pub watched_for: Duration,
    /// The share of answers with a status of 5xx grows by more than so many hundredths.
    pub server_errors_percent: u32,
    /// Errors of the filter and restarts of its VM: so many fail it.
    pub plugin_failures: u64,
    /// So many Envoys ended or went away with it, and were not back within `not_confirmed_within`: 0 for never.
    pub envoys_lost: u64,
    /// An Envoy's 99th percentile of the time of requests is above this.
    #[serde(with = "optional_time")]
    pub p99_above: Option<Duration>,
}

impl Default for Criteria {
    fn default() -> Self {
        Self {
            not_confirmed_within: Duration::from_secs(10),
            watched_for: Duration::from_secs(10),
            server_errors_percent: 5,
            plugin_failures: 1,
            envoys_lost: 1,
            p99_above: None,
        }
    }
}

/// A text such as `200ms`, `30s`, `5m`, `1h`.
struct Time(Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let fault = || {
            D::Error::custom(format!(
                "`{text}` is no time; it looks like `200ms`, `30s`, `5m` or `1h`"
            ))
        };
        let end = text.find(|one: char| !one.is_ascii_digit());
        let (number, unit) = text.split_at(end.ok_or_else(fault)?);
        let milliseconds: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(fault()),
        };
        let number: u64 = number.parse().map_err(|_| fault())?;
        let all = number.checked_mul(milliseconds).ok_or_else(fault)?;
        Ok(Self(Duration::from_millis(all)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0.as_millis())
    }
}

mod time {
    use super::{Deserialize, Deserializer, Duration, Serializer, Time};

    pub(super) fn serialize<S: Serializer>(
        time: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Time(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        Time::deserialize(deserializer).map(|time| time.0)
    }
}

mod optional_time {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, Time};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| Time(time).to_string())
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<Time>::deserialize(deserializer).map(|time| time.map(|time| time.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let text = r#"{"group":"g","for":"5m"}"#;
        let canary: Canary = serde_json::from_str(text).unwrap();
        assert_eq!(canary.watched_for, Duration::from_secs(300));
        let written = serde_json::to_string(&canary).unwrap();
        assert_eq!(written, r#"{"group":"g","for":"300000ms"}"#);
        for time in ["5", "m", "5 m", "-5s", "99999999999999999h"] {
            let text = format!(r#"{{"group":"g","for":"{time}"}}"#);
            let error = serde_json::from_str::<Canary>(&text).unwrap_err();
            assert!(error.to_string().contains("is no time"), "{error}");
        }
    }

    #[test]
    fn criteria_have_defaults_that_can_be_said_one_by_one() {
        let criteria: Criteria = serde_json::from_str(r#"{"p99_above":"50ms"}"#).unwrap();
        assert_eq!(criteria.p99_above, Some(Duration::from_millis(50)));
        assert_eq!(criteria.plugin_failures, 1);
    }
}
