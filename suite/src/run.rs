//! Plays the cases of suites.

mod envoys;

use std::collections::BTreeSet;
use std::error::Error;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use attache_envoy::Installation;
use attache_harness::mutation::Mutator;
use attache_harness::{HostError, PhaseCost};
use attache_module::Notice;

use crate::case::Case;
use crate::check::check;
use crate::compare::compare;
use crate::file::Matcher;
use crate::known_ground::Ground;
use crate::on_envoy::{self, EnvoyError};
use crate::on_harness::{self, HarnessError, Insight, Played};
use crate::pace::Pace;
use crate::plan::Plan;
use crate::report::{CaseReport, End, Player, Verdict};
use crate::seen::Seen;
use crate::suite::Target;
use envoys::Envoys;

/// What takes its time.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A package is being built.
    Building {
        /// Its name.
        package: &'a str,
    },
    /// Something else is done for the build: a target is installed, say.
    Notice(&'a Notice),
    /// An Envoy is being started for this many cases.
    StartingEnvoy {
        /// How many.
        cases: usize,
    },
}

/// Why a case could not be played on both hosts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BothError {
    /// The harness could not.
    #[error(transparent)]
    Harness(#[from] HarnessError),
    /// A real Envoy could not.
    #[error(transparent)]
    Envoy(#[from] EnvoyError),
}

/// Plays a case on the harness and then on a real Envoy, with its files in `folder`. What the harness saw
/// is waited for on Envoy, however busy the machine is.
///
/// # Errors
///
/// [`BothError`].
pub fn on_both(
    case: &Case,
    installation: &Installation,
    folder: &Path,
) -> Result<(Seen, Seen), BothError> {
    let played = on_harness::play(case, None).played?;
    let forecast = played.forecast();
    let seen = on_envoy::play_alone(case, Some(&forecast), installation, folder)?;
    Ok((played.seen, seen))
}

pub(crate) fn run(
    plans: &[Plan],
    target: &Target,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Vec<CaseReport> {
    let mut cases: Vec<CaseReport> = plans
        .iter()
        .map(|plan| CaseReport {
            modules: modules(plan),
            ..CaseReport::new(&plan.name)
        })
        .collect();
    if matches!(target, Target::Harness | Target::Both { .. }) {
        for (rehearsed, case) in rehearse(plans).into_iter().zip(&mut cases) {
            case.end = rehearsed.end;
            case.pace = rehearsed.pace;
            case.known = rehearsed.known;
            case.phases = rehearsed.phases;
            case.verdicts.push((Player::Harness, rehearsed.verdict));
            case.forecast = rehearsed.played.as_ref().map(Played::forecast);
            case.on_harness = rehearsed.played.map(|played| played.seen);
        }
    }
    if let Target::Envoy {
        installation,
        folder,
    }
    | Target::Both {
        installation,
        folder,
    } = target
    {
        let envoys = Envoys {
            plans,
            installation,
            folder,
        };
        envoys.play(&mut cases, progress);
    }
    for case in &mut cases {
        if let (Some(harness), Some(envoy)) = (&case.on_harness, &case.on_envoy) {
            let differences = compare(harness, envoy);
            if !differences.is_empty() {
                let verdict = Verdict::Failed {
                    differences,
                    timeline: None,
                };
                case.verdicts.push((Player::Comparison, verdict));
            }
        }
    }
    cases
}

/// The names of a case's plugins, and their modules.
fn modules(plan: &Plan) -> Vec<(String, PathBuf)> {
    let named = plan
        .case
        .plugins()
        .map(|plugin| (plugin.name.clone(), plugin.module.clone()));
    // A plugin that is replaced by itself, with another configuration, is one.
    named.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Plays cases on the harness, as many at a time as the machine can.
fn rehearse(plans: &[Plan]) -> Vec<Rehearsed> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = plans.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let shares = plans.chunks(share).map(|share| {
            scope.spawn(|| {
                share
                    .iter()
                    .map(|plan| harness(plan, None))
                    .collect::<Vec<_>>()
            })
        });
        // All of them run before the first is waited for.
        let shares: Vec<_> = shares.collect();
        let ended = shares.into_iter().map(|share| match share.join() {
            Ok(rehearsed) => rehearsed,
            Err(panic) => resume_unwind(panic),
        });
        ended.flatten().collect()
    })
}

