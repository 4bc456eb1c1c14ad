//! Numbers beside those of an earlier run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::Value;

use super::super::screen::{Screen, Tone};
use super::measure::Measurement;
use super::table::grouped;

/// The figures of one measurement, by their names.
type Figures = BTreeMap<String, u64>;

/// The numbers of an earlier run.
pub(super) struct Comparison {
    path: PathBuf,
    measured: BTreeMap<(String, String), Figures>,
}

impl Comparison {
    /// Reads what `--save` wrote, or `--json` printed.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the numbers `{}`", path.display()))?;
        let mut measured = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let Some(read) = figures(line) else {
                bail!(
                    "{}:{}: expected a measurement as `attache bench --save {}` writes it",
                    path.display(),
                    number + 1,
                    path.display()
                );
            };
            measured.insert(read.0, read.1);
        }
        if measured.is_empty() {
            bail!("`{}` holds no measurement", path.display());
        }
        Ok(Self {
            path: path.to_owned(),
            measured,
        })
    }

    /// What has changed since.
    pub(super) fn with(self, now: &[Measurement], tolerance: f64) -> Verdict {
        let mut left = self.measured;
        let mut changes = Vec::new();
        let mut fresh = Vec::new();
        for measurement in now {
            let key = (measurement.subject.clone(), measurement.bench.clone());
            let Some(before) = left.remove(&key) else {
                fresh.push(format!("{} {}", key.0, key.1));
                continue;
            };
            for (name, now) in measurement.figures() {
                let Some(before) = before.get(name).copied().filter(|before| *before != now) else {
                    continue;
                };
                changes.push(Change {
                    of: format!("{} {}", key.0, key.1),
                    figure: name,
                    before,
                    now,
                    // What was nothing and is something is worse by any measure.
                    worse: now as f64 > before as f64 * (1.0 + tolerance / 100.0),
                });
            }
        }
        Verdict {
            path: self.path,
            tolerance,
            changes,
            fresh,
            gone: left
                .into_keys()
                .map(|(subject, bench)| format!("{subject} {bench}"))
                .collect(),
        }
    }
}

fn figures(line: &str) -> Option<((String, String), Figures)> {
    let Value::Object(line) = serde_json::from_str(line).ok()? else {
        return None;
    };
    let word = |key: &str| Some(line.get(key)?.as_str()?.to_owned());
    let key = (word("subject")?, word("bench")?);
    let figure = |(name, value): (&String, &Value)| Some((name.clone(), value.as_u64()?));
    let figures: Figures = line.iter().filter_map(figure).collect();
    figures.contains_key("fuel").then_some((key, figures))
}

/// A figure that is not what it was.
struct Change {
    of: String,
    figure: &'static str,
    before: u64,
    now: u64,
    worse: bool,
}

/// What became of an earlier run's numbers.
pub(super) struct Verdict {
    path: PathBuf,
    tolerance: f64,
    changes: Vec<Change>,
    /// Measured now and not before.
    fresh: Vec<String>,
    /// Measured before and not now.
    gone: Vec<String>,
}

impl Verdict {
    /// Whether nothing is worse than before, beyond the tolerance, and nothing is left out.
    pub(super) fn is_good(&self) -> bool {
        self.gone.is_empty() && !self.changes.iter().any(|change| change.worse)
    }

    pub(super) fn to_text(&self, screen: &Screen) -> String {
        let mut text = String::new();
        for change in &self.changes {
            let line = format!(
                "  {} {}: {} before, {} now ({})",
                change.of,
                change.figure.replace('_', " "),
                grouped(change.before),
                grouped(change.now),
                percent(change.before, change.now),
            );
            text.push_str(&match change.worse {
                true => screen.tint(Tone::Bad, &format!("{line} WORSE")),
                false => line,
            });
            text.push('\n');
        }
        for of in &self.fresh {
            text.push_str(&format!("  {of}: not measured before\n"));
        }
        for of in &self.gone {
            text.push_str(
                &screen.tint(Tone::Bad, &format!("  {of}: measured before, and not now")),
            );
            text.push('\n');
        }
        let worse = self.changes.iter().filter(|change| change.worse).count();
        let better = self
            .changes
            .iter()
            .filter(|change| change.now < change.before)
            .count();
        format!(
            "Compared with {}\n{text}{worse} worse by more than {} %, {better} better\n",
            self.path.display(),
            self.tolerance
        )
    }
}

fn percent(before: u64, now: u64) -> String {
    if before == 0 {
        return "new".to_owned();
    }
    let change = (now as f64 / before as f64 - 1.0) * 100.0;
    format!("{change:+.1} %")
}
