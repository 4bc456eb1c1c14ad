//! Whose an Envoy's plugin is: at most one rollout's.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use crate::rollout::Rollout;
use crate::status::FileFault;

/// Of what files say now, that which can be in force together; the rest is told, and what it said before stays
/// in force. `in_force` is what the files that are there said until now, by the names of the rollouts.
pub(super) fn settle(
    in_force: &BTreeMap<String, Arc<Rollout>>,
    declared: Vec<Arc<Rollout>>,
) -> (Vec<Arc<Rollout>>, Vec<FileFault>) {
    let mut taken: BTreeMap<String, Arc<Rollout>> = declared
        .into_iter()
        .map(|one| (one.name.clone(), one))
        .collect();
    let mut faults = Vec::new();
    while let Some((loser, fault)) = conflict(in_force, &taken) {
        taken.remove(&loser);
        faults.push(fault);
    }
    (taken.into_values().collect(), faults)
}

/// One that has to wait, because another is in force, and why.
fn conflict(
    in_force: &BTreeMap<String, Arc<Rollout>>,
    taken: &BTreeMap<String, Arc<Rollout>>,
) -> Option<(String, FileFault)> {
    let names: BTreeSet<&String> = in_force.keys().chain(taken.keys()).collect();
    let one = |name: &String| taken.get(name).or_else(|| in_force.get(name));
    // What is new gives way before what has changed, and this before what is as it was.
    let rank = |name: &String| match (in_force.get(name), taken.get(name)) {
        (_, None) => 0,
        (Some(before), Some(now)) if before == now => 1,
        (Some(_), Some(_)) => 2,
        (None, Some(_)) => 3,
    };
    for name in &names {
        for other in names.range::<String, _>((Bound::Excluded(*name), Bound::Unbounded)) {
            let (Some(first), Some(second)) = (one(name), one(other)) else {
                continue;
            };
            if !first.meets(second) {
                continue;
            }
            let (winner, loser) = if rank(name) > rank(other) {
                (second, first)
            } else {
                (first, second)
            };
            if rank(&loser.name) <= 1 {
                // Nothing new: both have been in force.
                continue;
            }
            return Some((
                loser.name.clone(),
                FileFault {
                    file: loser.file.display().to_string(),
                    line: None,
                    column: None,
                    reason: format!(
                        "plugin `{}` is declared by `{}` already, for a group of this one; \
                         name groups that do not overlap",
                        loser.plugin,
                        winner.file.display()
                    ),
                },
            ));
        }
    }
    None
}
