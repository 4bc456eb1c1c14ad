//! What becomes of a version that is tried, sent and watched.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::{Moment, Numbers, Phase, Place, Pushed, Reach, Rolling};
use crate::machine::Setback;
use crate::machine::judgement::{Judgement, judge};
use crate::machine::subscribers::Subscribers;
use crate::rollout::{FailurePolicy, Rollout};

/// What could not be tried is tried again after times that double, from this to that.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

impl Rolling {
    /// What the status calls this.
    pub(super) fn shown_phase(&self) -> Phase {
        match (self.reach, self.pushed.phase) {
            (Reach::Canary, Phase::Confirmed) => Phase::Canary,
            (_, phase) => phase,
        }
    }

    /// Whose Envoys are to run it now.
    fn asked(&self) -> String {
        match (self.reach, &self.pushed.rollout.canary) {
            (Reach::Canary, Some(canary)) => format!("its canary group, `{}`,", canary.group),
            _ => "its groups".to_owned(),
        }
    }
}

/// What nobody would see of a version that every worker runs, as a sentence after another.
fn unseen(rollout: &Rollout) -> &'static str {
    match (rollout.failure_policy, &rollout.probe) {
        (FailurePolicy::FailOpen, None) => {
            "; with `fail_open` a filter that traps is gone from then on, which only a `probe` sees"
        }
        _ => "",
    }
}

impl Place {
    /// Takes what came of a trial: a good version is on its way from here on.
    pub(in crate::machine) fn checked(
        &mut self,
        now: Moment,
        trial: u64,
        outcome: Result<Arc<Rollout>, Setback>,
        numbers: &mut Numbers,
    ) {
        if self.trial != Some(trial) {
            return;
        }
        self.trial = None;
        match outcome {
            Ok(rollout) => self.declared = rollout,
            Err(Setback::Refused(reason)) => {
                self.again = None;
                self.enter(now, Phase::Refused, Some(reason));
                return;
            }
            Err(Setback::Later(reason)) => {
                self.put_off(now, &reason);
                return;
            }
        }
        self.again = None;
        let generation = self.next_generation(numbers);
        let before = self.rolling.take();
        if let Some(before) = before.filter(Rolling::has_arrived) {
            self.keep_on_probation(before);
        }
        let pushed = Pushed::new(Arc::clone(&self.declared), generation);
        self.declared_as = Some(pushed.version);
        self.rolling = Some(Rolling {
            reach: match self.declared.canary {
                Some(_) => Reach::Canary,
                None => Reach::All,
            },
            until: None,
            confirmed: false,
            pushed,
        });
        self.enter(now, Phase::Pushed, None);
    }

    /// What is declared could not be tried: it is tried again, after times that double.
    fn put_off(&mut self, now: Moment, reason: &str) {
        let times = self.again.map_or(0, |(_, times)| times);
        let pause = FIRST_PAUSE
            .saturating_mul(1 << times.min(16))
            .min(LONGEST_PAUSE);
        self.again = Some((now.after(pause), times + 1));
        let seconds = pause.as_secs();
        let reason = format!("{reason}; it is tried again after {seconds} s");
        if times == 0 {
            self.enter(now, Phase::Validating, Some(reason));
        } else {
            // Not an event of its own.
            self.reason = Some(reason);
        }
    }

    /// What is to be tried again now.
    pub(in crate::machine) fn try_again(
        &mut self,
        now: Moment,
        trial: u64,
    ) -> Option<Arc<Rollout>> {
        let (at, _) = self.again?;
        if self.trial.is_some() || !now.has_reached(at) {
            return None;
        }
        self.trial = Some(trial);
        Some(Arc::clone(&self.declared))
    }

    /// Looks at what has become of the version that is on its way; true if something follows for Envoys.
    pub(in crate::machine) fn judge(&mut self, now: Moment, subscribers: &Subscribers) -> bool {
        let revoked = self.judge_good(now, subscribers);
        self.judge_rolling(now, subscribers) || revoked
    }

    /// Looks at a version that is called good, and was not watched to its end when another was declared.
    fn judge_good(&mut self, now: Moment, subscribers: &Subscribers) -> bool {
        let (Some(until), Some(good)) = (self.probation, &self.good) else {
            return false;
        };
        match judge(now, &good.rollout, good.version, subscribers) {
            Judgement::Failed(reason) => {
                self.probation = None;
                let failed = std::mem::replace(&mut self.good, self.previous.take());
                let phase = match &self.good {
                    Some(_) => Phase::Returned,
                    None => Phase::Refused,
                };
                if let Some(failed) = failed {
                    self.tell(now, &failed, phase, reason);
                }
                true
            }
            Judgement::Running | Judgement::Acknowledged(_) if now.has_reached(until) => {
                self.probation = None;
                self.changed = true;
                false
            }
            _ => false,
        }
    }

