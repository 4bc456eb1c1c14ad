//! Times that a real Envoy can keep: drawn anew until nothing falls together.

use std::collections::BTreeMap;
use std::time::Duration;

use attache_suite::{Pace, SuiteError, Target};
use serde_json::{Value, json};

use crate::batch::suite_on;
use crate::generator::Scenario;

/// What lies so far apart happens in its order on a busy machine, too.
const APART: Duration = Duration::from_millis(110);
/// The same of calls to one cluster, which a filter makes one after the other as pieces of a body arrive.
const CALLS_APART: Duration = Duration::from_millis(15);
/// How long after the end of a play nothing may be due.
const QUIET: Duration = Duration::from_millis(1_200);

/// So many attempts are made with a case's times.
const ATTEMPTS: u32 = 60;
/// So many cases are tried at once.
const AT_ONCE: usize = 250;

/// Cases with times that a real Envoy can keep, where there are any.
///
/// # Errors
///
/// [`SuiteError`], for a case that no suite can hold and for a probe that cannot be built.
pub fn scenarios(seeds: &[u64], target: &Target) -> Result<Vec<Scenario>, SuiteError> {
    let mut best: BTreeMap<u64, (Pace, Scenario)> = BTreeMap::new();
    let mut open: Vec<u64> = seeds.to_vec();
    let mut attempt = 0;
    while attempt < ATTEMPTS && !open.is_empty() {
        // Most need one, and few many.
        let together = AT_ONCE / open.len().max(1);
        let together = u32::try_from(together).unwrap_or(1).clamp(1, 10);
        let attempts = attempt..attempt + if attempt == 0 { 1 } else { together };
        attempt = attempts.end;
        let tried = open.iter().flat_map(|seed| {
            let draw = |attempt| Scenario::draw(*seed, attempt);
            attempts.clone().map(draw)
        });
        let tried: Vec<Scenario> = tried.collect();
        let named = |(number, scenario): (usize, &Scenario)| {
            let mut case = scenario.case.clone();
            case["name"] = json!(number.to_string());
            case
        };
        let cases: Vec<Value> = tried.iter().enumerate().map(named).collect();
        let report = suite_on(&cases, target)?.run_on(&Target::Harness)?;
        for (scenario, played) in tried.into_iter().zip(&report.cases) {
            let pace = played.pace();
            let seed = scenario.seed;
            let better = best.get(&seed).is_none_or(|(other, _)| {
                !is_kept(other) && (is_kept(&pace) || pace.closest > other.closest)
            });
            if better {
                best.insert(seed, (pace, scenario));
            }
        }
        open.retain(|seed| best.get(seed).is_none_or(|(pace, _)| !is_kept(pace)));
    }
    let mut scenarios = Vec::new();
    for seed in seeds {
        scenarios.extend(best.get(seed).map(|(pace, scenario)| Scenario {
            crowded: !is_kept(pace),
            ..scenario.clone()
        }));
    }
    Ok(scenarios)
}

fn is_kept(pace: &Pace) -> bool {
    pace.closest >= APART
        && pace.closest_calls >= CALLS_APART
        && pace.left.is_none_or(|left| left >= QUIET)
}
