use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use attache_harness::{KnownDifference, PhaseCost};

use crate::check::Difference;
use crate::forecast::Forecast;
use crate::known_ground::{Ground, is_explained};
use crate::pace::Pace;
use crate::seen::{Line, Seen};

/// What came of a suite.
///
/// `Display` prints a line for each case, and under those that failed what differs and how it came
/// about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The suite.
    pub path: PathBuf,
    /// The cases, in order.
    pub cases: Vec<CaseReport>,
    /// What one has to know to read it: that the harness played another Envoy than the one meant.
    pub note: Option<String>,
}

/// What came of a case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CaseReport {
    /// Its name.
    pub name: String,
    /// What each player found.
    pub verdicts: Vec<(Player, Verdict)>,
    pub(crate) on_harness: Option<Seen>,
    pub(crate) forecast: Option<Forecast>,
    pub(crate) on_envoy: Option<Seen>,
    pub(crate) end: Option<End>,
    pub(crate) pace: Pace,
    pub(crate) looks: Looks,
    pub(crate) known: Vec<Ground>,
    /// The plugins by their names, and what the harness called of them.
    pub(crate) modules: Vec<(String, PathBuf)>,
    pub(crate) phases: Vec<PhaseCost>,
}

/// How the harness broke off a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// The chain does not start.
    Refused,
    /// Envoy would crash.
    Crash,
    /// Envoy would go on, at its operator's cost: see `stopped` in the suites' README.
    Stopped,
}

impl End {
    /// The key that expects it.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Crash => "crash",
            Self::Stopped => "stopped",
        }
    }
}

/// How often a real Envoy played a case.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Looks {
    /// How often.
    pub plays: usize,
    /// Whether it did the same each time that it kept the times of the case.
    pub steady: bool,
    /// Whether it never kept them: how far they came apart, at the least.
    pub late: Option<Duration>,
}

impl Looks {
    /// A play that was as it should be.
    pub(crate) fn first() -> Self {
        Self {
            plays: 1,
            steady: true,
            late: None,
        }
    }
}

/// Who finds something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Player {
    /// The harness.
    Harness,
    /// A real Envoy.
    Envoy,
    /// Whoever compares what both saw.
    Comparison,
}

/// How a case ended for a player.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Otherwise.
    Failed {
        /// What differs.
        differences: Vec<Difference>,
        /// What happened in the streams, where the harness played.
        timeline: Option<String>,
    },
    /// Not at all, for this reason.
    Skipped(String),
    /// It could not be played to its end, for this reason.
    Error(String),
}

impl Verdict {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Passed | Self::Skipped(_))
    }
}

impl Verdict {
    fn json(&self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::Passed => json!({ "verdict": "passed" }),
            Self::Skipped(reason) => json!({ "verdict": "skipped", "reason": reason }),
            Self::Error(reason) => json!({ "verdict": "error", "reason": reason }),
            Self::Failed {
                differences,
                timeline,
            } => {
                let difference = |difference: &Difference| {
                    json!({
                        "key": difference.key,
                        "expected": difference.expected,
                        "found": difference.found,
                    })
                };
                let differences: Vec<_> = differences.iter().map(difference).collect();
                let mut line = json!({ "verdict": "failed", "differences": differences });
                if let Some(timeline) = timeline {
                    line["timeline"] = timeline.as_str().into();
                }
                line
            }
        }
    }
}

