//! How many values histograms have taken.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use attache_envoy::Envoy;
use serde_json::Value;

use super::{EnvoyError, LATE};
use crate::case::Case;
use crate::seen::Seen;

/// How often Envoy is told to flush, which is when it puts together what its threads recorded.
pub(super) const FLUSH: Duration = Duration::from_millis(100);

/// What histograms took since then, those that the case asks for; what is foreseen is waited for.
pub(super) fn grown(
    envoy: &Envoy,
    case: &Case,
    before: &BTreeMap<String, u64>,
    foreseen: Option<&Seen>,
) -> Result<BTreeMap<String, u64>, EnvoyError> {
    let deadline = Instant::now() + LATE;
    loop {
        let counts = counts(envoy, case)?.into_iter();
        let grown = counts.map(|(name, count)| {
            let before = before.get(&name).copied().unwrap_or_default();
            (name, count.saturating_sub(before))
        });
        let grown: BTreeMap<String, u64> = grown.collect();
        let is_as_foreseen = foreseen.is_none_or(|seen| seen.histograms == grown);
        if is_as_foreseen || Instant::now() >= deadline {
            return Ok(grown);
        }
    }
}

/// How many values the histograms have by now that the case asks for.
pub(super) fn counts(envoy: &Envoy, case: &Case) -> Result<BTreeMap<String, u64>, EnvoyError> {
    if case.histograms.is_empty() {
        return Ok(BTreeMap::new());
    }
    thread::sleep(FLUSH * 3);
    let answer = envoy.admin("/stats?format=json&type=Histograms&histogram_buckets=detailed")?;
    let stats: Value = serde_json::from_slice(&answer.body).map_err(EnvoyError::Statistics)?;
    let mut counts = BTreeMap::new();
    for entry in stats["stats"].as_array().into_iter().flatten() {
        for detail in entry["histograms"]["details"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let name = detail["name"].as_str().unwrap_or_default();
            let Some(name) = name.strip_prefix("wasmcustom.") else {
                continue;
            };
            if case.histograms.iter().any(|asked| asked == name) {
                let totals = detail["totals"].as_array().into_iter().flatten();
                let count = totals.filter_map(|bucket| bucket["count"].as_u64()).sum();
                counts.insert(name.to_owned(), count);
            }
        }
    }
    Ok(counts)
}
