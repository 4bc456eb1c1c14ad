use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Place, Pushed};
use crate::rollout::{Module, Rollout};
use crate::status::{HistoryEntry, Phase};
use crate::timestamp::Timestamp;

/// What is kept of a place.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Remembered {
    name: String,
    #[serde(with = "crate::machine::pushed::shared")]
    declared: Arc<Rollout>,
    declared_as: Option<u64>,
    phase: Phase,
    reason: Option<String>,
    since: Timestamp,
    /// A version was on its way.
    interrupted: bool,
    good: Option<Pushed>,
    previous: Option<Pushed>,
    history: VecDeque<HistoryEntry>,
    recent: VecDeque<u64>,
}

impl Remembered {
    pub(in crate::machine) fn modules(&self) -> impl Iterator<Item = &Module> {
        let pushed = [&self.good, &self.previous].into_iter().flatten();
        let pushed = pushed.map(|pushed| &pushed.rollout.module);
        let all = pushed.chain([&self.declared.module]);
        all.filter(|module| !module.is_to_be_fetched())
    }

    /// Gives the modules their bytes. Versions without them are forgotten; false if nothing is left.
    pub(in crate::machine) fn give_modules(
        &mut self,
        bytes: &mut impl FnMut(&str) -> Option<Vec<u8>>,
    ) -> bool {
        let mut give = |rollout: &mut Arc<Rollout>| {
            let module = &rollout.module;
            if module.is_to_be_fetched() {
                return true;
            }
            match bytes(module.sha256()).and_then(|bytes| module.with_bytes(bytes)) {
                Some(found) => {
                    Arc::make_mut(rollout).module = found;
                    true
                }
                None => false,
            }
        };
        let mut keep = |pushed: &mut Option<Pushed>| {
            if pushed.as_mut().is_some_and(|one| !give(&mut one.rollout)) {
                *pushed = None;
            }
        };
        keep(&mut self.good);
        keep(&mut self.previous);
        if give(&mut self.declared) {
            return true;
        }
        // What the file declares is read anew; what serves stays.
        let Some(good) = self.good.as_ref().or(self.previous.as_ref()) else {
            return false;
        };
        self.declared = Arc::clone(&good.rollout);
        self.declared_as = Some(good.version);
        self.interrupted = true;
        true
    }
}

impl Place {
    pub(in crate::machine) fn remember(&self) -> Remembered {
        // What is still watched will not have been watched to its end.
        let (good, previous) = match (&self.probation, &self.previous) {
            (Some(_), Some(previous)) => (Some(previous.clone()), None),
            _ => (self.good.clone(), self.previous.clone()),
        };
        let watched = self.good.as_ref().filter(|_| self.probation.is_some());
        let rolling = self.rolling.as_ref().map(|rolling| &rolling.pushed);
        let is_declared = |pushed: &Pushed| self.declared_as == Some(pushed.version);
        Remembered {
            name: self.name.clone(),
            declared: Arc::clone(&self.declared),
            declared_as: self.declared_as,
            phase: self.phase,
            reason: self.reason.clone(),
            since: self.since,
            interrupted: self.phase == Phase::Validating
                || [rolling, watched].into_iter().flatten().any(is_declared),
            good,
            previous,
            history: self.history.clone(),
            recent: self.recent.clone(),
        }
    }

    /// The place as it was. A version that was on its way is tried and pushed anew: what the Envoys made of it
    /// meanwhile nobody has seen.
    pub(in crate::machine) fn recall(remembered: Remembered) -> Self {
        let mut place = Self {
            name: remembered.name,
            present: false,
            declared: remembered.declared,
            trial: None,
            again: None,
            declared_as: remembered.declared_as,
            phase: remembered.phase,
            reason: remembered.reason,
            since: remembered.since,
            rolling: None,
            good: remembered.good,
            probation: None,
            previous: remembered.previous,
            history: remembered.history,
            recent: remembered.recent,
            changed: false,
        };
        if remembered.interrupted {
            // As after `Withdrawn`, the file is taken for new when it is read.
            place.phase = Phase::Withdrawn;
            place.reason = Some("it was on its way when this program ended".to_owned());
        }
        place
    }
}
