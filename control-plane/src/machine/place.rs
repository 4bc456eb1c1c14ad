mod recall;

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Action;
use super::judgement::{Judgement, judge};
use super::subscribers::{Node, Subscribers};
use crate::rollout::Rollout;
use crate::status::{CanaryStatus, History, HistoryEntry, Phase, RolloutStatus};
use crate::timestamp::Timestamp;

pub(super) use recall::Remembered;

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
    rolling: Option<Rolling>,
    good: Option<Pushed>,
    /// The good version before.
    previous: Option<Pushed>,
    history: VecDeque<HistoryEntry>,
    changed: bool,
}

/// A version that was pushed.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Pushed {
    #[serde(with = "shared")]
    rollout: Arc<Rollout>,
    generation: u64,
    /// What was known of it at the end of its way.
    phase: Phase,
}

/// What is shared is written as if it were not.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::rollout::Rollout;

    pub(super) fn serialize<S: Serializer>(
        rollout: &Arc<Rollout>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        rollout.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Rollout>, D::Error> {
        Rollout::deserialize(deserializer).map(Arc::new)
    }
}

/// A version on its way.
#[derive(Clone, Debug)]
struct Rolling {
    pushed: Pushed,
    reach: Reach,
    /// Until when it is watched, once it runs.
    until: Option<Timestamp>,
}

/// Who gets a version that is on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reach {
    Canary,
    All,
}

impl Rolling {
    fn reaches(&self, node: &Node) -> bool {
        let rollout = &self.pushed.rollout;
        match (self.reach, &rollout.canary) {
            (Reach::Canary, Some(canary)) => node.group == canary.group,
            _ => rollout.is_for(&node.group),
        }
    }

    fn runs(&self) -> bool {
        self.pushed.phase == Phase::Confirmed
    }

