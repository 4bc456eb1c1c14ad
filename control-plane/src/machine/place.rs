use std::collections::VecDeque;
use std::sync::Arc;

use super::Action;
use super::subscribers::{Node, Subscribers};
use crate::rollout::Rollout;
use crate::status::{History, HistoryEntry, Phase, RolloutStatus};
use crate::timestamp::Timestamp;

/// How much of the past is kept.
const LONGEST_HISTORY: usize = 200;

/// A rollout: the version that its file declares, the one that is on its way, and the last good one.
#[derive(Debug)]
pub(super) struct Place {
    declared: Arc<Rollout>,
    /// The trial of what is declared.
    trial: u64,
    /// The generation that what is declared was first pushed as.
    pushed_as: Option<u64>,
    phase: Phase,
    reason: Option<String>,
    since: Timestamp,
    rolling: Option<Pushed>,
    good: Option<Pushed>,
    history: VecDeque<HistoryEntry>,
}

/// A version that was pushed.
#[derive(Clone, Debug)]
struct Pushed {
    rollout: Arc<Rollout>,
    generation: u64,
    /// What was known of it at the end of its way.
    phase: Phase,
}

impl Place {
    pub(super) fn new(now: Timestamp, rollout: Arc<Rollout>, trial: u64) -> Self {
        let mut place = Self {
            declared: rollout,
            trial,
            pushed_as: None,
            phase: Phase::Validating,
            reason: None,
            since: now,
            rolling: None,
            good: None,
            history: VecDeque::new(),
        };
        place.enter(now, Phase::Validating, None);
        place
    }

    pub(super) fn name(&self) -> &str {
        &self.declared.name
    }

    /// Takes what the file says now; true if that has to be tried.
    pub(super) fn declare(&mut self, now: Timestamp, rollout: Arc<Rollout>, trial: u64) -> bool {
        let same = self.declared == rollout;
        if same && self.phase != Phase::Withdrawn {
            return false;
        }
        if self.declared.plugin != rollout.plugin {
            (self.rolling, self.good) = (None, None);
        }
        self.declared = Arc::clone(&rollout);
        // From here on the answer to a trial of another version is of no interest.
        self.trial = trial;
        let known = [&self.rolling, &self.good];
        let known = known.into_iter().flatten().next();
        if let Some(pushed) = known.filter(|pushed| pushed.rollout == rollout).cloned() {
            self.pushed_as = Some(pushed.generation);
            self.enter(
                now,
                pushed.phase,
                Some("the file declares again what serves".into()),
            );
            return false;
        }
        self.pushed_as = None;
        self.enter(now, Phase::Validating, None);
        true
    }

    /// The file is gone.
    pub(super) fn withdraw(&mut self, now: Timestamp) {
        if self.phase != Phase::Withdrawn {
            self.trial = 0;
            let reason = "the file is gone; what served before serves on";
            self.enter(now, Phase::Withdrawn, Some(reason.to_owned()));
        }
    }

    /// Takes what came of a trial: a good version is on its way from here on.
    pub(super) fn checked(
        &mut self,
        now: Timestamp,
        trial: u64,
        outcome: Result<(), String>,
        last_generation: &mut u64,
    ) {
        if trial != self.trial || self.phase != Phase::Validating {
            return;
        }
        if let Err(reason) = outcome {
            self.enter(now, Phase::Refused, Some(reason));
            return;
        }
        let generation = self.next_generation(last_generation);
        self.rolling = Some(Pushed {
            rollout: Arc::clone(&self.declared),
            generation,
            phase: Phase::Pushed,
        });
        self.pushed_as = Some(generation);
        self.enter(now, Phase::Pushed, Some(NOBODY.to_owned()));
    }

    /// Looks at what has become of the version that is on its way.
    pub(super) fn judge(
        &mut self,
        now: Timestamp,
        subscribers: &Subscribers,
        last_generation: &mut u64,
    ) {
        let Some(rolling) = self.rolling.clone() else {
            return;
        };
        let refusal = subscribers.of(&rolling.rollout).find_map(|(node, has)| {
            let (generation, reason) = has.refused.as_ref()?;
            (*generation == rolling.generation).then(|| refused_by(node, reason))
        });
        if let Some(reason) = refusal {
            self.give_back(now, &rolling, reason, last_generation);
            return;
        }
        let (mut all, mut acknowledged) = (0_usize, 0_usize);
        for (_, has) in subscribers.of(&rolling.rollout) {
            all += 1;
            acknowledged += usize::from(has.acknowledged == Some(rolling.generation));
        }
        if all > 0 && all == acknowledged {
            self.settle(now, rolling);
        } else if self.is_declared(&rolling) {
            // Not an event of its own: the phase stays.
            self.reason = Some(match all {
                0 => NOBODY.to_owned(),
                _ => format!("{acknowledged} of {all} Envoys have acknowledged it"),
            });
        }
    }

