//! Times and durations, in nanoseconds. Envoy reads and writes them by Abseil's functions.

mod text;
mod zone;

pub(super) use self::text::{duration_as_text, time_as_text};

use super::fault::Fault;
use super::functions::TimePart;
use super::syntax::Operator;
use super::value::Value;

pub(super) const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const HOUR: i128 = 60 * MINUTE;
const DAY: i128 = 24 * HOUR;

/// `infinite-future`; its negative is `infinite-past`.
const NEVER: i128 = i128::MAX;
/// The longest duration that may be written, 10,000 years.
const LONGEST: i128 = 315_576_000_000 * SECOND;

/// What a guest gets: 64 bits, of which the last says that there is more.
pub(super) fn saturated(time: i128) -> i64 {
    let bounded = time.clamp(i64::MIN.into(), i64::MAX.into());
    i64::try_from(bounded).unwrap_or(i64::MAX)
}

pub(super) fn duration<'a>(of: &Value<'a>) -> Result<Value<'a>, Fault> {
    match of {
        Value::Duration(_) => Ok(of.clone()),
        Value::String(text) => {
            let duration = text::duration(text)?;
            if duration.abs() > LONGEST {
                return Err(Fault::Error);
            }
            Ok(Value::Duration(duration))
        }
        _ => Err(Fault::Error),
    }
}

pub(super) fn timestamp<'a>(of: &Value<'a>) -> Result<Value<'a>, Fault> {
    match of {
        Value::Time(_) => Ok(of.clone()),
        Value::Int(seconds) => Ok(Value::Time(i128::from(*seconds) * SECOND)),
        Value::String(text) => text::time(text).map(Value::Time),
        _ => Err(Fault::Error),
    }
}

/// Sums and differences.
pub(super) fn arithmetic<'a>(
    operator: Operator,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Result<Value<'a>, Fault> {
    let endless = |time: i128| time.abs() == NEVER;
    Ok(match (operator, left, right) {
        (Operator::Add, Value::Duration(left), Value::Duration(right)) => {
            Value::Duration(left + right)
        }
        (Operator::Subtract, Value::Duration(left), Value::Duration(right)) => {
            Value::Duration(left - right)
        }
        (Operator::Subtract, Value::Time(left), Value::Time(right)) => {
            if endless(*left) || endless(*right) {
                return Err(Fault::unknown("a difference to an infinite time"));
            }
            Value::Duration(left - right)
        }
        (Operator::Add, Value::Time(time), Value::Duration(duration))
        | (Operator::Add, Value::Duration(duration), Value::Time(time)) => {
            Value::Time(time.saturating_add(if endless(*time) { 0 } else { *duration }))
        }
        (Operator::Subtract, Value::Time(time), Value::Duration(duration)) => {
            Value::Time(time.saturating_sub(if endless(*time) { 0 } else { *duration }))
        }
        _ => return Err(Fault::Error),
    })
}

/// A part of a time in a zone, UTC unless given, or of a duration.
pub(super) fn part<'a>(
    part: TimePart,
    of: &Value<'a>,
    zone: Option<&[u8]>,
) -> Result<Value<'a>, Fault> {
    let number = match (of, zone) {
        (Value::Duration(time), None) => match part {
            TimePart::Hours => time / HOUR,
            TimePart::Minutes => time / MINUTE,
            TimePart::Seconds => time / SECOND,
            TimePart::Milliseconds => time % SECOND / 1_000_000,
            _ => return Err(Fault::Error),
        },
        (Value::Time(time), _) => {
            let offset = zone.map(zone::offset).transpose()?.unwrap_or_default();
            if time.abs() == NEVER && part == TimePart::FullYear && zone.is_none() {
                return Ok(Value::Int(if *time > 0 { i64::MAX } else { i64::MIN }));
            }
            if time.abs() == NEVER {
                return Err(Fault::unknown("a part of an infinite time"));
            }
            part_of_time(part, time + offset)
        }
        _ => return Err(Fault::Error),
    };
    i64::try_from(number)
        .map(Value::Int)
        .map_err(|_| Fault::Error)
}

fn part_of_time(part: TimePart, time: i128) -> i128 {
    let days = time.div_euclid(DAY);
    let (year, month, day) = date(days);
    match part {
        TimePart::FullYear => year,
        TimePart::Month => month - 1,
        TimePart::DayOfMonth => day - 1,
        TimePart::Date => day,
        TimePart::DayOfYear => days - days_before(year, 1, 1),
        // The first day of 1970 was a Thursday.
        TimePart::DayOfWeek => (days + 4).rem_euclid(7),
        TimePart::Hours => time.div_euclid(HOUR).rem_euclid(24),
        TimePart::Minutes => time.div_euclid(MINUTE).rem_euclid(60),
        TimePart::Seconds => time.div_euclid(SECOND).rem_euclid(60),
        TimePart::Milliseconds => time.div_euclid(1_000_000).rem_euclid(1000),
    }
}

/// Days from 1970 to a date. Years begin in March here, so that the day that leap years add is the
/// last one.
fn days_before(year: i128, month: i128, day: i128) -> i128 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day that is so many days after the first of 1970.
fn date(days: i128) -> (i128, i128, i128) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i128::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (-719_162, (1, 1, 1)),
            (2_932_896, (9999, 12, 31)),
        ] {
            assert_eq!(date(days), expected);
            assert_eq!(days_before(expected.0, expected.1, expected.2), days);
        }
    }
}
