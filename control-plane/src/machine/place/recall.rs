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
    #[serde(with = "super::shared")]
    declared: Arc<Rollout>,
    pushed_as: Option<u64>,
    phase: Phase,
    reason: Option<String>,
    since: Timestamp,
    /// A version was on its way.
    interrupted: bool,
    good: Option<Pushed>,
    previous: Option<Pushed>,
    history: VecDeque<HistoryEntry>,
}

impl Remembered {
    pub(in crate::machine) fn modules(&self) -> impl Iterator<Item = &Module> {
        let pushed = [&self.good, &self.previous].into_iter().flatten();
        let pushed = pushed.map(|pushed| &pushed.rollout.module);
        pushed.chain([&self.declared.module])
    }

    /// Gives the modules their bytes; false where what serves is lost.
    pub(in crate::machine) fn give_modules(
        &mut self,
        bytes: &mut impl FnMut(&str) -> Option<Vec<u8>>,
    ) -> bool {
        let mut give = |rollout: &mut Arc<Rollout>| {
            let module = &rollout.module;
            let found = bytes(module.sha256()).map(|bytes| Module::new(&module.path, bytes));
            match found.filter(|found| found == module) {
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
        give(&mut self.declared)
    }
}

impl Place {
    pub(in crate::machine) fn remember(&self) -> Remembered {
        Remembered {
            declared: Arc::clone(&self.declared),
            pushed_as: self.pushed_as,
            phase: self.phase,
            reason: self.reason.clone(),
            since: self.since,
            interrupted: self.rolling.is_some() || self.phase == Phase::Validating,
            good: self.good.clone(),
            previous: self.previous.clone(),
            history: self.history.clone(),
        }
    }

    /// The place as it was. A version that was on its way is tried and pushed anew: what the Envoys made of it
    /// meanwhile nobody has seen.
    pub(in crate::machine) fn recall(remembered: Remembered, last_generation: &mut u64) -> Self {
        let mut place = Self {
            declared: remembered.declared,
            trial: 0,
            pushed_as: remembered.pushed_as,
            phase: remembered.phase,
            reason: remembered.reason,
            since: remembered.since,
            rolling: None,
            good: remembered.good,
            previous: remembered.previous,
            history: remembered.history,
            changed: false,
        };
        if remembered.interrupted {
            // As after `Withdrawn`, the file is taken for new when it is read.
            place.phase = Phase::Withdrawn;
            place.reason = Some("it was on its way when this program ended".to_owned());
            let generation = place.next_generation(last_generation);
            if let Some(good) = &mut place.good {
                good.generation = generation;
            }
        }
        place
    }
}
