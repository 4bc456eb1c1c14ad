//! What the filters of a case log on Envoy.

use std::thread;
use std::time::Instant;

use attache_envoy::{Envoy, LogLine, LogReader};

use super::{EnvoyError, LATE, LOG_POLL};
use crate::case::Case;
use crate::forecast::Milestone;
use crate::seen::Line;

/// Counts the lines of a case while it is played.
pub(super) struct Log<'a> {
    case: &'a Case,
    scope: String,
    reader: LogReader,
    lines: usize,
}

impl<'a> Log<'a> {
    /// Counts from here on, or from Envoy's start where the case is looked at from there.
    pub(super) fn of(case: &'a Case, scope: String, envoy: &Envoy) -> Result<Self, EnvoyError> {
        let mut log = Self {
            case,
            scope,
            reader: envoy.read_log(),
            lines: 0,
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
        let deadline = Instant::now() + LATE;
        loop {
            self.look()?;
            if self.lines >= lines || Instant::now() >= deadline {
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
        Line::of(
            self.case,
            &self.scope,
            level.unwrap_or_default(),
            &line.message,
        )
    }
}
