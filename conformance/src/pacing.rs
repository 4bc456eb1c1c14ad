//! Times that a real Envoy can keep: drawn anew until nothing falls together, and where that never happens,
//! the case gets thinner.

use std::collections::BTreeMap;
use std::time::Duration;

use attache_suite::{CaseReport, Pace, SuiteError, Target};
use serde_json::{Value, json};

use crate::batch::{is_sound, suite_on};
use crate::generator::{Likeness, Scenario};
use crate::shrink::{parts, without};

/// What lies so far apart happens in its order on a busy machine, too.
const APART: Duration = Duration::from_millis(110);
/// The same of calls to one cluster, which a filter makes one after the other as pieces of a body arrive.
const CALLS_APART: Duration = Duration::from_millis(15);
/// How long after the end of a play nothing may be due.
const QUIET: Duration = Duration::from_millis(1_200);

/// The same where filters are anybody's, which may tick without an end.
const QUIET_LIKE: Duration = Duration::from_millis(350);

/// So many attempts are made with a case's times.
const ATTEMPTS: u32 = 60;
/// The same where nobody knows how long a filter takes to start.
const ATTEMPTS_LIKE: u32 = 12;
/// So many cases are tried at once; a suite's file has 200,000 values at most.
const AT_ONCE: usize = 100;

/// Cases with times that a real Envoy can keep, where there are any.
///
/// # Errors
///
/// [`SuiteError`], for a case that no suite can hold and for a probe that cannot be built.
pub fn scenarios(seeds: &[u64], target: &Target) -> Result<Vec<Scenario>, SuiteError> {
    let mut scenarios = Vec::new();
    for (pace, scenario) in paced(seeds, &Scenario::draw, target, (ATTEMPTS, QUIET))? {
        let (pace, case) = thinned(pace, scenario.case.clone(), target)?;
        scenarios.push(Scenario {
            case,
            crowded: !is_kept(&pace, QUIET),
            ..scenario
        });
    }
    Ok(scenarios)
}

/// The same of cases that are put together of parts of a suite. They stay as they are: what a filter of
/// anybody's does at a time cannot be left out.
///
/// # Errors
///
/// [`SuiteError`], for a probe that cannot be built.
pub fn scenarios_like(
    like: &Likeness,
    seeds: &[u64],
    target: &Target,
) -> Result<Vec<Scenario>, SuiteError> {
    let draw = |seed, attempt| Scenario::draw_like(like, seed, attempt);
    let paced = paced(seeds, &draw, target, (ATTEMPTS_LIKE, QUIET_LIKE))?;
    let scenario = |(pace, scenario): (Pace, Scenario)| Scenario {
        crowded: !is_kept(&pace, QUIET_LIKE),
        ..scenario
    };
    Ok(paced.into_iter().map(scenario).collect())
}

/// Cases with the best of their times, and how good these are.
fn paced(
    seeds: &[u64],
    draw: &dyn Fn(u64, u32) -> Scenario,
    target: &Target,
    (most, quiet): (u32, Duration),
) -> Result<Vec<(Pace, Scenario)>, SuiteError> {
    let mut best: BTreeMap<u64, (Pace, Scenario)> = BTreeMap::new();
    let mut open: Vec<u64> = seeds.to_vec();
    let mut attempt = 0;
    while attempt < most && !open.is_empty() {
        // Most need one, and few many.
        let together = AT_ONCE / open.len().max(1);
        let together = u32::try_from(together).unwrap_or(1).clamp(1, 10);
        let attempts = attempt..attempt + if attempt == 0 { 1 } else { together };
        attempt = attempts.end;
        let tried = open
            .iter()
            .flat_map(|seed| attempts.clone().map(|attempt| draw(*seed, attempt)));
        let tried: Vec<Scenario> = tried.collect();
        let cases: Vec<Value> = tried.iter().map(|one| one.case.clone()).collect();
        let paces = paces(&cases, target)?;
        for (scenario, pace) in tried.into_iter().zip(paces) {
            let seed = scenario.seed;
            let better = best.get(&seed).is_none_or(|(other, _)| {
                !is_kept(other, quiet) && (is_kept(&pace, quiet) || pace.closest > other.closest)
            });
            if better {
                best.insert(seed, (pace, scenario));
            }
        }
        open.retain(|seed| best.get(seed).is_none_or(|(pace, _)| !is_kept(pace, quiet)));
    }
    Ok(seeds.iter().filter_map(|seed| best.remove(seed)).collect())
}

/// A case whose times fall together whatever is drawn, without some of what happens at a time: two calls to
/// one cluster in one callback, say, are answered in any order.
fn thinned(mut pace: Pace, mut case: Value, target: &Target) -> Result<(Pace, Value), SuiteError> {
    while !is_kept(&pace, QUIET) {
        let mut pointers = parts(&case, &happens_in_time);
        if pointers.is_empty() {
            pointers = parts(&case, &|_| true);
        }
        let less: Vec<Value> = pointers
            .iter()
            .filter_map(|pointer| without(&case, pointer))
            .filter(is_sound)
            .collect();
        if less.is_empty() {
            break;
        }
        let paces = paces(&less, target)?;
        let best = less.into_iter().zip(paces);
        let best =
            best.max_by_key(|(_, pace)| (is_kept(pace, QUIET), pace.closest, pace.closest_calls));
        let Some((less, own)) = best else { break };
        (pace, case) = (own, less);
    }
    Ok((pace, case))
}

/// Whether a part of a case makes something happen at a time of its own.
fn happens_in_time(part: &Value) -> bool {
    const CALLS: [&str; 4] = [
        "http_call",
        "grpc_call",
        "grpc_stream",
        "set_tick_period_milliseconds",
    ];
    let call = part["call"].as_str();
    call.is_some_and(|call| CALLS.contains(&call)) || part.get("disconnect").is_some()
}

/// The paces of cases.
fn paces(cases: &[Value], target: &Target) -> Result<Vec<Pace>, SuiteError> {
    let mut paces = Vec::new();
    for some in cases.chunks(AT_ONCE) {
        paces.extend(paces_of_some(some, target)?);
    }
    Ok(paces)
}

fn paces_of_some(cases: &[Value], target: &Target) -> Result<Vec<Pace>, SuiteError> {
    let named = |(number, case): (usize, &Value)| {
        let mut case = case.clone();
        case["name"] = json!(number.to_string());
        case
    };
    let cases: Vec<Value> = cases.iter().enumerate().map(named).collect();
    let report = suite_on(&cases, target)?.run_on(&Target::Harness)?;
    Ok(report.cases.iter().map(CaseReport::pace).collect())
}

fn is_kept(pace: &Pace, quiet: Duration) -> bool {
    pace.closest >= APART
        && pace.closest_calls >= CALLS_APART
        && pace.left.is_none_or(|left| left >= quiet)
}
