//! Playing drawn cases on both hosts.

use attache_harness::KnownDifference;
use attache_suite::{End, Suite, SuiteError, Target, Verdict};
use serde_json::{Value, json};

use crate::suite_text::suite_of;
use crate::versions::suite_for;

/// What came of a case on both hosts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Finding {
    /// Both saw the same; the lines that filters logged.
    Agreed(Vec<String>),
    /// The harness said that Envoy would crash, and it did.
    Crashed(String),
    /// The harness stopped at it, for this reason: there is nothing to compare.
    Stopped(String),
    /// What one saw and the other did not.
    Disagreed(String),
    /// The same, of a case that Envoy did not play alike each time.
    Unsteady(String),
    /// Nothing can be told: Envoy never kept the times of the case, since the machine is too busy.
    Late(String),
}

/// What came of a case, and what it took.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judged {
    /// What came of it.
    pub finding: Finding,
    /// How often Envoy played it.
    pub plays: usize,
    /// The known differences from Envoy that explain it, where it differs.
    pub known: Vec<KnownDifference>,
}

impl Finding {
    /// Whether the two hosts differ.
    #[must_use]
    pub fn is_disagreement(&self) -> bool {
        matches!(self, Self::Disagreed(_))
    }
}

/// Plays cases on the harness, then on Envoy, each as the harness predicts it.
///
/// # Errors
///
/// [`SuiteError`], for a case that no suite can hold and for a probe that cannot be built.
pub fn play(cases: &[Value], target: &Target) -> Result<Vec<Judged>, SuiteError> {
    let named = |(number, case): (usize, &Value)| {
        let mut case = case.clone();
        case["name"] = json!(format!("{number}"));
        case
    };
    let mut cases: Vec<Value> = cases.iter().enumerate().map(named).collect();
    let predicted = suite_on(&cases, target)?.run_on(&Target::Harness)?.cases;
    for (case, predicted) in cases.iter_mut().zip(&predicted) {
        let anything = json!({ "contains": "" });
        match predicted.end() {
            Some(End::Crash) => case["expect"] = json!({ "crash": anything }),
            Some(End::Stopped) => case["expect"] = json!({ "stopped": anything }),
            Some(End::Refused) => case["expect"] = json!({ "refused": anything }),
            _ => expect_outcomes(case, &predicted.outcomes()),
        }
    }
    let report = suite_on(&cases, target)?.run_on(target)?;
    let outcomes = report
        .cases
        .iter()
        .zip(&predicted)
        .map(|(case, predicted)| {
            let reason = || {
                let reasons = predicted.verdicts.iter().map(|(_, verdict)| match verdict {
                    Verdict::Error(reason) => reason.lines().next().unwrap_or_default().to_owned(),
                    _ => String::new(),
                });
                reasons.collect::<String>()
            };
            if !case.passed() && case.looks().late.is_some() {
                return Finding::Late(case.to_string());
            }
            if !case.passed() && !case.looks().steady {
                return Finding::Unsteady(case.to_string());
            }
            if !case.passed() {
                return Finding::Disagreed(case.to_string());
            }
            match predicted.end() {
                Some(End::Crash) => Finding::Crashed(reason()),
                Some(End::Stopped) => Finding::Stopped(reason()),
                _ => Finding::Agreed(
                    case.log()
                        .into_iter()
                        .flatten()
                        .map(|line| line.message.clone())
                        .collect(),
                ),
            }
        });
    let played = report.cases.iter().zip(outcomes);
    let played = played.map(|(case, finding)| Judged {
        finding,
        plays: case.looks().plays,
        known: case
            .known_differences()
            .into_iter()
            .filter(|_| case.is_explained())
            .collect(),
    });
    Ok(played.collect())
}

/// The suite of cases for the Envoy of a target.
pub(crate) fn suite_on(cases: &[Value], target: &Target) -> Result<Suite, SuiteError> {
    let suite = suite_of(cases)?;
    match target {
        Target::Envoy { installation, .. } | Target::Both { installation, .. } => {
            suite_for(installation.version, suite)
        }
        _ => Ok(suite),
    }
}

/// A suite expects answers unless told otherwise.
fn expect_outcomes(case: &mut Value, outcomes: &[&str]) {
    let steps = case["steps"].as_array_mut();
    let requests = steps.into_iter().flatten();
    let requests = requests.filter(|step| step.get("request").is_some());
    for (request, outcome) in requests.zip(outcomes) {
        request["expect"] = json!({ "outcome": outcome });
    }
}

/// Whether a suite can hold the case.
pub(crate) fn is_sound(case: &Value) -> bool {
    suite_of([case]).is_ok_and(|suite: Suite| suite.cases().len() == 1)
}