/// What came of a play on the harness.
pub(crate) struct Rehearsed {
    pub(crate) verdict: Verdict,
    pub(crate) played: Option<Played>,
    pub(crate) end: Option<End>,
    pub(crate) pace: Pace,
    pub(crate) known: Vec<Ground>,
    pub(crate) phases: Vec<PhaseCost>,
}

pub(crate) fn harness(plan: &Plan, mutator: Option<Arc<Mutator>>) -> Rehearsed {
    let performance = on_harness::play(&plan.case, mutator);
    let (verdict, played, end) = match performance.played {
        Ok(played) => {
            let verdict = judge(plan, &played.seen, Some(&played.insights));
            (verdict, Some(played), None)
        }
        Err(HarnessError(error)) => (judge_error(plan, &error), None, end_of(&error)),
    };
    Rehearsed {
        verdict,
        played,
        end,
        pace: performance.pace,
        known: performance.known,
        phases: performance.phases,
    }
}

/// What a play that came to its end means.
fn judge(plan: &Plan, seen: &Seen, insights: Option<&[Insight]>) -> Verdict {
    if let Some(expected) = &plan.expect.refused {
        return Verdict::Error(format!(
            "expected that the chain is refused with {expected}, but it started"
        ));
    }
    if let Some((key, expected)) = plan.expect.ends().next() {
        return Verdict::Error(format!(
            "expected `{key}` with {expected}, but nothing of the kind was seen"
        ));
    }
    if plan.only_its_end {
        return Verdict::Passed;
    }
    let differences = check(plan, seen, insights);
    if differences.is_empty() {
        return Verdict::Passed;
    }
    Verdict::Failed {
        differences,
        timeline: insights.map(timelines),
    }
}

fn timelines(insights: &[Insight]) -> String {
    let several = insights.len() > 1;
    let timelines = insights.iter().enumerate().map(|(number, insight)| {
        let title = if several {
            format!("request {number}, ")
        } else {
            String::new()
        };
        format!("{title}{}", insight.timeline)
    });
    timelines.collect::<Vec<_>>().join("\n")
}

fn judge_error(plan: &Plan, error: &HostError) -> Verdict {
    let text = format!("{error:?}");
    match (plan.expect.ends().next(), end_of(error)) {
        (Some(("refused", expected)), Some(End::Refused)) => {
            as_refused(expected, lines_of(&text), &text)
        }
        (Some((key, expected)), Some(end)) if key == end.key() => {
            let first = text.lines().next().unwrap_or_default();
            if expected.accepts(first.as_bytes()) {
                Verdict::Passed
            } else {
                Verdict::Error(format!("expected `{key}` with {expected}, found:\n{text}"))
            }
        }
        _ => Verdict::Error(text),
    }
}

/// How the harness broke off.
fn end_of(error: &HostError) -> Option<End> {
    match error {
        HostError::Start { .. } | HostError::Load { .. } => Some(End::Refused),
        HostError::EnvoyWouldCrash { .. } => Some(End::Crash),
        HostError::BodyLength { .. }
        | HostError::Misuse { .. }
        | HostError::OutOfFuel { .. }
        | HostError::OutOfTime { .. }
        | HostError::HostCallLimit { .. } => Some(End::Stopped),
        _ => None,
    }
}

/// The lines of a message, and each also without the level before it.
pub(crate) fn lines_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).flat_map(|line| {
        let bare = line.split_once("] ").map(|(_, bare)| bare);
        [Some(line), bare].into_iter().flatten()
    })
}

fn as_refused<'l>(
    expected: &Matcher,
    mut lines: impl Iterator<Item = &'l str>,
    text: &str,
) -> Verdict {
    if lines.any(|line| expected.accepts(line.as_bytes())) {
        return Verdict::Passed;
    }
    Verdict::Error(format!(
        "the chain is refused, but no line is {expected}:\n{text}"
    ))
}

/// An error with its causes, one a line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("\n  caused by: {error}"));
        cause = error.source();
    }
    text
}
