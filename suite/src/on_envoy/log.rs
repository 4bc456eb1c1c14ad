//! What the filters of a case log on Envoy.

use std::thread;
use std::time::{Duration, Instant};

use attache_envoy::{Envoy, LogLine, LogReader};

use super::{EnvoyError, LATE, LOG_FLUSH, LOG_POLL};
use crate::case::Case;
use crate::forecast::Milestone;
use crate::seen::Line;

/// Counts the lines of a case while it is played.
pub(super) struct Log<'a> {
    case: &'a Case,
    scope: String,
    reader: LogReader,
    lines: usize,
    /// How long more is waited for: not again, once it did not come.
    patience: Duration,
}

impl<'a> Log<'a> {
    /// Counts from here on, or from Envoy's start where the case is looked at from there.
    pub(super) fn of(case: &'a Case, scope: String, envoy: &Envoy) -> Result<Self, EnvoyError> {
        let mut log = Self {
            case,
            scope,
            reader: envoy.read_log(),
            lines: 0,
            patience: LATE,
        };
        log.look()?;
        if !case.log_from_start {
            log.lines = 0;
        }
        Ok(log)
    }

    /// Waits until there are as many as were foreseen.
    pub(super) fn catch_up(&mut self, milestone: Option<&Milestone>) -> Result<(), EnvoyError> {
        let lines = milestone.map_or(0, |milestone| milestone.lines);
        let deadline = Instant::now() + self.patience;
        loop {
            self.look()?;
            if self.lines >= lines {
                return Ok(());
            }
            if Instant::now() >= deadline {
                self.patience = LOG_FLUSH;
                return Ok(());
            }
            thread::sleep(LOG_POLL);
        }
    }

    fn look(&mut self) -> Result<(), EnvoyError> {
        let fresh = self.reader.next_lines()?;
        self.lines += fresh.iter().filter_map(|line| self.line(line)).count();
        Ok(())
    }

    pub(super) fn line(&self, line: &LogLine) -> Option<Line> {
        let level = line.level.map(|level| level.to_string());
        let level = level.unwrap_or_default();
        let of_case = Line::of(self.case, &self.scope, level, &line.message)?;
        Some(of_case.at(time_of_day(&line.time)))
    }
}

/// The time of day in `2026-11-20 18:34:18.876500`.
fn time_of_day(text: &str) -> Option<Duration> {
    let (_, time) = text.split_once(' ')?;
    let mut parts = time.split(':');
    let mut next = || parts.next()?.parse::<f64>().ok();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Duration::try_from_secs_f64(hours * 3600.0 + minutes * 60.0 + seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_has_a_time() {
        let time = time_of_day("2026-11-20 01:02:03.500000");
        assert_eq!(time, Some(Duration::from_millis(3_723_500)));
        assert_eq!(time_of_day(""), None);
    }
}
