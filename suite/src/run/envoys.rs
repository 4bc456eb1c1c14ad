//! Plays cases on real Envoys, several of them at a time.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use attache_envoy::{Ended as Exit, Installation, StartError};

use super::{Progress, as_refused, chain, judge};
use crate::case::{Case, Fault, Filter, Policy, Reply};
use crate::compare::compare;
use crate::drift::drift;
use crate::known_ground::is_explained;
use crate::on_envoy::{EnvoyError, Stage};
use crate::pace::Pace;
use crate::plan::Plan;
use crate::report::{CaseReport, Looks, Player, Verdict};
use crate::seen::{Line, Seen};

/// So many plugins share an Envoy at the most: each takes three VMs.
const MOST_PLUGINS: usize = 24;
/// So many Envoys run at a time. They wait more than they work: for their logs, and for requests that
/// are held.
const LANES: usize = 20;
/// What a case takes on Envoy besides what it lasts by the harness: for its connections and its logs.
const BESIDES: Duration = Duration::from_millis(500);
/// What an Envoy plays at the least before another one is worth its start.
const WORTH_A_START: Duration = Duration::from_secs(5);
/// So many of them start at a time, which is all work.
const STARTS: usize = 2;
/// The same when cases are played again, because the machine may have been too busy for their times:
/// the second time, the third, and the last.
const QUIET_LANES: [usize; 3] = [2, 1, 1];

/// Plays on Envoy what can be.
pub(super) struct Envoys<'a> {
    pub(super) plans: &'a [Plan],
    pub(super) installation: &'a Installation,
    pub(super) folder: &'a Path,
}

/// What a lane has to tell.
enum News {
    Starting(usize),
    Played(Vec<Outcome>),
}

/// Cases that share an Envoy.
struct Group {
    cases: Vec<usize>,
    plugins: usize,
    takes: Duration,
}

/// What became of a case.
struct Outcome {
    number: usize,
    verdict: Verdict,
    seen: Option<Seen>,
    /// Whether it is as it should be, and as on the harness.
    good: bool,
    /// How far its times came apart, if too far to tell anything.
    late: Option<Duration>,
    /// Whether known differences explain what is not as it should be.
    explained: bool,
}

/// What became of a case that was not as it should be, when it was played again.
#[derive(Default)]
struct Doubt {
    /// A play that was as it should be, and one that was not and kept the times of the case.
    good: Option<Outcome>,
    bad: Option<Outcome>,
    /// How often there was one like `bad`, and whether there was another.
    alike: usize,
    differs: bool,
    /// The play that was late by the least.
    late: Option<Outcome>,
}

impl Doubt {
    fn hear(&mut self, outcome: Outcome) {
        if outcome.good {
            self.good = Some(outcome);
        } else if outcome.late.is_some() {
            let before = self.late.as_ref().and_then(|late| late.late);
            if before.is_none_or(|before| outcome.late < Some(before)) {
                self.late = Some(outcome);
            }
        } else if self.bad.as_ref().is_none_or(|bad| bad.is_like(&outcome)) {
            self.alike += 1;
            self.bad = Some(outcome);
        } else {
            self.differs = true;
        }
    }

    /// Whether no further play would change anything.
    fn is_settled(&self) -> bool {
        let unsteady = self.differs || (self.good.is_some() && self.bad.is_some());
        let explained = self.bad.as_ref().is_some_and(|bad| bad.explained);
        explained || self.alike >= 2 || self.good.is_some() || unsteady
    }

    fn enter(self, reports: &mut [CaseReport], plays: usize) {
        let steady = !self.differs && (self.good.is_none() || self.bad.is_none());
        let late = match (&self.bad, &self.good, &self.late) {
            (None, None, Some(late)) => late.late,
            _ => None,
        };
        let looks = Looks {
            plays,
            steady,
            late,
        };
        if let Some(outcome) = self.bad.or(self.good).or(self.late) {
            outcome.enter(reports, looks);
        }
    }
}

