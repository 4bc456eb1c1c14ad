//! What the Envoys say of a version.

use super::counts::Share;
use super::delivery::Progress;
use super::moment::Moment;
use super::subscribers::{Node, Subscribers};
use crate::rollout::Rollout;

/// So few answers say nothing of a share.
const FEW_REQUESTS: u64 = 20;

/// What is known of a version, from all Envoys that are to run it now.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Judgement {
    /// It has to go.
    Failed(String),
    /// It may still come.
    Pending(String),
    /// The same, and no Envoy is to run it.
    Nobody,
    /// Every Envoy has acknowledged it, and of some nobody can tell more.
    Acknowledged(String),
    /// Every worker of every Envoy runs it.
    Running,
}

/// Judges a version by what its Envoys have of it.
pub(super) fn judge(
    now: Moment,
    rollout: &Rollout,
    version: u64,
    subscribers: &Subscribers,
) -> Judgement {
    let within = rollout.criteria.not_confirmed_within;
    let (mut all, mut acknowledged, mut running, mut untold) = (0_usize, 0_usize, 0_usize, 0_usize);
    let (mut why_untold, mut why_unseen) = (None, None);
    let (mut requests, mut before, mut failures) = (Share::default(), Share::default(), 0);
    for (node, has, unseen) in subscribers.of(&rollout.plugin) {
        if !has.wants_version(version) {
            continue;
        }
        all += 1;
        acknowledged += usize::from(has.is_acknowledged());
        let late = has.waited(now) > within;
        let counts = rollout.module.counts_configurations();
        match has.progress(node, counts, unseen) {
            Progress::Refused(reason) => {
                return Judgement::Failed(format!("Envoy `{}` refused it: {reason}", node.id));
            }
            Progress::Running => {
                running += 1;
                if let Some(reason) = unseen {
                    why_unseen.get_or_insert(reason);
                }
            }
            Progress::Untold(reason) => {
                untold += 1;
                why_untold.get_or_insert(reason);
            }
            Progress::Unseen(reason) if late => {
                untold += 1;
                why_untold.get_or_insert(reason);
            }
            unfinished if late => {
                return Judgement::Failed(too_late(node, &unfinished, within.as_secs_f32()));
            }
            _ => {}
        }
        if let Some(limit) = rollout.criteria.p99_above
            && let Some(p99) = has.p99().filter(|p99| *p99 > limit)
        {
            return Judgement::Failed(format!(
                "the 99th percentile of requests to Envoy `{}` is {} ms, above {} ms",
                node.id,
                p99.as_millis(),
                limit.as_millis()
            ));
        }
        if rollout.criteria.plugin_failures > 0
            && let Some(other) = has.answers_otherwise()
        {
            return Judgement::Failed(format!(
                "Envoy `{}` no longer answers as it is to: {other}",
                node.id
            ));
        }
        failures = has.failures().saturating_add(failures);
        let (with_it, until_then) = has.requests();
        add(&mut requests, with_it);
        add(&mut before, until_then);
    }
    let faults = [
        too_many_lost(now, rollout, version, subscribers),
        too_many_failures(rollout, failures),
        too_many_server_errors(rollout, requests, before),
    ];
    if let Some(fault) = faults.into_iter().flatten().next() {
        return Judgement::Failed(fault);
    }
    let missing = subscribers
        .missing(now, &rollout.plugin, version, within)
        .filter(|_| rollout.criteria.envoys_lost > 0);
    if let Some(node) = missing {
        return Judgement::Pending(format!("Envoy `{node}` is gone, and may come back"));
    }
    if let Some(reason) = why_unseen {
        return Judgement::Pending(format!("nobody sees what it does: {reason}"));
    }
    match why_untold {
        _ if all == 0 => Judgement::Nobody,
        _ if running == all => Judgement::Running,
        Some(reason) if running + untold == all => Judgement::Acknowledged(reason),
        _ => Judgement::Pending(format!(
            "{acknowledged} of {all} Envoys have acknowledged it, {running} run it"
        )),
    }
}

fn too_late(node: &Node, progress: &Progress, within: f32) -> String {
    let id = &node.id;
    match progress {
        Progress::Starting { running, workers } => {
            format!("{running} of {workers} workers of Envoy `{id}` run it after {within} s")
        }
        Progress::Answering {
            running,
            workers,
            other,
        } => format!(
            "not all of the {workers} workers of Envoy `{id}` answer as it is to after {within} s \
             ({running} are seen to): one answered with {other}"
        ),
        _ => format!("Envoy `{id}` has not answered within {within} s"),
    }
}

fn too_many_lost(
    now: Moment,
    rollout: &Rollout,
    version: u64,
    subscribers: &Subscribers,
) -> Option<String> {
    let limit = rollout.criteria.envoys_lost;
    if limit == 0 {
        return None;
    }
    let within = rollout.criteria.not_confirmed_within;
    let lost = subscribers.lost(now, &rollout.plugin, version, within);
    let first = lost.first()?;
    (lost.len() as u64 >= limit).then(|| match lost.len() {
        1 => format!("Envoy `{first}` ended or went away with it"),
        many => format!("{many} Envoys ended or went away with it, among them `{first}`"),
    })
}

fn add(sum: &mut Share, one: Share) {
    sum.all = sum.all.saturating_add(one.all);
    sum.failed = sum.failed.saturating_add(one.failed);
}

fn too_many_failures(rollout: &Rollout, failures: u64) -> Option<String> {
    let limit = rollout.criteria.plugin_failures;
    (limit > 0 && failures >= limit)
        .then(|| format!("the plugin failed {failures} times (errors and restarts of its VM)"))
}

fn too_many_server_errors(rollout: &Rollout, now: Share, before: Share) -> Option<String> {
    // Shares in hundredths, compared without division by zero.
    let share = |part: Share| part.failed.saturating_mul(100) / part.all.max(1);
    let (share_now, share_before) = (share(now), share(before));
    let allowed = share_before.saturating_add(u64::from(rollout.criteria.server_errors_percent));
    (now.all >= FEW_REQUESTS && share_now > allowed).then(|| {
        format!(
            "{} of {} answers with it had a status of 5xx ({share_now} %, before it {share_before} %)",
            now.failed, now.all
        )
    })
}