    /// Whether all Envoys have it, as far as anybody can tell.
    fn has_arrived(&self) -> bool {
        self.reach == Reach::All && self.pushed.phase != Phase::Pushed
    }
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
            previous: None,
            history: VecDeque::new(),
            changed: true,
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
            (self.rolling, self.good, self.previous) = (None, None, None);
        }
        self.declared = Arc::clone(&rollout);
        // From here on the answer to a trial of another version is of no interest.
        self.trial = trial;
        let rolling = self.rolling.as_ref().map(|rolling| &rolling.pushed);
        let known = rolling.or(self.good.as_ref());
        if let Some(pushed) = known.filter(|pushed| pushed.rollout == rollout).cloned() {
            self.pushed_as = Some(pushed.generation);
            let reason = "the file declares again what serves".to_owned();
            self.enter(now, pushed.phase, Some(reason));
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
        // What had arrived everywhere and had not failed until now is good.
        let before = self.rolling.take();
        if let Some(before) = before.filter(Rolling::has_arrived) {
            self.keep(before.pushed);
        }
        self.rolling = Some(Rolling {
            reach: match self.declared.canary {
                Some(_) => Reach::Canary,
                None => Reach::All,
            },
            until: None,
            pushed: Pushed {
                rollout: Arc::clone(&self.declared),
                generation,
                phase: Phase::Pushed,
            },
        });
        self.pushed_as = Some(generation);
        self.enter(now, Phase::Pushed, None);
    }

    /// Looks at what has become of the version that is on its way.
    pub(super) fn judge(
        &mut self,
        now: Timestamp,
        subscribers: &Subscribers,
        last_generation: &mut u64,
    ) {
        let Some(rolling) = &self.rolling else {
            return;
        };
        let pushed = &rolling.pushed;
        let envoys = subscribers
            .of(&pushed.rollout)
            .filter(|(node, _)| rolling.reaches(node));
        let judgement = judge(now, &pushed.rollout, pushed.generation, envoys);
        match judgement {
            Judgement::Failed(reason) => self.give_back(now, reason, last_generation),
            Judgement::Running => self.run(now),
            Judgement::Acknowledged(reason) => self.stay_unconfirmed(now, reason),
            // Not an event of its own: the phase stays.
            Judgement::Pending(reason) if self.phase == Phase::Pushed => self.reason = Some(reason),
            Judgement::Pending(_) => {}
        }
    }

    /// Every worker runs the version.
    fn run(&mut self, now: Timestamp) {
        let Some(rolling) = &mut self.rolling else {
            return;
        };
        let rollout = Arc::clone(&rolling.pushed.rollout);
        if !rolling.runs() {
            rolling.pushed.phase = Phase::Confirmed;
            let (phase, time) = match (rolling.reach, &rollout.canary) {
                (Reach::Canary, Some(canary)) => (Phase::Canary, canary.watched_for),
                _ => (Phase::Confirmed, rollout.criteria.watched_for),
            };
            let until = now.after(time);
            rolling.until = Some(until);
            let generation = rolling.pushed.generation;
            if self.is_declared(generation) {
                let reason = match phase {
                    Phase::Canary => {
                        format!("the canary group runs it, and is watched until {until}")
                    }
                    _ => format!("every worker runs it; it may fail until {until}"),
                };
                self.enter(now, phase, Some(reason));
            }
        } else if rolling.until.is_some_and(|until| now >= until) {
            match rolling.reach {
                Reach::Canary => self.reach_all(now, "the canary group ran it without failure"),
                Reach::All => {
                    if let Some(rolling) = self.rolling.take() {
                        self.keep(rolling.pushed);
                    }
                    self.reason = Some("every worker runs it".to_owned());
                }
            }
        }
    }

    /// Nobody can tell more than that it was acknowledged.
    fn stay_unconfirmed(&mut self, now: Timestamp, reason: String) {
        let Some(rolling) = &mut self.rolling else {
            return;
        };
        let generation = rolling.pushed.generation;
        if rolling.pushed.phase != Phase::AcknowledgedUnconfirmed {
            rolling.pushed.phase = Phase::AcknowledgedUnconfirmed;
            rolling.until = Some(now.after(rolling.pushed.rollout.criteria.watched_for));
            if self.is_declared(generation) {
                self.enter(now, Phase::AcknowledgedUnconfirmed, Some(reason));
            }
        } else if rolling.reach == Reach::All && rolling.until.is_some_and(|until| now >= until) {
            // Never promoted to others, but good where it is.
            if let Some(rolling) = self.rolling.take() {
                self.keep(rolling.pushed);
            }
        }
    }

    /// Goes back to the last good version, as a new generation.
    fn give_back(&mut self, now: Timestamp, reason: String, last_generation: &mut u64) {
        let Some(rolling) = &self.rolling else {
            return;
        };
        let declared = self.is_declared(rolling.pushed.generation);
        let generation = self.next_generation(last_generation);
        self.rolling = None;
        if let Some(good) = &mut self.good {
            good.generation = generation;
        }
        self.changed = true;
        if declared {
            let phase = match self.good {
                Some(_) => Phase::Returned,
                None => Phase::Refused,
            };
            self.enter(now, phase, Some(reason));
        }
    }

    /// The version of the canary group goes to the others now.
    pub(super) fn promote(&mut self, now: Timestamp) -> Result<(), String> {
        match &self.rolling {
            Some(rolling) if rolling.reach == Reach::Canary && rolling.runs() => {
                self.reach_all(now, "an operator promoted it");
                Ok(())
            }
            Some(rolling) if rolling.reach == Reach::Canary => Err(
                "nobody can tell that the canary group runs it, and what is unconfirmed is never \
                 promoted"
                    .to_owned(),
            ),
            _ => Err("no canary group tries a version of it".to_owned()),
        }
    }

    fn reach_all(&mut self, now: Timestamp, reason: &str) {
        if let Some(rolling) = &mut self.rolling {
            rolling.reach = Reach::All;
            rolling.until = None;
            rolling.pushed.phase = Phase::Pushed;
            self.enter(now, Phase::Pushed, Some(reason.to_owned()));
        }
    }

    /// Back to the version before, as an operator wishes.
    pub(super) fn undo(&mut self, now: Timestamp, last_generation: &mut u64) -> Result<(), String> {
        let reason = "an operator took it back".to_owned();
        if self.rolling.is_some() && self.good.is_some() {
            self.give_back(now, reason, last_generation);
            return Ok(());
        }
        let Some(mut previous) = self.previous.take() else {
            return Err("there is no version before it that was good".to_owned());
        };
        let generation = self.next_generation(last_generation);
        previous.generation = generation;
        self.good = Some(previous);
        self.rolling = None;
        self.enter(now, Phase::Returned, Some(reason));
        Ok(())
    }

    /// A version is good from here on.
    fn keep(&mut self, pushed: Pushed) {
        if let Some(before) = self.good.replace(pushed) {
            self.previous = Some(before);
        }
        self.changed = true;
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
        match &self.rolling {
            Some(rolling) if rolling.reaches(node) => Some(&rolling.pushed),
            _ => self
                .good
                .as_ref()
                .filter(|good| good.rollout.is_for(&node.group)),
        }
    }

    pub(super) fn is_rolling(&self, generation: u64) -> bool {
        let rolling = self.rolling.as_ref();
        rolling.is_some_and(|rolling| rolling.pushed.generation == generation)
    }

    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn is_declared(&self, generation: u64) -> bool {
        self.pushed_as == Some(generation)
    }

    /// A number that no push has had. Modules count their configurations by its last digit, so that it
    /// differs from that of the pushes before.
    fn next_generation(&self, last: &mut u64) -> u64 {
        let rolling = self.rolling.as_ref().map(|rolling| &rolling.pushed);
        let before = [rolling, self.good.as_ref()].into_iter().flatten();
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
        self.changed = true;
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
        let rolling = self.rolling.as_ref();
        let arrived = rolling.filter(|rolling| rolling.has_arrived());
        let serving = arrived
            .map(|rolling| &rolling.pushed)
            .or(self.good.as_ref());
        let canary = rolling.and_then(|rolling| {
            let canary = rolling.pushed.rollout.canary.as_ref()?;
            (rolling.reach == Reach::Canary).then(|| CanaryStatus {
                group: canary.group.clone(),
                until: rolling.until,
            })
        });
        RolloutStatus {
            name: self.declared.name.clone(),
            file: self.declared.file.display().to_string(),
            plugin: self.declared.plugin.clone(),
            groups: self.declared.groups.clone(),
            phase: self.phase,
            reason: self.reason.clone(),
            since: self.since,
            declared: self.declared.version(self.pushed_as),
            serving: serving.map(|pushed| pushed.rollout.version(Some(pushed.generation))),
            canary,
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
