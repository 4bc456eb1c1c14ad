//! Plays the cases of a suite.

use std::error::Error;
use std::path::Path;

use attache_envoy::{Installation, StartError};
use attache_harness::HostError;

use crate::case::{Case, Policy};
use crate::check::check;
use crate::compare::compare;
use crate::file::Matcher;
use crate::on_envoy::{EnvoyError, Stage};
use crate::on_harness::{self, HarnessError, Insight};
use crate::plan::Plan;
use crate::report::{CaseReport, Player, Report, Verdict};
use crate::seen::{Line, Seen};
use crate::suite::Target;

/// So many cases share an Envoy at the most: each takes three VMs for every plugin.
const MOST_CASES: usize = 40;

/// What takes its time.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A package is being built.
    Building {
        /// Its name.
        package: &'a str,
    },
    /// An Envoy is being started for this many cases.
    StartingEnvoy {
        /// How many.
        cases: usize,
    },
}

pub(crate) fn run(
    path: &Path,
    plans: &[Plan],
    target: &Target,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Report {
    let mut cases: Vec<CaseReport> = plans
        .iter()
        .map(|plan| CaseReport::new(&plan.name))
        .collect();
    if matches!(target, Target::Harness | Target::Both { .. }) {
        for (plan, case) in plans.iter().zip(&mut cases) {
            let (verdict, seen) = harness(plan);
            case.verdicts.push((Player::Harness, verdict));
            case.on_harness = seen;
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
        let mut players = OnEnvoy {
            plans,
            installation,
            folder,
            progress,
        };
        players.play(&mut cases);
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
    Report {
        path: path.to_owned(),
        cases,
    }
}

fn harness(plan: &Plan) -> (Verdict, Option<Seen>) {
    match on_harness::play(&plan.case) {
        Ok((seen, insights)) => {
            let verdict = judge(plan, &seen, Some(&insights));
            (verdict, Some(seen))
        }
        Err(HarnessError(error)) => (judge_error(plan, &error), None),
    }
}

/// What a play that came to its end means.
fn judge(plan: &Plan, seen: &Seen, insights: Option<&[Insight]>) -> Verdict {
    if let Some(expected) = &plan.expect.refused {
        return Verdict::Error(format!(
            "expected that the chain is refused with {expected}, but it started"
        ));
    }
    if let Some(expected) = &plan.expect.crash {
        return Verdict::Error(format!(
            "expected that Envoy would crash with {expected}, but nothing of the kind was seen"
        ));
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
    let refused = matches!(error, HostError::Start { .. } | HostError::Load { .. });
    match (&plan.expect.refused, &plan.expect.crash) {
        (Some(expected), _) if refused => as_refused(expected, lines_of(&text), &text),
        (_, Some(expected)) if matches!(error, HostError::EnvoyWouldCrash { .. }) => {
            let first = text.lines().next().unwrap_or_default();
            if expected.accepts(first.as_bytes()) {
                Verdict::Passed
            } else {
                Verdict::Error(format!("expected a crash with {expected}, found:\n{text}"))
            }
        }
        _ => Verdict::Error(text),
    }
}

/// The lines of a message, and each also without the level before it.
fn lines_of(text: &str) -> impl Iterator<Item = &str> {
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

/// Plays on Envoy what can be.
struct OnEnvoy<'a> {
    plans: &'a [Plan],
    installation: &'a Installation,
    folder: &'a Path,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl OnEnvoy<'_> {
    fn play(&mut self, reports: &mut [CaseReport]) {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut alone = Vec::new();
        for (number, plan) in self.plans.iter().enumerate() {
            let predicted = &reports[number];
            if plan.expect.crash.is_some() {
                let reason = "it is expected to crash".to_owned();
                reports[number]
                    .verdicts
                    .push((Player::Envoy, Verdict::Skipped(reason)));
            } else if wants_its_own(plan) || fails(predicted) {
                alone.push(vec![number]);
            } else {
                let fits = |group: &&mut Vec<usize>| {
                    let first = group.first().map(|first| &self.plans[*first].case);
                    group.len() < MOST_CASES
                        && first.is_some_and(|first| Stage::fit(first, &plan.case))
                };
                match groups.iter_mut().find(fits) {
                    Some(group) => group.push(number),
                    None => groups.push(vec![number]),
                }
            }
        }
        groups.extend(alone);
        // A group that comes to a bad end leaves cases that get another Envoy, each its own.
        while let Some(group) = groups.pop() {
            groups.extend(
                self.group(&group, reports)
                    .into_iter()
                    .map(|left| vec![left]),
            );
        }
    }

    /// Plays cases on one Envoy, and returns those that have to be played again.
    fn group(&mut self, group: &[usize], reports: &mut [CaseReport]) -> Vec<usize> {
        let cases: Vec<&Case> = group
            .iter()
            .map(|number| &self.plans[*number].case)
            .collect();
        (self.progress)(Progress::StartingEnvoy { cases: cases.len() });
        let first = group.first().copied().unwrap_or_default();
        let folder = self.folder.join(format!("envoy-{first}"));
        let stage = match Stage::start(&cases, self.installation, &folder) {
            Ok(stage) => stage,
            Err(_) if group.len() > 1 => return group.to_vec(),
            Err(error) => {
                let verdict = refusal(&self.plans[first], &error);
                reports[first].verdicts.push((Player::Envoy, verdict));
                return Vec::new();
            }
        };
        for (place, number) in group.iter().copied().enumerate() {
            match stage.play(place) {
                Ok(seen) => {
                    let verdict = judge(&self.plans[number], &seen, None);
                    reports[number].verdicts.push((Player::Envoy, verdict));
                    reports[number].on_envoy = Some(seen);
                }
                Err(error) => {
                    let verdict = Verdict::Error(stage.explain(&error));
                    reports[number].verdicts.push((Player::Envoy, verdict));
                    return group[place + 1..].to_vec();
                }
            }
        }
        // That Envoy ends is seen to in any case.
        let _ = stage.stop();
        Vec::new()
    }
}

/// An upstream that nobody listens at is so for all, gauges are those of the process, back-off begins with its start, and a refusal ends it.
fn wants_its_own(plan: &Plan) -> bool {
    let reloads = |filter: &crate::case::Filter| filter.policy == Policy::Reload;
    let refused = |answer: &crate::case::Reply| answer.fault == Some(crate::case::Fault::Refused);
    plan.expect.refused.is_some()
        || plan.case.answers().any(refused)
        || plan.expect.gauges.is_some()
        || plan.case.filters.iter().any(reloads)
}

/// Whether the harness did not come to the end of it.
fn fails(report: &CaseReport) -> bool {
    report
        .verdicts
        .iter()
        .any(|(_, verdict)| matches!(verdict, Verdict::Error(_)))
}

fn refusal(plan: &Plan, error: &EnvoyError) -> Verdict {
    let text = chain(error);
    let (Some(expected), EnvoyError::Start(start)) = (&plan.expect.refused, error) else {
        return Verdict::Error(text);
    };
    let lines = match start {
        StartError::PluginRefused { lines, .. } | StartError::Exited { lines, .. } => {
            lines.as_slice()
        }
        _ => &[],
    };
    let messages: Vec<String> = lines
        .iter()
        .flat_map(|line| {
            let guest = Line::of(&plan.case, "", String::new(), &line.message);
            [Some(line.message.clone()), guest.map(|line| line.message)]
        })
        .flatten()
        .collect();
    let said = messages.iter().map(String::as_str).chain(text.lines());
    as_refused(expected, said, &text)
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