impl CaseReport {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            verdicts: Vec::new(),
            on_harness: None,
            forecast: None,
            on_envoy: None,
            end: None,
            pace: Pace::default(),
            looks: Looks::default(),
            known: Vec::new(),
            modules: Vec::new(),
            phases: Vec::new(),
        }
    }

    /// How the harness broke off, if it did.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether a real Envoy can keep the order of what happened on the harness.
    #[must_use]
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// How often a real Envoy played it until it counted.
    #[must_use]
    pub fn looks(&self) -> Looks {
        self.looks
    }

    /// The known differences from Envoy that its play on the harness came to, each once.
    #[must_use]
    pub fn known_differences(&self) -> BTreeSet<KnownDifference> {
        self.known.iter().map(|ground| ground.difference).collect()
    }

    /// Whether known differences explain all that the two hosts saw otherwise: it is about the streams that came
    /// to them, and nothing of it was before.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        let harness = self.on_harness.as_ref();
        harness.is_some_and(|harness| is_explained(&self.known, harness, self.on_envoy.as_ref()))
    }

    /// How each request ended, in the words that `outcome` expects: on the harness, or where that did
    /// not play, on Envoy.
    #[must_use]
    pub fn outcomes(&self) -> Vec<&'static str> {
        let seen = self.on_harness.as_ref().or(self.on_envoy.as_ref());
        let streams = seen.iter().flat_map(|seen| &seen.streams);
        streams.map(|stream| stream.downstream.word()).collect()
    }

    /// What filters logged from the first request on: on the harness, or where that did not play, on
    /// Envoy.
    #[must_use]
    pub fn log(&self) -> Option<&[Line]> {
        let seen = self.on_harness.as_ref().or(self.on_envoy.as_ref())?;
        Some(&seen.log)
    }

    /// Whether nothing is wrong on any host.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.verdicts.iter().all(|(_, verdict)| verdict.is_good())
    }

    /// What one has to know of a case that failed.
    fn notes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for known in self.known_differences() {
            writeln!(f, "    note: known difference {known}: {}", known.why())?;
        }
        let plays = self.looks.plays;
        if let Some(late) = self.looks.late {
            let late = late.as_millis();
            writeln!(
                f,
                "    note: Envoy was late in each of {plays} plays, by {late} ms and more: the machine is too busy"
            )?;
        } else if plays > 1 && !self.looks.steady {
            writeln!(
                f,
                "    note: Envoy did not do the same in each of {plays} plays"
            )?;
        }
        Ok(())
    }
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.cases.iter().all(CaseReport::passed)
    }

    /// One object for each case and player, for programs: `suite`, `case`, `on`, `verdict` (`passed`,
    /// `failed`, `skipped`, `error`), and where there is one `note`, `reason`, `timeline` and
    /// `differences`, each of `key`, `expected` and `found`.
    #[must_use]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let suite = self.path.display().to_string();
        let case = |case: &CaseReport| {
            let lines = case.verdicts.iter().map(|(player, verdict)| {
                let mut line = verdict.json();
                line["suite"] = suite.clone().into();
                if let (Player::Harness | Player::Comparison, Some(note)) = (player, &self.note) {
                    line["note"] = note.as_str().into();
                }
                line["case"] = case.name.clone().into();
                line["on"] = match player {
                    Player::Harness => "harness",
                    Player::Envoy => "envoy",
                    Player::Comparison => "comparison",
                }
                .into();
                line
            });
            lines.collect::<Vec<_>>()
        };
        self.cases.iter().flat_map(case).collect()
    }

    /// Fails with the whole report, for a test that returns a `Result`.
    ///
    /// # Errors
    ///
    /// The report, unless all cases passed.
    pub fn into_result(self) -> Result<(), FailedSuite> {
        if self.passed() {
            Ok(())
        } else {
            Err(FailedSuite(self))
        }
    }
}

/// A suite with cases that failed; `Debug` prints the report.
#[derive(thiserror::Error)]
#[error("{0}")]
pub struct FailedSuite(pub Report);

impl fmt::Debug for FailedSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Harness => "harness",
            Self::Envoy => "envoy",
            Self::Comparison => "harness against envoy",
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.path.display())?;
        if let Some(note) = &self.note {
            writeln!(f, "  note: {note}")?;
        }
        self.cases.iter().try_for_each(|case| write!(f, "{case}"))
    }
}

impl fmt::Display for CaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.passed() { "ok" } else { "FAILED" };
        writeln!(f, "  {word:<6} {}", self.name)?;
        if !self.passed() {
            self.notes(f)?;
        }
        for (player, verdict) in &self.verdicts {
            match verdict {
                Verdict::Passed => {}
                Verdict::Skipped(reason) => writeln!(f, "    not on {player}: {reason}")?,
                Verdict::Error(reason) => {
                    writeln!(f, "    on {player}: {}", indented(reason))?;
                }
                Verdict::Failed {
                    differences,
                    timeline,
                } => {
                    writeln!(f, "    on {player}:")?;
                    for difference in differences {
                        writeln!(f, "      {}", indented(&difference.to_string()))?;
                    }
                    if let Some(timeline) = timeline {
                        writeln!(f, "      {}", indented(timeline.trim_end()))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n      ")
}
