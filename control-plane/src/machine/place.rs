mod course;
mod recall;
mod report;

use std::collections::VecDeque;
use std::sync::Arc;

use super::Action;
use super::counts::Slots;
use super::delivery::{Delivery, Progress};
use super::moment::Moment;
use super::pushed::Pushed;
use super::subscribers::{Asks, Node};
use crate::rollout::Rollout;
use crate::status::{HistoryEntry, Phase, Version};
use crate::timestamp::Timestamp;

pub(super) use recall::Remembered;

/// How much of the past is kept.
const LONGEST_HISTORY: usize = 200;
/// Slots in which modules count are few; so many pushes in a row get different ones.
const SLOTS_APART: usize = 4;

/// A rollout: the version that its file declares, the one that is on its way, and the last good one.
#[derive(Debug)]
pub(super) struct Place {
    name: String,
    /// Whether its file is there.
    present: bool,
    declared: Arc<Rollout>,
    /// The trial of what is declared, while it lasts.
    trial: Option<u64>,
    /// When it is tried again, where it could not be tried, and how often that was so.
    again: Option<(Moment, u32)>,
    /// The version that what is declared has been pushed as.
    declared_as: Option<u64>,
    phase: Phase,
    reason: Option<String>,
    since: Timestamp,
    rolling: Option<Rolling>,
    good: Option<Pushed>,
    /// Until when the last good version is watched, if another was declared before that was over.
    probation: Option<Moment>,
    /// The good version before, which was watched to its end.
    previous: Option<Pushed>,
    history: VecDeque<HistoryEntry>,
    /// The last generations that were given out here.
    recent: VecDeque<u64>,
    changed: bool,
}

/// Where the numbers of pushes come from.
#[derive(Debug)]
pub(super) struct Numbers {
    /// The last one that was given out, by whatever rollout.
    pub(super) last: u64,
    /// The slots in which Envoys count what they run of the plugin.
    pub(super) slots: Slots,
}

/// A version on its way.
#[derive(Clone, Debug)]
struct Rolling {
    pushed: Pushed,
    reach: Reach,
    /// Until when it is watched, once it runs, or is acknowledged and nobody can tell.
    until: Option<Moment>,
    /// Whether it was confirmed since it went to whom it goes now.
    confirmed: bool,
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

    /// Whether all Envoys have it, as far as anybody can tell.
    fn has_arrived(&self) -> bool {
        self.reach == Reach::All && self.pushed.phase != Phase::Pushed
    }
}

impl Place {
    pub(super) fn new(now: Moment, rollout: Arc<Rollout>, trial: u64) -> Self {
        let mut place = Self {
            name: rollout.name.clone(),
            present: true,
            declared: rollout,
            trial: Some(trial),
            again: None,
            declared_as: None,
            phase: Phase::Validating,
            reason: None,
            since: now.calendar(),
            rolling: None,
            good: None,
            probation: None,
            previous: None,
            history: VecDeque::new(),
            recent: VecDeque::new(),
            changed: true,
        };
        place.enter(now, Phase::Validating, None);
        place
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn plugin(&self) -> &str {
        &self.declared.plugin
    }

    pub(super) fn declared(&self) -> &Arc<Rollout> {
        &self.declared
    }

    /// Takes what the file says now; true if that has to be tried. It is of the same plugin.
    pub(super) fn declare(&mut self, now: Moment, rollout: Arc<Rollout>, trial: u64) -> bool {
        self.present = true;
        if self.declared == rollout && self.phase != Phase::Withdrawn {
            return false;
        }
        if self.declared != rollout {
            // The same image is not fetched twice.
            self.declared = Arc::clone(&rollout);
        }
        // From here on the answer to a trial of another version is of no interest.
        (self.trial, self.again) = (None, None);
        let again = Some("the file declares again what serves".to_owned());
        if let Some(rolling) = &self.rolling
            && rolling.pushed.rollout == rollout
        {
            self.declared_as = Some(rolling.pushed.version);
            let phase = rolling.shown_phase();
            self.enter(now, phase, again);
            return false;
        }
        if let Some(good) = &self.good
            && good.rollout == rollout
        {
            let (version, phase) = (good.version, good.phase);
            self.drop_rolling(now, "the file declares again the version before it");
            self.declared_as = Some(version);
            self.enter(now, phase, again);
            return false;
        }
        self.declared_as = None;
        self.trial = Some(trial);
        self.enter(now, Phase::Validating, None);
        true
    }

    /// The file is there, whatever it says.
    pub(super) fn find(&mut self) {
        self.present = true;
    }

    /// Whether this is what an Envoy is to run, and is judged by it.
    pub(super) fn tries(&self, has: &Delivery) -> bool {
        let rolling = self.rolling.as_ref();
        let watched = self.good.as_ref().filter(|_| self.probation.is_some());
        let judged = rolling.map(|rolling| &rolling.pushed).into_iter();
        judged
            .chain(watched)
            .any(|pushed| has.wants_version(pushed.version))
    }

    /// The file is gone: what is still tried goes too, what serves stays.
    pub(super) fn withdraw(&mut self, now: Moment) {
        if !self.present && self.phase == Phase::Withdrawn {
            return;
        }
        self.present = false;
        (self.trial, self.again) = (None, None);
        if self
            .rolling
            .as_ref()
            .is_some_and(|rolling| rolling.reach == Reach::Canary)
        {
            self.drop_rolling(now, "its file is gone");
        }
        let reason = "the file is gone; what served before serves on";
        self.enter(now, Phase::Withdrawn, Some(reason.to_owned()));
    }

    /// Under this name from now on, since another rollout has its own.
    pub(super) fn rename(&mut self, name: String) {
        self.name = name;
        self.changed = true;
    }

    /// Whether it has nothing for any Envoy, and never will.
    pub(super) fn is_spent(&self) -> bool {
        !self.present && self.rolling.is_none() && self.good.is_none()
    }

    /// Whether all that it has is for Envoys that have something good of another rollout.
    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        let covers = |theirs: &Rollout, groups: &[String]| {
            theirs.groups.is_empty()
                || (!groups.is_empty() && groups.iter().all(|group| theirs.is_for(group)))
        };
        !self.present
            && other.present
            && self.plugin() == other.plugin()
            && other.probation.is_none()
            && other.good.as_ref().is_some_and(|theirs| {
                let rolling = self.rolling.as_ref().map(|rolling| &rolling.pushed);
                let own = [rolling, self.good.as_ref()].into_iter().flatten();
                let mut groups = own.map(|pushed| pushed.rollout.groups.as_slice());
                groups.all(|groups| covers(&theirs.rollout, groups))
            })
    }

