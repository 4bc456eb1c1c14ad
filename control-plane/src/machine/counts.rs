//! What an Envoy counts, and what follows from it for a version that was sent to it.

use std::collections::BTreeMap;
use std::time::Duration;

/// An Envoy's counters, from its start on.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Counts {
    /// The workers that it has.
    pub workers: u64,
    /// Requests that were answered, and those of them with a status of 5xx.
    pub requests: Share,
    /// The 99th percentile of the time of requests, in the last interval.
    pub p99: Option<Duration>,
    /// What it counts of each plugin, by the plugin's name.
    pub plugins: BTreeMap<String, PluginCounts>,
}

/// What an Envoy counts of a plugin, of all versions together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct PluginCounts {
    /// How often a VM has configured it, by the slot of the generation. Without an entry Envoy does not know
    /// the counter.
    pub configured: BTreeMap<u64, u64>,
    /// Restarts of its VMs (`vm_reload_success`).
    pub restarts: u64,
    /// Restarts of its VMs that did not succeed (`vm_reload_failure`).
    pub failed_restarts: u64,
    /// Streams in which the filter failed (`attache_errors_total`).
    pub errors: u64,
}

/// Some of many.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Share {
    /// How many.
    pub all: u64,
    /// How many of these failed.
    pub failed: u64,
}

/// The slot in which a module counts its configurations as this generation (`attache_configured_total`).
pub(crate) fn slot(generation: u64) -> u64 {
    generation % 10
}

/// Slots that are taken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Slots([bool; 10]);

impl Slots {
    pub(super) fn take(&mut self, generation: u64) {
        for (number, taken) in (0..).zip(&mut self.0) {
            *taken |= number == slot(generation);
        }
    }

    /// The first generation after `last` whose slot is free; if none is, the next one.
    pub(super) fn free_after(&self, last: u64) -> u64 {
        let is_taken = |generation: &u64| {
            let mut all = (0..).zip(self.0);
            all.any(|(number, taken)| taken && number == slot(*generation))
        };
        let mut ten = last + 1..last + 11;
        ten.find(|one| !is_taken(one)).unwrap_or(last + 1)
    }
}

/// The counters of an Envoy that are about one plugin.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    workers: u64,
    requests: Share,
    pub(super) p99: Option<Duration>,
    plugin: PluginCounts,
}

/// What several readings say of the workers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Running {
    /// So many of so many workers run it.
    Some { running: u64, workers: u64 },
    /// All do.
    All { workers: u64 },
    /// Envoy does not say how many workers it has.
    NoWorkers,
    /// Envoy does not count configurations, or does not show it.
    NotCounted,
    /// VMs were restarted meanwhile, perhaps those of the version before, which raises the same counter.
    Restarted,
}

impl Counts {
    pub(super) fn of(&self, plugin: &str) -> Reading {
        Reading {
            workers: self.workers,
            requests: self.requests,
            p99: self.p99,
            plugin: self.plugins.get(plugin).cloned().unwrap_or_default(),
        }
    }
}

impl Reading {
    pub(super) fn requests(&self) -> Share {
        self.requests
    }

    pub(super) fn workers(&self) -> u64 {
        self.workers
    }
}

/// What was counted since a certain reading, over all that came after it.
///
/// Envoy drops the statistics of a module with the last VM that has defined them, and begins with nothing when
/// another defines them anew. So what is counted is the steps between readings.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Gain {
    /// Configurations as the generation that is watched, and as others.
    own: u64,
    others: u64,
    restarts: u64,
    /// Restarts between readings of which one cannot tell what others were configured meanwhile.
    unclear_restarts: u64,
    failed_restarts: u64,
    errors: u64,
    requests: Share,
    /// Whether the counter of configurations was seen at all.
    shown: bool,
    /// Whether a version ran before that counted its configurations.
    counted_before: bool,
    /// Whether none ran before.
    is_first: bool,
}

/// By how much a counter has risen that may have begun anew.
fn step(earlier: u64, later: u64) -> u64 {
    later.checked_sub(earlier).unwrap_or(later)
}

impl Gain {
    /// Nothing yet, since this reading; whether the Envoy has run nothing of the plugin before.
    pub(super) fn begin(reading: &Reading, is_first: bool) -> Self {
        let counts = !reading.plugin.configured.is_empty();
        Self {
            shown: counts,
            counted_before: counts,
            is_first,
            ..Self::default()
        }
    }

    /// Takes the next reading.
    pub(super) fn take(&mut self, earlier: &Reading, later: &Reading, generation: u64) {
        let own = slot(generation);
        let (before, now) = (&earlier.plugin, &later.plugin);
        for (slot, count) in &now.configured {
            let step = step(before.configured.get(slot).copied().unwrap_or(0), *count);
            if *slot == own {
                self.own = self.own.saturating_add(step);
            } else {
                self.others = self.others.saturating_add(step);
            }
        }
        let restarts = step(before.restarts, now.restarts);
        self.restarts = self.restarts.saturating_add(restarts);
        let others = before.configured.keys().filter(|slot| **slot != own);
        let stay = others
            .into_iter()
            .all(|slot| now.configured.contains_key(slot));
        if !(self.is_first || self.counted_before && stay) {
            self.unclear_restarts = self.unclear_restarts.saturating_add(restarts);
        }
        self.failed_restarts = self
            .failed_restarts
            .saturating_add(step(before.failed_restarts, now.failed_restarts));
        self.errors = self.errors.saturating_add(step(before.errors, now.errors));
        self.requests.all = self
            .requests
            .all
            .saturating_add(step(earlier.requests.all, later.requests.all));
        self.requests.failed = self
            .requests
            .failed
            .saturating_add(step(earlier.requests.failed, later.requests.failed));
        self.shown |= !now.configured.is_empty();
    }

