//! What the Envoys say of a version.

use super::subscribers::{Delivery, Node, Sight};
use crate::rollout::{CONFIGURED, Rollout};
use crate::timestamp::Timestamp;

/// So few answers say nothing of a share.
const FEW_REQUESTS: u64 = 20;

/// What is known of a version, from all Envoys that it is for now.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Judgement {
    /// It has to go.
    Failed(String),
    /// It may still come.
    Pending(String),
    /// Every Envoy has acknowledged it, and of some nobody can tell more.
    Acknowledged(String),
    /// Every worker of every Envoy runs it.
    Running,
}

/// Judges a version by what its Envoys have of it.
pub(super) fn judge<'s>(
    now: Timestamp,
    rollout: &Rollout,
    generation: u64,
    envoys: impl Iterator<Item = (&'s Node, &'s Delivery)>,
) -> Judgement {
    let counts = rollout.module.counts_configurations();
    let within = rollout.criteria.not_confirmed_within;
    let (mut all, mut acknowledged, mut running) = (0_usize, 0_usize, 0_usize);
    let mut untold = None;
    let mut sum = Sight::default();
    for (node, has) in envoys {
        all += 1;
        if has.wanted != Some(generation) {
            // It is sent in this very moment.
            continue;
        }
        if let Some((refused, reason)) = &has.refused
            && *refused == generation
        {
            let node = &node.id;
            return Judgement::Failed(format!("Envoy `{node}` refused it: {reason}"));
        }
        if let Some(sight) = has.sight(generation) {
            if let Some(fault) = too_slow(rollout, node, sight) {
                return Judgement::Failed(fault);
            }
            add(&mut sum, sight);
        }
        let taken = has.acknowledged == Some(generation);
        acknowledged += usize::from(taken);
        if has.runs(generation) {
            running += 1;
        } else if taken && (!counts || node.admin.is_none()) {
            untold.get_or_insert_with(|| untold_by(node));
        } else if now.since(has.wanted_since) > within {
            return Judgement::Failed(late(node, has, generation, within.as_secs_f32()));
        }
    }
    if let Some(fault) = too_many_failures(rollout, sum) {
        return Judgement::Failed(fault);
    }
    match untold {
        _ if all == 0 => Judgement::Pending("no Envoy of its groups asks for it yet".to_owned()),
        _ if running == all => Judgement::Running,
        Some(reason) if acknowledged == all => Judgement::Acknowledged(reason),
        _ => Judgement::Pending(format!(
            "{acknowledged} of {all} Envoys have acknowledged it, {running} run it"
        )),
    }
}

fn untold_by(node: &Node) -> String {
    let id = &node.id;
    match node.admin {
        None => format!(
            "Envoy `{id}` names no admin port (`attache.admin_port` in its node's metadata), \
             so that nobody can tell what its workers run"
        ),
        Some(_) => format!(
            "the module does not count its configurations (`{CONFIGURED}`), so that nobody can \
             tell what the workers of `{id}` run"
        ),
    }
}

fn late(node: &Node, has: &Delivery, generation: u64, within: f32) -> String {
    let id = &node.id;
    if has.acknowledged != Some(generation) {
        return format!("Envoy `{id}` has not answered within {within} s");
    }
    match has.sight(generation) {
        None => format!("the admin endpoint of Envoy `{id}` has not answered within {within} s"),
        Some(sight) => format!(
            "{} of {} workers of Envoy `{id}` run it after {within} s",
            sight.running, sight.workers
        ),
    }
}

fn add(sum: &mut Sight, one: Sight) {
    sum.requests.all += one.requests.all;
    sum.requests.failed += one.requests.failed;
    sum.requests_before.all += one.requests_before.all;
    sum.requests_before.failed += one.requests_before.failed;
    sum.plugin_failures += one.plugin_failures;
}

fn too_slow(rollout: &Rollout, node: &Node, sight: Sight) -> Option<String> {
    let limit = rollout.criteria.p99_above?;
    let p99 = sight.p99.filter(|p99| *p99 > limit)?;
    Some(format!(
        "the 99th percentile of requests to Envoy `{}` is {} ms, above {} ms",
        node.id,
        p99.as_millis(),
        limit.as_millis()
    ))
}

fn too_many_failures(rollout: &Rollout, sum: Sight) -> Option<String> {
    let criteria = &rollout.criteria;
    if criteria.plugin_failures > 0 && sum.plugin_failures >= criteria.plugin_failures {
        return Some(format!(
            "the plugin failed {} times (errors and restarts of its VM)",
            sum.plugin_failures
        ));
    }
    let (now, before) = (sum.requests, sum.requests_before);
    // Shares in hundredths, compared without division.
    let share = |failed: u64, all: u64| failed.saturating_mul(100) / all.max(1);
    let (share_now, share_before) = (share(now.failed, now.all), share(before.failed, before.all));
    let allowed = share_before + u64::from(criteria.server_errors_percent);
    (now.all >= FEW_REQUESTS && share_now > allowed).then(|| {
        format!(
            "{} of {} answers since the push had a status of 5xx ({share_now} %, before it {share_before} %)",
            now.failed, now.all
        )
    })
}