    /// How good its claim to an Envoy is, if it has something for it: less is better.
    pub(super) fn claim(&self, node: &Node) -> Option<u8> {
        let has_something = self.version_for(node).is_some();
        has_something.then(|| match (self.present, self.declared.is_for(&node.group)) {
            (true, true) => 0,
            (true, false) => 1,
            (false, _) => 2,
        })
    }

    fn version_for(&self, node: &Node) -> Option<&Pushed> {
        match &self.rolling {
            Some(rolling) if rolling.reaches(node) => Some(&rolling.pushed),
            _ => self
                .good
                .as_ref()
                .filter(|good| good.rollout.is_for(&node.group)),
        }
    }

    /// Has an Envoy sent what it should run.
    pub(super) fn supply(
        &mut self,
        now: Moment,
        asks: &mut Asks<'_>,
        numbers: &mut Numbers,
        actions: &mut Vec<Action>,
    ) {
        let tried = self
            .rolling
            .as_ref()
            .is_some_and(|it| it.reaches(asks.node));
        let Some(pushed) = self.version_for(asks.node) else {
            return;
        };
        let rollout = Arc::clone(&pushed.rollout);
        let version = pushed.version;
        // Who asks for a plugin twice gets two generations, so that each is counted by itself.
        let before = asks.has.sources_before();
        let known = pushed.generation(before);
        if asks.has.wants_version(version) {
            // What is on its way is judged; what is good is sent until it arrives, and both until it can be seen.
            let is_unmeasured = asks.unseen.is_none() && asks.has.is_unmeasured(now);
            if !is_unmeasured && (tried || !is_stuck(now, &rollout, asks)) {
                return;
            }
        } else if let Some(held) = asks.has.holds(pushed.generations())
            // What is tried goes there once more, so that what it does is counted from a known point on.
            && !tried
        {
            asks.has.want(now, &rollout, version, held);
            return;
        }
        let fresh = known.filter(|known| !asks.has.has_seen(*known));
        let generation = fresh.unwrap_or_else(|| {
            let generation = self.next_generation(numbers);
            let pushed = match &mut self.rolling {
                Some(rolling) if tried => Some(&mut rolling.pushed),
                _ => self.good.as_mut(),
            };
            if let Some(pushed) = pushed {
                pushed.renew(before, generation);
            }
            self.changed = true;
            generation
        });
        asks.has.want(now, &rollout, version, generation);
        actions.push(Action::Push {
            stream: asks.stream,
            rollout,
            generation,
        });
    }

    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// A number that no push has had. Modules count their configurations by its last digit, so that it
    /// differs from that of the pushes before.
    fn next_generation(&mut self, numbers: &mut Numbers) -> u64 {
        let mut slots = numbers.slots;
        for before in &self.recent {
            slots.take(*before);
        }
        let generation = slots.free_after(numbers.last);
        numbers.last = generation;
        if self.recent.len() == SLOTS_APART {
            self.recent.pop_front();
        }
        self.recent.push_back(generation);
        generation
    }

    /// What is declared is in another phase.
    fn enter(&mut self, now: Moment, phase: Phase, reason: Option<String>) {
        self.phase = phase;
        self.since = now.calendar();
        self.reason.clone_from(&reason);
        let version = self.declared.version(self.declared_as);
        self.write_down(now, phase, reason, version);
    }

    /// Something has become of a version, which may be the declared one.
    fn tell(&mut self, now: Moment, pushed: &Pushed, phase: Phase, reason: String) {
        if self.present && self.declared_as == Some(pushed.version) {
            self.enter(now, phase, Some(reason));
        } else {
            self.write_down(now, phase, Some(reason), pushed.shown());
        }
    }

    fn write_down(&mut self, now: Moment, phase: Phase, reason: Option<String>, version: Version) {
        self.changed = true;
        if self.history.len() == LONGEST_HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(HistoryEntry {
            at: now.calendar(),
            phase,
            reason,
            version,
        });
    }
}

/// Whether a good version has not arrived, and is to be sent again.
fn is_stuck(now: Moment, rollout: &Rollout, asks: &Asks<'_>) -> bool {
    let counts = rollout.module.counts_configurations();
    let within = rollout.criteria.not_confirmed_within;
    let unfinished = matches!(
        asks.has.progress(asks.node, counts, asks.unseen),
        Progress::Refused(_)
            | Progress::Waiting
            | Progress::Starting { .. }
            | Progress::Answering { .. }
    );
    unfinished && asks.has.is_due_again(now, within)
}
