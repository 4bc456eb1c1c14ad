use super::{Moment, Phase, Place, Reach, Rolling};
use crate::machine::subscribers::Subscribers;
use crate::status::{CanaryStatus, History, RolloutStatus, Tally};

impl Place {
    pub(in crate::machine) fn status(
        &self,
        now: Moment,
        subscribers: &Subscribers,
    ) -> RolloutStatus {
        let rolling = self.rolling.as_ref();
        let arrived = rolling.filter(|rolling| rolling.has_arrived());
        let serving = arrived
            .map(|rolling| &rolling.pushed)
            .or(self.good.as_ref());
        let tally = serving.map_or_else(Tally::default, |pushed| {
            subscribers.tally(self.plugin(), pushed.version)
        });
        RolloutStatus {
            name: self.name.clone(),
            file: self.declared.file.display().to_string(),
            plugin: self.declared.plugin.clone(),
            groups: self.declared.groups.clone(),
            phase: self.phase,
            reason: self.reason(tally),
            since: self.since,
            declared: self.declared.version(self.declared_as),
            serving: serving.map(super::Pushed::shown),
            served_by: tally,
            canary: rolling.and_then(|rolling| canary(now, rolling)),
            envoys: subscribers.status(&self.declared),
        }
    }

    /// Why it is in its phase; and where the phase is from before, whether it holds for all Envoys now.
    fn reason(&self, tally: Tally) -> Option<String> {
        let is_of_before = matches!(
            self.phase,
            Phase::Confirmed | Phase::Returned | Phase::Withdrawn
        );
        if !is_of_before || self.good.is_none() || tally.confirmed == tally.envoys {
            return self.reason.clone();
        }
        let now = format!(
            "of {} Envoys that are to run what serves, {} have acknowledged it, and on {} every \
             worker is seen to run it",
            tally.envoys, tally.acknowledged, tally.confirmed
        );
        Some(match &self.reason {
            // It held when it was seen, and would contradict what follows.
            Some(reason) => {
                let reason = reason.replace("every worker runs it", "every worker ran it");
                format!("{reason}; {now}")
            }
            None => now,
        })
    }

    /// What has happened to it.
    pub(in crate::machine) fn history(&self) -> History {
        History {
            name: self.name.clone(),
            entries: self.history.iter().cloned().collect(),
        }
    }
}

/// The end of the trial by the calendar as it is now: it may have been set meanwhile.
fn canary(now: Moment, rolling: &Rolling) -> Option<CanaryStatus> {
    let canary = rolling.pushed.rollout.canary.as_ref()?;
    (rolling.reach == Reach::Canary).then(|| CanaryStatus {
        group: canary.group.clone(),
        until: rolling
            .until
            .map(|until| now.after(until.since(now)).calendar()),
    })
}