    fn judge_rolling(&mut self, now: Moment, subscribers: &Subscribers) -> bool {
        let Some(rolling) = &self.rolling else {
            return false;
        };
        let pushed = &rolling.pushed;
        let declared = self.present && self.declared_as == Some(pushed.version);
        match judge(now, &pushed.rollout, pushed.version, subscribers) {
            Judgement::Failed(reason) => {
                if rolling.reach == Reach::All && self.probation.is_some() {
                    // The one before it ran too short a time to be trusted more.
                    self.probation = None;
                    let proven = self.previous.take();
                    self.good = proven.or(self.good.take());
                }
                self.give_back(now, &reason, subscribers);
                true
            }
            Judgement::Running => self.run(now),
            Judgement::Acknowledged(reason) => self.stay_unconfirmed(now, reason),
            Judgement::Pending(reason) => self.pend(now, declared, reason),
            Judgement::Nobody => {
                let reason = format!("no Envoy of {} asks for it yet", rolling.asked());
                self.pend(now, declared, reason)
            }
        }
    }

    /// Why it has not come yet; not an event of its own: the phase stays.
    fn pend(&mut self, now: Moment, declared: bool, reason: String) -> bool {
        let until = self.rolling.as_ref().and_then(|rolling| rolling.until);
        let is_over = until.is_some_and(|until| now.has_reached(until));
        if declared && (is_over || self.phase == Phase::Pushed) {
            self.reason = Some(reason);
        }
        false
    }

    /// Every worker runs the version.
    fn run(&mut self, now: Moment) -> bool {
        let Some(rolling) = &mut self.rolling else {
            return false;
        };
        if rolling.confirmed && rolling.pushed.phase != Phase::Confirmed {
            // As before an Envoy came of which nobody can tell, and which is gone again or was seen.
            rolling.pushed.phase = Phase::Confirmed;
            let (phase, version) = (rolling.shown_phase(), rolling.pushed.version);
            self.show(version, phase, "every worker runs it again");
            return false;
        }
        if rolling.pushed.phase != Phase::Confirmed {
            rolling.pushed.phase = Phase::Confirmed;
            rolling.confirmed = true;
            let rollout = &rolling.pushed.rollout;
            let time = match (rolling.reach, &rollout.canary) {
                (Reach::Canary, Some(canary)) => canary.watched_for,
                _ => rollout.criteria.watched_for,
            };
            let until = now.after(time);
            rolling.until = Some(until);
            let phase = rolling.shown_phase();
            let (until, unseen) = (until.calendar(), unseen(rollout));
            let reason = match phase {
                Phase::Canary => {
                    format!("the canary group runs it, and is watched until {until}{unseen}")
                }
                _ => format!("every worker runs it; it may fail until {until}{unseen}"),
            };
            let pushed = rolling.pushed.clone();
            self.tell(now, &pushed, phase, reason);
            return false;
        }
        if !rolling.until.is_some_and(|until| now.has_reached(until)) {
            return false;
        }
        match rolling.reach {
            Reach::Canary => self.reach_all(now, "the canary group ran it without failure"),
            Reach::All => {
                let unseen = unseen(&rolling.pushed.rollout);
                self.finish(&format!("every worker runs it{unseen}"));
            }
        }
        true
    }

    /// Nobody can tell more than that it was acknowledged.
    fn stay_unconfirmed(&mut self, now: Moment, reason: String) -> bool {
        let Some(rolling) = &mut self.rolling else {
            return false;
        };
        let before = rolling.pushed.phase;
        rolling.pushed.phase = Phase::AcknowledgedUnconfirmed;
        if rolling.confirmed && before != Phase::AcknowledgedUnconfirmed {
            let version = rolling.pushed.version;
            self.show(version, Phase::AcknowledgedUnconfirmed, &reason);
        } else if before != Phase::AcknowledgedUnconfirmed {
            rolling.until = Some(now.after(rolling.pushed.rollout.criteria.watched_for));
            let pushed = rolling.pushed.clone();
            self.tell(now, &pushed, Phase::AcknowledgedUnconfirmed, reason);
        } else if rolling.reach == Reach::All
            && rolling.until.is_some_and(|until| now.has_reached(until))
        {
            // Never promoted to others, but good where it is.
            self.finish(&reason);
        }
        false
    }

    /// What the status says of it, without an event.
    fn show(&mut self, version: u64, phase: Phase, reason: &str) {
        if self.present && self.declared_as == Some(version) {
            self.phase = phase;
            self.reason = Some(reason.to_owned());
        }
    }

