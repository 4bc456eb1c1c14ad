//! What drawn cases have reached: host calls by callback and by how the callback ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Counts of host calls, by callback and status.
#[derive(Clone, Debug, Default)]
pub struct Cells {
    counts: BTreeMap<(String, String), BTreeMap<String, u64>>,
}

impl Cells {
    /// Adds what a case's probes logged.
    pub fn add(&mut self, log: &[String]) {
        for line in log {
            if let Some((callback, call, status)) = cell(line) {
                let statuses = self
                    .counts
                    .entry((callback.to_owned(), call.to_owned()))
                    .or_default();
                *statuses.entry(status.to_owned()).or_default() += 1;
            }
        }
    }

    /// The host calls that were reached.
    fn calls(&self) -> BTreeSet<&str> {
        self.counts.keys().map(|(_, call)| call.as_str()).collect()
    }

    /// The callbacks that made any.
    fn callbacks(&self) -> BTreeSet<&str> {
        self.counts
            .keys()
            .map(|(callback, _)| callback.as_str())
            .collect()
    }

    fn count(&self, callback: &str, call: &str) -> u64 {
        let key = (callback.to_owned(), call.to_owned());
        self.counts
            .get(&key)
            .map_or(0, |statuses| statuses.values().sum())
    }
}

/// A table: a row for each host call with its statuses, a column for each callback.
impl fmt::Display for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let callbacks = self.callbacks();
        write!(f, "| host call | statuses |")?;
        for callback in &callbacks {
            write!(f, " {callback} |")?;
        }
        writeln!(f)?;
        writeln!(f, "|---|---|{}", "---|".repeat(callbacks.len()))?;
        for call in self.calls() {
            let mut statuses: BTreeMap<&str, u64> = BTreeMap::new();
            for ((_, own), counts) in &self.counts {
                if own == call {
                    for (status, count) in counts {
                        *statuses.entry(status).or_default() += count;
                    }
                }
            }
            let statuses = statuses
                .iter()
                .map(|(status, count)| format!("{status}: {count}"));
            let statuses = statuses.collect::<Vec<_>>().join(", ");
            write!(f, "| {call} | {statuses} |")?;
            for callback in &callbacks {
                write!(f, " {} |", self.count(callback, call))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// `callback: call(…) = status …`
fn cell(line: &str) -> Option<(&str, &str, &str)> {
    let (callback, rest) = line.split_once(": ")?;
    let (call, rest) = rest.split_once('(')?;
    let plain = |text: &str| {
        let mut letters = text.bytes();
        !text.is_empty()
            && letters.all(|letter| {
                letter.is_ascii_lowercase() || letter == b'_' || letter.is_ascii_digit()
            })
    };
    if !plain(callback) || !plain(call) {
        return None;
    }
    // Arguments may hold anything that looks like an end; the answer is the last.
    let answer = rest.rsplit(") = ").next()?;
    let status = answer.split(' ').next()?;
    status.parse::<u32>().ok()?;
    Some((callback, call, status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_probe_is_a_cell() {
        assert_eq!(
            cell(r#"request_headers: get_header_map_value(0, "x") = 0 "v""#),
            Some(("request_headers", "get_header_map_value", "0"))
        );
        assert_eq!(cell("done: done() = 1"), Some(("done", "done", "1")));
        for line in [
            "request_headers(2, 5, 1)",
            "log: show 5",
            "a line",
            "tick: not called: x",
        ] {
            assert_eq!(cell(line), None, "{line}");
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_call() {
        let mut cells = Cells::default();
        cells.add(&["tick: done() = 1".to_owned(), "log: done() = 1".to_owned()]);
        let table = cells.to_string();
        assert!(table.contains("| done | 1: 2 | 1 | 1 |"), "{table}");
    }
}