impl Envoys<'_> {
    pub(super) fn play(&self, reports: &mut [CaseReport], progress: &mut dyn FnMut(Progress<'_>)) {
        let groups = self.groups(reports);
        let mut doubtful: BTreeMap<usize, Doubt> = BTreeMap::new();
        for outcome in self.round(groups, LANES, reports, progress) {
            if outcome.good {
                outcome.enter(reports, Looks::first());
            } else {
                doubtful.insert(outcome.number, Doubt::default());
            }
        }
        // What is not as it should be counts if it comes out like this again, alone and in time.
        for (before, lanes) in (1..).zip(QUIET_LANES) {
            let groups = doubtful.keys().map(|number| vec![*number]).collect();
            for outcome in self.round(groups, lanes, reports, progress) {
                let number = outcome.number;
                let doubt = doubtful.entry(number).or_default();
                doubt.hear(outcome);
                if before == QUIET_LANES.len() || doubt.is_settled() {
                    let doubt = doubtful.remove(&number).unwrap_or_default();
                    doubt.enter(reports, before + 1);
                }
            }
        }
    }

    /// Which cases share an Envoy; those that need it have their own. All lanes have something to do until the
    /// end: no group takes longer than a lane's share, and the longest come first.
    fn groups(&self, reports: &mut [CaseReport]) -> Vec<Vec<usize>> {
        let (mut shared, mut alone) = (Vec::new(), Vec::new());
        for (number, plan) in self.plans.iter().enumerate() {
            let report = &mut reports[number];
            if plan.expect.stopped.is_some() {
                let reason = "the harness is expected to stop at it".to_owned();
                report
                    .verdicts
                    .push((Player::Envoy, Verdict::Skipped(reason)));
            } else if wants_its_own(plan) || fails(report) {
                alone.push(number);
            } else {
                shared.push(number);
            }
        }
        let takes: Vec<Duration> = reports.iter().map(takes).collect();
        let every = shared.iter().chain(&alone).map(|one| takes[*one]);
        let all = every.fold(Duration::ZERO, Duration::saturating_add);
        let share = (all / u32::try_from(LANES).unwrap_or(1)).max(WORTH_A_START);
        let mut groups: Vec<Group> = Vec::new();
        for number in shared {
            let case = &self.plans[number].case;
            let plugins = case.plugins().count();
            let fits = |group: &&mut Group| {
                group.plugins + plugins <= MOST_PLUGINS
                    && group.takes.saturating_add(takes[number]) <= share
                    && Stage::fit(&self.plans[group.cases[0]].case, case)
            };
            match groups.iter_mut().find(fits) {
                Some(group) => {
                    group.cases.push(number);
                    group.plugins += plugins;
                    group.takes += takes[number];
                }
                None => groups.push(Group {
                    cases: vec![number],
                    plugins,
                    takes: takes[number],
                }),
            }
        }
        groups.extend(alone.into_iter().map(|number| Group {
            cases: vec![number],
            plugins: 0,
            takes: takes[number],
        }));
        groups.sort_by_key(|group| Reverse(group.takes));
        groups.into_iter().map(|group| group.cases).collect()
    }

    /// Plays groups of cases, each on an Envoy of its own, so many at a time.
    fn round(
        &self,
        groups: Vec<Vec<usize>>,
        lanes: usize,
        reports: &[CaseReport],
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Vec<Outcome> {
        let lanes = lanes.min(groups.len());
        let groups = Mutex::new(groups.into_iter());
        let next = || groups.lock().unwrap_or_else(PoisonError::into_inner).next();
        let turns = [(); STARTS].map(Mutex::new);
        let (sender, news) = mpsc::channel();
        let mut outcomes = Vec::new();
        thread::scope(|scope| {
            for lane in 0..lanes {
                let sender = sender.clone();
                let (turn, next) = (&turns[lane % turns.len()], &next);
                scope.spawn(move || {
                    while let Some(group) = next() {
                        let played = self.group(&group, turn, reports, &sender);
                        // The receiver lives as long as the lanes do.
                        let _ = sender.send(News::Played(played));
                    }
                });
            }
            drop(sender);
            for news in news {
                match news {
                    News::Starting(cases) => progress(Progress::StartingEnvoy { cases }),
                    News::Played(played) => outcomes.extend(played),
                }
            }
        });
        outcomes
    }

    /// Plays cases on one Envoy. A group that comes to a bad end leaves cases that are not good; a case
    /// that is not as it should be may be the doing of those before, that still tick or wait for an
    /// answer, or of a busy machine.
    fn group(
        &self,
        group: &[usize],
        turn: &Mutex<()>,
        reports: &[CaseReport],
        news: &Sender<News>,
    ) -> Vec<Outcome> {
        let cases: Vec<&Case> = group
            .iter()
            .map(|number| &self.plans[*number].case)
            .collect();
        // As above.
        let _ = news.send(News::Starting(cases.len()));
        let first = group.first().copied().unwrap_or_default();
        let folder = self.folder.join(format!("envoy-{first}"));
        let starting = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = Stage::start(&cases, self.installation, &folder);
        drop(starting);
        let mut stage = match stage {
            Ok(stage) => stage,
            Err(error) if group.len() == 1 => {
                let verdict = not_started(&self.plans[first], &error);
                return vec![Outcome::new(first, verdict, None)];
            }
            Err(error) => return left(group, &error),
        };
        if let ([number], Some(_)) = (group, &self.plans[first].expect.crash) {
            let verdict = crash(stage);
            return vec![Outcome::new(*number, verdict, None)];
        }
        let mut outcomes = Vec::new();
        for (place, number) in group.iter().copied().enumerate() {
            let forecast = reports[number].forecast.as_ref();
            match stage.play(place, forecast) {
                Ok(seen) => {
                    let verdict = judge(&self.plans[number], &seen, None);
                    let agrees = agrees(&reports[number], &seen);
                    let late = late(&reports[number], &seen);
                    let explained = late.is_none() && explains(&reports[number], Some(&seen));
                    let mut outcome = Outcome::new(number, verdict, Some(seen));
                    outcome.good &= agrees;
                    outcome.late = late;
                    outcome.explained = explained && !outcome.good;
                    outcomes.push(outcome);
                }
                Err(error) if group.len() > 1 => {
                    outcomes.extend(left(&group[place..], &error));
                    break;
                }
                Err(error) => {
                    let verdict = Verdict::Error(stage.explain(&error));
                    let mut outcome = Outcome::new(number, verdict, None);
                    outcome.explained = explains(&reports[number], None);
                    return vec![outcome];
                }
            }
        }
        // That Envoy ends is seen to in any case.
        let _ = stage.stop();
        outcomes
    }
}

impl Outcome {
    fn new(number: usize, verdict: Verdict, seen: Option<Seen>) -> Self {
        Self {
            number,
            good: verdict.is_good(),
            verdict,
            seen,
            late: None,
            explained: false,
        }
    }

    /// Whether Envoy did the same another time.
    fn is_like(&self, other: &Self) -> bool {
        let error = |outcome: &Self| match &outcome.verdict {
            Verdict::Error(reason) => reason.lines().next().map(str::to_owned),
            _ => None,
        };
        self.seen == other.seen && error(self) == error(other)
    }

    fn enter(self, reports: &mut [CaseReport], looks: Looks) {
        let report = &mut reports[self.number];
        report.looks = looks;
        report.verdicts.push((Player::Envoy, self.verdict));
        report.on_envoy = self.seen;
    }
}

/// Cases that have not been played, because their Envoy came to a bad end.
fn left(group: &[usize], error: &EnvoyError) -> Vec<Outcome> {
    let outcome = |number: &usize| Outcome {
        number: *number,
        verdict: Verdict::Error(chain(error)),
        seen: None,
        good: false,
        late: None,
        explained: false,
    };
    group.iter().map(outcome).collect()
}

/// Plays a case that is to end Envoy.
fn crash(mut stage: Stage) -> Verdict {
    let error = stage.play(0, None).err();
    match stage.exit() {
        Ok(Some(Exit::Signal(_))) => Verdict::Passed,
        Ok(Some(exit)) => {
            Verdict::Error(format!("expected that Envoy crashes, it ended with {exit}"))
        }
        Ok(None) => Verdict::Error(match error {
            Some(error) => format!("expected that Envoy crashes, it runs: {}", chain(&error)),
            None => "expected that Envoy crashes, it survived".to_owned(),
        }),
        Err(error) => Verdict::Error(format!("cannot tell whether Envoy crashed: {error}")),
    }
}

/// Whether the harness saw the same, where it played.
fn agrees(report: &CaseReport, seen: &Seen) -> bool {
    let harness = report.on_harness.as_ref();
    harness.is_none_or(|harness| compare(harness, seen).is_empty())
}

/// Whether known differences explain what Envoy did otherwise than the harness.
fn explains(report: &CaseReport, seen: Option<&Seen>) -> bool {
    let harness = report.on_harness.as_ref();
    let known = &report.known;
    !known.is_empty() && harness.is_some_and(|harness| is_explained(known, harness, seen))
}

/// By how much a play was late, if that is more than what lies between two things of the case.
fn late(report: &CaseReport, seen: &Seen) -> Option<Duration> {
    let drift = drift(report.on_harness.as_ref()?, seen);
    let Pace {
        closest,
        closest_calls,
        ..
    } = report.pace;
    (drift >= closest.min(closest_calls)).then_some(drift)
}

/// An upstream that nobody listens at is so for all, metrics are those of the process, back-off
/// begins with its start, services are nobody's, a plugin that is replaced is known by its name, and a
/// refusal or a crash ends it.
fn wants_its_own(plan: &Plan) -> bool {
    let reloads = |filter: &Filter| filter.policy == Policy::Reload;
    let refused = |answer: &Reply| answer.fault == Some(Fault::Refused);
    plan.expect.ends().next().is_some()
        || plan.case.is_refused()
        || plan.case.answers().any(refused)
        || plan.expect.gauges.is_some()
        || plan.expect.counters.is_some()
        || plan.expect.histograms.is_some()
        || !plan.reloads.is_empty()
        || plan.case.entries.are_of_process()
        || plan.case.plugins().any(reloads)
}

/// How long a case takes on Envoy, about.
fn takes(report: &CaseReport) -> Duration {
    let forecast = report.forecast.as_ref();
    BESIDES.saturating_add(forecast.map_or(Duration::ZERO, |forecast| forecast.lasts))
}

/// Whether the harness did not come to the end of it.
fn fails(report: &CaseReport) -> bool {
    report
        .verdicts
        .iter()
        .any(|(_, verdict)| matches!(verdict, Verdict::Error(_)))
}

/// What it means that Envoy did not start with a case.
fn not_started(plan: &Plan, error: &EnvoyError) -> Verdict {
    let text = chain(error);
    let crashed = matches!(
        error,
        EnvoyError::Start(StartError::Exited {
            ended: Exit::Signal(_),
            ..
        })
    );
    if plan.expect.crash.is_some() && crashed {
        return Verdict::Passed;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::Suite;

    #[test]
    fn a_case_that_others_would_notice_has_an_envoy_of_its_own() {
        for (case, alone) in [
            ("request: {}", false),
            ("request: {}, upstream: {after: 1s}", false),
            ("request: {}, clusters: {a: {after: 1s}}", false),
            ("request: {}, expect: {outcome: held}", false),
            ("request: {}, upstream: {fault: refused}", true),
            ("request: {}, expect: {counters: {a: 1}}", true),
            ("request: {}, expect: {crash: a}", true),
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

    fn play(logged: &str, good: bool, late: Option<u64>) -> Outcome {
        let seen = Seen {
            log: vec![Line::new("info", "a", logged)],
            ..Seen::default()
        };
        Outcome {
            good,
            late: late.map(Duration::from_millis),
            ..Outcome::new(0, Verdict::Passed, Some(seen))
        }
    }

    /// Whether plays settle a case, and how it is entered.
    fn heard(plays: impl IntoIterator<Item = Outcome>) -> (bool, Looks, CaseReport) {
        let mut doubt = Doubt::default();
        plays.into_iter().for_each(|play| doubt.hear(play));
        let settled = doubt.is_settled();
        let mut reports = [CaseReport::new("a case")];
        doubt.enter(&mut reports, 4);
        let [report] = reports;
        (settled, report.looks, report)
    }

    #[test]
    fn a_difference_is_settled_once_it_came_twice_in_time() {
        assert!(!heard([play("x", false, None)]).0);
        let (settled, looks, _) = heard([play("x", false, None), play("x", false, None)]);
        assert!(settled && looks.steady && looks.late.is_none());
        let (settled, looks, _) = heard([play("x", false, None), play("y", false, None)]);
        assert!(!looks.steady && settled);
    }

    #[test]
    fn what_is_known_needs_no_second_play() {
        let explained = Outcome {
            explained: true,
            ..play("x", false, None)
        };
        let (settled, looks, _) = heard([explained]);
        assert!(settled && looks.steady && looks.late.is_none());
    }

    #[test]
    fn a_play_that_was_late_tells_nothing() {
        let (settled, looks, report) =
            heard([play("x", false, Some(300)), play("y", false, Some(200))]);
        assert!(!settled);
        assert_eq!(looks.late, Some(Duration::from_millis(200)));
        assert_eq!(report.on_envoy.unwrap().log[0].message, "y");
        let (settled, looks, _) = heard([play("x", false, Some(300)), play("x", true, None)]);
        assert!(settled && looks.steady && looks.late.is_none());
    }

    #[test]
    fn a_case_that_is_as_it_should_be_only_now_and_then_is_not_steady() {
        let (settled, looks, report) = heard([play("x", false, None), play("y", true, None)]);
        assert!(settled && !looks.steady);
        assert_eq!(report.on_envoy.unwrap().log[0].message, "x");
    }
}
