//! Times and durations as text.

use super::{DAY, HOUR, MINUTE, NEVER, SECOND, date, days_before};
use crate::expressions::fault::Fault;

/// `1h2m3.5s`: numbers with units, and one sign before all; `0` needs no unit.
pub(super) fn duration(text: &[u8]) -> Result<i128, Fault> {
    let text = str::from_utf8(text).map_err(|_| Fault::Error)?;
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(Fault::Error);
    }
    let mut sum = 0_i128;
    while !rest.is_empty() {
        let whole = digits(&mut rest);
        let mut fraction = "";
        if let Some(behind) = rest.strip_prefix('.') {
            rest = behind;
            fraction = digits(&mut rest);
        }
        if whole.is_empty() && fraction.is_empty() {
            return Err(Fault::Error);
        }
        let (unit, size) = UNITS
            .iter()
            .find(|(unit, _)| rest.starts_with(unit))
            .ok_or(Fault::Error)?;
        rest = &rest[unit.len()..];
        sum = sum.saturating_add(measured(whole, fraction, *size)?);
    }
    Ok(if negative { -sum } else { sum })
}

/// Longest first, where one begins as another.
const UNITS: [(&str, i128); 6] = [
    ("ns", 1),
    ("us", 1000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
];

fn digits<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest
        .find(|digit: char| !digit.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, behind) = rest.split_at(end);
    *rest = behind;
    digits
}

/// A number of units.
fn measured(whole: &str, fraction: &str, unit: i128) -> Result<i128, Fault> {
    if whole.len() > 18 {
        return Err(Fault::unknown("a duration of more than 18 digits"));
    }
    let fraction = fraction.trim_end_matches('0');
    let places = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    if places > 18 {
        return Err(Fault::unknown("a duration of more than 18 digits"));
    }
    let number = |digits: &str| digits.parse::<i128>().unwrap_or_default();
    let (part, scale) = (number(fraction) * unit, 10_i128.pow(places));
    if part % scale != 0 {
        return Err(Fault::unknown("a duration with less than a nanosecond"));
    }
    Ok(number(whole) * unit + part / scale)
}

/// Seconds with 0, 3, 6 or 9 places.
pub(in crate::expressions) fn duration_as_text(time: i128) -> String {
    let sign = if time < 0 { "-" } else { "" };
    let time = time.abs();
    format!("{sign}{}{}s", time / SECOND, places(time % SECOND))
}

fn places(nanoseconds: i128) -> String {
    if nanoseconds == 0 {
        String::new()
    } else if nanoseconds % 1_000_000 == 0 {
        format!(".{:03}", nanoseconds / 1_000_000)
    } else if nanoseconds % 1000 == 0 {
        format!(".{:06}", nanoseconds / 1000)
    } else {
        format!(".{nanoseconds:09}")
    }
}

/// By RFC 3339, in UTC; none for a year that is not one to 9999.
pub(in crate::expressions) fn time_as_text(time: i128) -> Option<String> {
    if time.abs() == NEVER {
        return None;
    }
    let (year, month, day) = date(time.div_euclid(DAY));
    if !(1..=9999).contains(&year) {
        return None;
    }
    let of_day = time.rem_euclid(DAY);
    let (hour, minute) = (of_day / HOUR, of_day / MINUTE % 60);
    let second = of_day / SECOND % 60;
    let places = places(of_day % SECOND);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{places}Z"
    ))
}

/// By RFC 3339, read generously: numbers may be short, and white space may stand around.
pub(super) fn time(text: &[u8]) -> Result<i128, Fault> {
    let text = str::from_utf8(text).map_err(|_| Fault::Error)?.trim_ascii();
    match text {
        "infinite-future" => return Ok(NEVER),
        "infinite-past" => return Ok(-NEVER),
        _ => {}
    }
    let mut reader = Reader { rest: text };
    let before = reader.take(&['-']);
    let year = digits(&mut reader.rest);
    if year.len() > 6 {
        return Err(Fault::unknown("a year of more than 6 digits"));
    }
    let year: i128 = year.parse().map_err(|_| Fault::Error)?;
    let year = if before { -year } else { year };
    reader.expect(&['-'])?;
    let month = reader.number(1..=12)?;
    reader.expect(&['-'])?;
    let day = reader.number(1..=31)?;
    reader.expect(&['T', 't'])?;
    let hour = reader.number(0..=23)?;
    reader.expect(&[':'])?;
    let minute = reader.number(0..=59)?;
    reader.expect(&[':'])?;
    let second = reader.number(0..=60)?;
    let fraction = if reader.take(&['.']) {
        let places = digits(&mut reader.rest);
        if places.is_empty() {
            return Err(Fault::Error);
        }
        format!("{places:0<9}")[..9].parse().unwrap_or_default()
    } else {
        0
    };
    let offset = reader.offset()?;
    if !reader.rest.is_empty() {
        return Err(Fault::Error);
    }
    let days = days_before(year, month, day);
    if date(days) != (year, month, day) {
        return Err(Fault::Error);
    }
    Ok(days * DAY + hour * HOUR + minute * MINUTE + second * SECOND + fraction - offset)
}

/// A time being read.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self, signs: &[char]) -> bool {
        let behind = self.rest.strip_prefix(signs);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn expect(&mut self, signs: &[char]) -> Result<(), Fault> {
        self.take(signs).then_some(()).ok_or(Fault::Error)
    }

    /// A number of one or two digits.
    fn number(&mut self, range: std::ops::RangeInclusive<i128>) -> Result<i128, Fault> {
        let size = self
            .rest
            .bytes()
            .take(2)
            .take_while(u8::is_ascii_digit)
            .count();
        let (digits, behind) = self.rest.split_at(size);
        self.rest = behind;
        let number = digits.parse().map_err(|_| Fault::Error)?;
        range
            .contains(&number)
            .then_some(number)
            .ok_or(Fault::Error)
    }

    /// `Z`, `+02:30`, `+0230` or `+02`.
    fn offset(&mut self) -> Result<i128, Fault> {
        if self.take(&['Z', 'z']) {
            return Ok(0);
        }
        let west = self.rest.starts_with('-');
        self.expect(&['+', '-'])?;
        let hours = self.number(0..=23)?;
        let colon = self.take(&[':']);
        let minutes = if colon || !self.rest.is_empty() {
            self.number(0..=59)?
        } else {
            0
        };
        let offset = hours * HOUR + minutes * MINUTE;
        Ok(if west { -offset } else { offset })
    }
}
