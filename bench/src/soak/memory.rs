//! The memory of a process over a soak, and whether it grows.

use crate::process::Process;

/// By how much memory may grow over the second half of the streams, in percent of what it is in the middle.
pub(super) const LIMIT: f64 = 5.0;

/// How often it is looked at. Each tenth is shown.
const TIMES: usize = 100;

/// Resident memory in MiB, after each hundredth of the streams.
#[derive(Debug)]
pub(super) struct Memory {
    streams: usize,
    seen: Vec<f64>,
}

impl Memory {
    pub(super) fn over(streams: usize) -> Self {
        Self {
            streams,
            seen: Vec::with_capacity(TIMES),
        }
    }

    /// Looks, as often as is due after so many streams; whether a tenth is full.
    pub(super) fn look(&mut self, process: &Process, done: usize) -> anyhow::Result<bool> {
        let mut is_tenth = false;
        while self.seen.len() < TIMES && done >= self.streams * (self.seen.len() + 1) / TIMES {
            self.seen
                .push(process.memory()? as f64 / f64::from(1 << 20));
            is_tenth |= self.seen.len().is_multiple_of(TIMES / 10);
        }
        Ok(is_tenth)
    }

    /// What there was after a tenth, counted from 1.
    pub(super) fn after(&self, tenth: usize) -> f64 {
        let at = tenth * TIMES / 10;
        at.checked_sub(1)
            .and_then(|at| self.seen.get(at).copied())
            .unwrap_or(f64::NAN)
    }

    /// By how many percent it grows over the second half, along the line that fits it best (least squares).
    pub(super) fn growth(&self) -> f64 {
        let half = &self.seen[self.seen.len() / 2..];
        let count = half.len() as f64;
        let mean = half.iter().sum::<f64>() / count;
        let middle = (count - 1.0) / 2.0;
        let (mut over, mut under) = (0.0, 0.0);
        for (at, seen) in half.iter().enumerate() {
            let at = at as f64 - middle;
            over += at * (seen - mean);
            under += at * at;
        }
        let slope = over / under;
        let begin = mean - slope * middle;
        slope * (count - 1.0) / begin * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(of: impl Fn(f64) -> f64) -> Memory {
        Memory {
            streams: TIMES,
            seen: (1..=TIMES).map(|at| of(at as f64)).collect(),
        }
    }

    #[test]
    fn only_what_grows_in_the_second_half_counts() {
        let begins = memory(|at| 100.0 + at.min(50.0));
        assert!(begins.growth().abs() < 0.2, "{}", begins.growth());
        assert_eq!(begins.after(1), 110.0);
        assert_eq!(begins.after(10), 150.0);
        // 49 of 151.
        let grows = memory(|at| 100.0 + at);
        assert!((grows.growth() - 32.45).abs() < 0.01, "{}", grows.growth());
    }

    #[test]
    fn what_goes_up_and_down_does_not_grow() {
        let waves = memory(|at| 100.0 + 10.0 * at.sin());
        assert!(waves.growth().abs() < LIMIT, "{}", waves.growth());
    }
}
