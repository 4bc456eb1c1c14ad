//! Plays the cases of a suite.

use std::error::Error;
use std::path::Path;

use attache_envoy::{Installation, StartError};
use attache_harness::HostError;
use attache_module::Notice;

use crate::case::{Case, Policy};
use crate::check::check;
use crate::compare::compare;
use crate::file::{Matcher, OutcomeExpect};
use crate::on_envoy::{EnvoyError, Stage};
use crate::on_harness::{self, HarnessError, Insight, Played};
use crate::plan::Plan;
use crate::report::{CaseReport, Player, Report, Verdict};
use crate::seen::{Ended, Line, Seen};
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
    /// Something else is done for the build: a target is installed, say.
    Notice(&'a Notice),
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
    let mut ticked = Vec::new();
    if matches!(target, Target::Harness | Target::Both { .. }) {
        for (plan, case) in plans.iter().zip(&mut cases) {
            let (verdict, played) = harness(plan);
            case.verdicts.push((Player::Harness, verdict));
            ticked.push(played.as_ref().is_some_and(|played| played.ticked));
            case.on_harness = played.map(|played| played.seen);
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
            ticked: &ticked,
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
        note: None,
    }
}

fn harness(plan: &Plan) -> (Verdict, Option<Played>) {
    match on_harness::play(&plan.case) {
        Ok(played) => {
            let verdict = judge(plan, &played.seen, Some(&played.insights));
            (verdict, Some(played))
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
    if let Some((key, expected)) = plan.expect.ends().next() {
        return Verdict::Error(format!(
            "expected `{key}` with {expected}, but nothing of the kind was seen"
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
    match (plan.expect.ends().next(), end_of(error)) {
        (Some(("refused", expected)), _) if refused => as_refused(expected, lines_of(&text), &text),
        (Some((key, expected)), Some(end)) if key == end => {
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

/// The key under which a case expects that the harness breaks off like this.
fn end_of(error: &HostError) -> Option<&'static str> {
    match error {
        HostError::EnvoyWouldCrash { .. } => Some("crash"),
        HostError::BodyLength { .. }
        | HostError::Misuse { .. }
        | HostError::OutOfFuel { .. }
        | HostError::OutOfTime { .. }
        | HostError::HostCallLimit { .. } => Some("stopped"),
        _ => None,
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
    /// Which of them ticked on the harness, where it played.
    ticked: &'a [bool],
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
            if plan.expect.is_for_harness() {
                let reason = "Envoy is expected to come to harm".to_owned();
                reports[number]
                    .verdicts
                    .push((Player::Envoy, Verdict::Skipped(reason)));
            } else if wants_its_own(plan) || self.lingers(number, predicted) || fails(predicted) {
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
        // A group that comes to a bad end leaves cases that get another Envoy, each its own; so does
        // a case that is not as it should be, which may be the doing of those before.
        while let Some(group) = groups.pop() {
            groups.extend(
                self.group(&group, reports)
                    .into_iter()
                    .map(|left| vec![left]),
            );
        }
    }

    /// Whether a case goes on when the next has begun, as far as the harness could tell.
    fn lingers(&self, number: usize, report: &CaseReport) -> bool {
        let unended = |seen: &Seen| {
            let mut streams = seen.streams.iter();
            streams.any(|stream| matches!(stream.downstream, Ended::Held | Ended::Abandoned))
        };
        self.ticked.get(number).copied().unwrap_or_default()
            || report.on_harness.as_ref().is_some_and(unended)
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
        let mut again = Vec::new();
        for (place, number) in group.iter().copied().enumerate() {
            let report = &mut reports[number];
            match stage.play(place) {
                Ok(seen) => {
                    let verdict = judge(&self.plans[number], &seen, None);
                    if group.len() > 1 && !(verdict.is_good() && agrees(report, &seen)) {
                        again.push(number);
                        continue;
                    }
                    report.verdicts.push((Player::Envoy, verdict));
                    report.on_envoy = Some(seen);
                }
                Err(_) if group.len() > 1 => {
                    again.extend(&group[place..]);
                    return again;
                }
                Err(error) => {
                    let verdict = Verdict::Error(stage.explain(&error));
                    report.verdicts.push((Player::Envoy, verdict));
                    return Vec::new();
                }
            }
        }
        // That Envoy ends is seen to in any case.
        let _ = stage.stop();
        again
    }
}

/// Whether the harness saw the same, where it played.
fn agrees(report: &CaseReport, seen: &Seen) -> bool {
    let harness = report.on_harness.as_ref();
    harness.is_none_or(|harness| compare(harness, seen).is_empty())
}

/// An upstream that nobody listens at is so for all, metrics are those of the process, back-off
/// begins with its start, and a refusal ends it. Streams that are held, and clusters that think, may
/// do so when the next case has begun.
fn wants_its_own(plan: &Plan) -> bool {
    let reloads = |filter: &crate::case::Filter| filter.policy == Policy::Reload;
    let refused = |answer: &crate::case::Reply| answer.fault == Some(crate::case::Fault::Refused);
    let thinks = |answer: &crate::case::Reply| !answer.after.is_zero();
    let unended = |stream: &crate::plan::PlannedStream| {
        stream.abandoned || stream.expect.outcome == Some(OutcomeExpect::Held)
    };
    plan.expect.refused.is_some()
        || plan.case.answers().any(refused)
        || plan.expect.gauges.is_some()
        || plan.expect.counters.is_some()
        || plan.case.filters.iter().any(reloads)
        || plan.case.clusters.values().any(thinks)
        || plan.streams.iter().any(unended)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Suite;

    #[test]
    fn a_case_that_may_go_on_after_its_end_has_an_envoy_of_its_own() {
        for (case, alone) in [
            ("request: {}", false),
            ("request: {}, upstream: {after: 1s}", false),
            ("request: {}, clusters: {a: {after: 1s}}", true),
            ("request: {}, expect: {outcome: held}", true),
            ("request: {}, expect: {counters: {a: 1}}", true),
            ("steps: [{request: {}, name: a}, {disconnect: a}]", true),
        ] {
            let text = format!(
                "version: \"1\"\nplugins: [{{package: a}}]\ncases: [{{name: a, {case}}}]\n"
            );
            let suite = Suite::from_text("s.suite.yaml", text).expect(case);
            assert_eq!(wants_its_own(&suite.plans[0]), alone, "{case}");
        }
    }

    #[test]
    fn a_case_that_envoy_played_otherwise_is_played_again_alone() {
        let mut report = CaseReport::new("a case");
        let mut seen = Seen::default();
        assert!(agrees(&report, &seen), "the harness did not play");
        report.on_harness = Some(seen.clone());
        assert!(agrees(&report, &seen));
        seen.counters.insert("of_another_case".to_owned(), 1);
        assert!(!agrees(&report, &seen));
    }
}
