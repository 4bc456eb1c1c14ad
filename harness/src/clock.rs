//! The host's clock, which moves only when the test moves it.

use std::time::Duration;

use crate::decimal;

/// Where every clock starts: 2026-01-01T00:00:00Z.
pub(crate) const START: Duration = Duration::from_secs(1_767_225_600);

/// Virtual time since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Duration);

impl Default for Clock {
    fn default() -> Self {
        Self(START)
    }
}

impl Clock {
    pub(crate) fn now(self) -> Duration {
        self.0
    }

    pub(crate) fn set(&mut self, now: Duration) {
        self.0 = now;
    }

    /// Nanoseconds since the epoch at Envoy's granularity of a microsecond.
    pub(crate) fn nanoseconds(self) -> u64 {
        u64::try_from(self.0.as_micros())
            .unwrap_or(u64::MAX / 1000)
            .saturating_mul(1000)
    }

    /// The time as a `date` header carries it ([RFC 9110, 5.6.7]).
    ///
    /// [RFC 9110, 5.6.7]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    pub(crate) fn http_date(self) -> [u8; 29] {
        const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
        const MONTHS: [&[u8; 3]; 12] = [
            b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov",
            b"Dec",
        ];
        let seconds = self.0.as_secs();
        let days = seconds / 86_400;
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let mut date = *b"Day, 00 Mon 0000 00:00:00 GMT";
        date[0..3].copy_from_slice(DAYS[(days % 7) as usize]);
        date[8..11].copy_from_slice(MONTHS[month]);
        for (place, number) in [
            (5..7, day),
            (12..16, year),
            (17..19, hour),
            (20..22, minute),
            (23..25, second),
        ] {
            decimal::fill(&mut date[place], number);
        }
        date
    }
}

/// The last `date` that was asked for: a second has many streams, and one date.
#[derive(Debug, Default)]
pub(crate) struct LastDate(Option<(u64, [u8; 29])>);

impl LastDate {
    /// What [`Clock::http_date`] says.
    pub(crate) fn at(&mut self, clock: Clock) -> [u8; 29] {
        let second = clock.now().as_secs();
        match self.0 {
            Some((of, date)) if of == second => date,
            _ => self.0.insert((second, clock.http_date())).1,
        }
    }
}

/// Year, month from 0 and day of month from 1, so many days after 1970-01-01: the arithmetic of
/// [`civil_from_days`](https://howardhinnant.github.io/date_algorithms.html), whose years begin in
/// March so that the leap day is their last.
fn civil(days: u64) -> (u64, usize, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 2
    } else {
        from_march - 10
    };
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, usize::try_from(month).unwrap_or(0), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_735_603_200, "Tue, 31 Dec 2024 00:00:00 GMT"),
            (1_738_281_600, "Fri, 31 Jan 2025 00:00:00 GMT"),
            (1_767_225_600, "Thu, 01 Jan 2026 00:00:00 GMT"),
            (1_798_761_599, "Thu, 31 Dec 2026 23:59:59 GMT"),
        ] {
            let date = Clock(Duration::from_secs(seconds)).http_date();
            assert_eq!(date, expected.as_bytes());
        }
    }
}