    /// It was watched to its end.
    fn finish(&mut self, reason: &str) {
        if let Some(rolling) = self.rolling.take() {
            if self.present && self.declared_as == Some(rolling.pushed.version) {
                self.reason = Some(reason.to_owned());
            }
            self.keep(rolling.pushed);
        }
    }

    /// The version that is on its way goes; Envoys get the last good one again.
    fn give_back(&mut self, now: Moment, reason: &str, subscribers: &Subscribers) {
        let Some(rolling) = self.rolling.take() else {
            return;
        };
        let (phase, reason) = match &self.good {
            Some(good) => {
                let mut reason = reason.to_owned();
                let have_it = subscribers.with(self.plugin(), rolling.pushed.version);
                let left = have_it.filter(|node| !good.rollout.is_for(&node.group));
                let left = left.count();
                if left > 0 {
                    let _ = write!(
                        reason,
                        "; {left} of its Envoys are of no group of the version before, and keep \
                         what they have"
                    );
                }
                (Phase::Returned, reason)
            }
            None => (
                Phase::Refused,
                format!(
                    "{reason}; no version before it is known to be good, so that each Envoy keeps \
                     what it has, and one that comes gets none, until the file or its module changes"
                ),
            ),
        };
        self.tell(now, &rolling.pushed, phase, reason);
    }

    /// The version that is on its way goes, for no fault of its own.
    pub(super) fn drop_rolling(&mut self, now: Moment, reason: &str) {
        if let Some(rolling) = self.rolling.take() {
            let reason = Some(reason.to_owned());
            self.write_down(now, Phase::Returned, reason, rolling.pushed.shown());
        }
    }

    /// The version of the canary group goes to the others now.
    pub(in crate::machine) fn promote(&mut self, now: Moment) -> Result<(), String> {
        match &self.rolling {
            Some(rolling) if rolling.shown_phase() == Phase::Canary => {
                self.reach_all(now, "an operator promoted it");
                Ok(())
            }
            Some(rolling)
                if rolling.reach == Reach::Canary && rolling.pushed.phase == Phase::Pushed =>
            {
                Err("not every worker of the canary group runs it yet".to_owned())
            }
            Some(rolling) if rolling.reach == Reach::Canary => Err(
                "nobody can tell that the canary group runs it, and what is unconfirmed is never \
                 promoted"
                    .to_owned(),
            ),
            _ => Err("no canary group tries a version of it".to_owned()),
        }
    }

    fn reach_all(&mut self, now: Moment, reason: &str) {
        if let Some(rolling) = &mut self.rolling {
            rolling.reach = Reach::All;
            rolling.until = None;
            rolling.confirmed = false;
            rolling.pushed.phase = Phase::Pushed;
            let pushed = rolling.pushed.clone();
            self.tell(now, &pushed, Phase::Pushed, reason.to_owned());
        }
    }

    /// Back to the version before, as an operator wishes.
    pub(in crate::machine) fn undo(
        &mut self,
        now: Moment,
        subscribers: &Subscribers,
    ) -> Result<(), String> {
        let reason = "an operator took it back";
        match (&self.rolling, &self.good) {
            (Some(_), Some(_)) => {
                self.give_back(now, reason, subscribers);
                return Ok(());
            }
            (Some(_), None) => return Err("there is no version before it".to_owned()),
            (None, _) => {}
        }
        let Some(previous) = self.previous.take() else {
            return Err("there is no version before it that was good".to_owned());
        };
        self.probation = None;
        let Some(good) = self.good.replace(previous) else {
            return Ok(());
        };
        self.tell(now, &good, Phase::Returned, reason.to_owned());
        if !self.present || self.declared_as != Some(good.version) {
            // The phase is that of what is declared, and stays.
            let so_far = match (self.phase, &self.reason) {
                (Phase::Withdrawn, _) => "the file is gone; ".to_owned(),
                (_, Some(reason)) => format!("{reason}; "),
                (_, None) => String::new(),
            };
            self.reason = Some(format!("{so_far}an operator took back what served"));
        }
        Ok(())
    }

    /// A version is good from here on.
    fn keep(&mut self, pushed: Pushed) {
        let before = self.good.replace(pushed);
        // What was on probation has been overtaken, and was never proven.
        if let (Some(before), None) = (before, self.probation.take()) {
            self.previous = Some(before);
        }
        self.changed = true;
    }

    /// A version has arrived, and another is declared before it was watched to its end: it stays where the other
    /// does not go yet, and is watched there.
    fn keep_on_probation(&mut self, rolling: Rolling) {
        self.keep(rolling.pushed);
        self.probation = rolling.until;
    }
}