    /// How many of these workers run the generation, if this is counted since it was sent.
    ///
    /// The canary and the main thread configure it too (hence two more), and so does each VM of it that is
    /// restarted. Restarts are counted for all versions together; those of the version before raise its own
    /// slot.
    pub(super) fn running(&self, workers: u64) -> Running {
        if workers == 0 {
            return Running::NoWorkers;
        }
        if !self.shown {
            return Running::NotCounted;
        }
        let running = self.own.saturating_sub(2);
        if running.saturating_sub(self.own_restarts()) >= workers {
            Running::All { workers }
        } else if running >= workers {
            Running::Restarted
        } else {
            Running::Some { running, workers }
        }
    }

    /// Restarts that may be the generation's own.
    fn own_restarts(&self) -> u64 {
        self.restarts.saturating_sub(self.others)
    }

    /// Restarts that are the generation's own for certain, while others may have run beside it.
    pub(super) fn certain_failures(&self) -> u64 {
        self.own_restarts().saturating_sub(self.unclear_restarts)
    }

    /// Errors and restarts, of whatever version.
    pub(super) fn failures(&self) -> u64 {
        self.restarts
            .saturating_add(self.failed_restarts)
            .saturating_add(self.errors)
    }

    pub(super) fn requests(&self) -> Share {
        self.requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(configured: &[(u64, u64)], restarts: u64) -> Reading {
        Reading {
            workers: 2,
            plugin: PluginCounts {
                configured: configured.iter().copied().collect(),
                restarts,
                ..PluginCounts::default()
            },
            ..Reading::default()
        }
    }

    /// What these readings say of generation 17, one after the other.
    fn gain(readings: &[Reading]) -> Gain {
        let mut gain = Gain::begin(&readings[0], false);
        for pair in readings.windows(2) {
            gain.take(&pair[0], &pair[1], 17);
        }
        gain
    }

    fn some(running: u64) -> Running {
        Running::Some {
            running,
            workers: 2,
        }
    }

    const ALL: Running = Running::All { workers: 2 };

    #[test]
    fn all_workers_run_it_when_the_slot_has_risen_by_two_more() {
        let before = reading(&[(6, 4)], 0);
        for (raised, running) in [(2, some(0)), (3, some(1)), (4, ALL)] {
            let now = reading(&[(6, 4), (7, raised)], 0);
            assert_eq!(gain(&[before.clone(), now]).running(2), running);
        }
    }

    #[test]
    fn a_slot_that_was_used_before_counts_from_where_it_stood() {
        let gain = gain(&[reading(&[(7, 40)], 0), reading(&[(7, 43)], 0)]);
        assert_eq!(gain.running(2), some(1));
    }

    #[test]
    fn a_counter_that_ends_and_begins_anew_counts_from_nothing() {
        let of = |slots: &[(u64, u64)]| reading(slots, 0);
        assert_eq!(gain(&[of(&[(7, 40)]), of(&[(7, 4)])]).running(2), ALL);
        let vanished = [of(&[(7, 4)]), of(&[]), of(&[(7, 3)])];
        assert_eq!(gain(&vanished).running(2), some(1));
        // It was seen before, so that nothing is known to be nothing.
        assert_eq!(gain(&[of(&[(6, 4)]), of(&[])]).running(2), some(0));
    }

    #[test]
    fn numbers_are_given_out_whose_slots_are_free() {
        let mut slots = Slots::default();
        assert_eq!(slots.free_after(108), 109);
        for taken in [9, 50, 1, 13] {
            slots.take(taken);
        }
        assert_eq!(slots.free_after(108), 112);
        for taken in 0..10 {
            slots.take(taken);
        }
        assert_eq!(slots.free_after(108), 109);
    }

    #[test]
    fn restarts_of_the_version_before_are_its_own() {
        let gain = gain(&[reading(&[(6, 4)], 3), reading(&[(6, 6), (7, 4)], 5)]);
        assert_eq!(gain.running(2), ALL);
        assert_eq!(gain.certain_failures(), 0);
    }

    #[test]
    fn restarts_of_its_own_stand_for_no_worker() {
        // One worker runs it and was restarted once.
        let before = reading(&[(6, 4)], 0);
        let once = gain(&[before.clone(), reading(&[(6, 4), (7, 4)], 1)]);
        assert_eq!(once.running(2), Running::Restarted);
        assert_eq!(once.certain_failures(), 1);
        assert_eq!(
            gain(&[before, reading(&[(6, 4), (7, 5)], 1)]).running(2),
            ALL
        );
    }

    #[test]
    fn restarts_that_may_be_those_of_a_version_that_is_gone_are_nobodys() {
        let gain = gain(&[
            reading(&[(6, 4)], 0),
            reading(&[(6, 4), (7, 2)], 0),
            reading(&[(7, 4)], 1),
        ]);
        assert_eq!(gain.running(2), Running::Restarted);
        assert_eq!(gain.certain_failures(), 0, "{gain:?}");
    }

    #[test]
    fn failures_of_a_version_that_does_not_count_are_nobody_elses() {
        for before in [0, 7] {
            let gain = gain(&[reading(&[], before), reading(&[(7, 4)], before + 1)]);
            assert_eq!(gain.certain_failures(), 0);
        }
    }

    #[test]
    fn what_is_not_shown_is_not_taken_for_nothing() {
        let none = gain(&[reading(&[], 0), reading(&[], 0)]);
        assert_eq!(none.running(2), Running::NotCounted);
        assert_eq!(none.running(0), Running::NoWorkers);
        let other = gain(&[reading(&[(6, 4)], 0), reading(&[(6, 4)], 0)]);
        assert_eq!(other.running(2), some(0));
    }
}