    /// The version is with everybody that it is for.
    fn settle(&mut self, now: Timestamp, mut rolling: Pushed) {
        rolling.phase = Phase::AcknowledgedUnconfirmed;
        self.rolling = None;
        let phase = rolling.phase;
        let declared = self.is_declared(&rolling);
        self.good = Some(rolling);
        if declared {
            let reason = "the Envoys do not say what their workers run".to_owned();
            self.enter(now, phase, Some(reason));
        }
    }

    /// Goes back to the last good version, as a new generation.
    fn give_back(
        &mut self,
        now: Timestamp,
        rolling: &Pushed,
        reason: String,
        last_generation: &mut u64,
    ) {
        self.rolling = None;
        let declared = self.is_declared(rolling);
        if self.good.is_some() {
            let generation = self.next_generation(last_generation);
            if let Some(good) = &mut self.good {
                good.generation = generation;
            }
        }
        if declared {
            let phase = match self.good {
                Some(_) => Phase::Returned,
                None => Phase::Refused,
            };
            self.enter(now, phase, Some(reason));
        }
    }

    /// Has every Envoy sent what it should run.
    pub(super) fn supply(
        &self,
        now: Timestamp,
        subscribers: &mut Subscribers,
        actions: &mut Vec<Action>,
    ) {
        for (stream, node, has) in subscribers.of_mut(&self.declared.plugin) {
            let Some(wanted) = self.wanted_by(node) else {
                continue;
            };
            if has.wanted == Some(wanted.generation) {
                continue;
            }
            has.want(now, wanted.generation);
            if has.acknowledged != Some(wanted.generation) {
                actions.push(Action::Push {
                    stream,
                    rollout: Arc::clone(&wanted.rollout),
                    generation: wanted.generation,
                });
            }
        }
    }

    fn wanted_by(&self, node: &Node) -> Option<&Pushed> {
        [&self.rolling, &self.good]
            .into_iter()
            .flatten()
            .find(|pushed| pushed.rollout.is_for(&node.group))
    }

    fn is_declared(&self, pushed: &Pushed) -> bool {
        self.pushed_as == Some(pushed.generation)
    }

    /// A number that no push has had. Modules count their configurations by its last digit, so that it
    /// differs from that of the push before.
    fn next_generation(&self, last: &mut u64) -> u64 {
        let before = [&self.rolling, &self.good].into_iter().flatten();
        let slots: Vec<u64> = before.map(|pushed| pushed.generation % 10).collect();
        *last += 1;
        while slots.contains(&(*last % 10)) {
            *last += 1;
        }
        *last
    }

    fn enter(&mut self, now: Timestamp, phase: Phase, reason: Option<String>) {
        self.phase = phase;
        self.since = now;
        self.reason.clone_from(&reason);
        if self.history.len() == LONGEST_HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(HistoryEntry {
            at: now,
            phase,
            reason,
            version: self.declared.version(self.pushed_as),
        });
    }

    pub(super) fn status(&self, subscribers: &Subscribers) -> RolloutStatus {
        let good = self.good.as_ref();
        RolloutStatus {
            name: self.declared.name.clone(),
            file: self.declared.file.display().to_string(),
            plugin: self.declared.plugin.clone(),
            groups: self.declared.groups.clone(),
            phase: self.phase,
            reason: self.reason.clone(),
            since: self.since,
            declared: self.declared.version(self.pushed_as),
            serving: good.map(|good| good.rollout.version(Some(good.generation))),
            canary: None,
            envoys: subscribers.status(&self.declared),
        }
    }

    pub(super) fn history(&self) -> History {
        History {
            name: self.declared.name.clone(),
            entries: self.history.iter().cloned().collect(),
        }
    }
}

const NOBODY: &str = "no Envoy of its groups asks for it yet";

fn refused_by(node: &Node, reason: &str) -> String {
    format!("Envoy `{}` refused it: {reason}", node.id)
}
