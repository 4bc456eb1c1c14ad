//! What is pushed to whom, and what becomes of it: events in, actions out.
//!
//! The machine has no clock, no files and no network. Whoever drives it tells it what happened and when, and
//! does what it answers, in that order.

mod claims;
mod counts;
mod delivery;
mod event;
mod judgement;
mod memory;
mod moment;
mod place;
mod probed;
mod pushed;
mod subscribers;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::rollout::Rollout;
use crate::status::{FileFault, History, RolloutStatus, Status};

use self::counts::Slots;
pub(crate) use self::counts::slot;
pub use self::counts::{Counts, PluginCounts, Share};
use self::delivery::Delivery;
pub use self::event::{Action, Denial, Event, Setback, StreamId, Watch, Wish};
pub use self::memory::Memory;
pub use self::moment::Moment;
use self::place::{Numbers, Place};
pub use self::probed::{Probing, Round};
pub use self::subscribers::Node;
use self::subscribers::Subscribers;

/// While workers follow the main thread an Envoy's counters are read as often as this, for so long.
const SOON: Duration = Duration::from_millis(20);
const SOON_FOR: Duration = Duration::from_secs(1);
/// So often while a version is watched.
const WATCHED: Duration = Duration::from_millis(200);
/// So often is an Envoy probed that did not show at once what its workers run; a round of it is many requests.
const PROBED: Duration = Duration::from_secs(1);
/// So often while a good one has not arrived for long.
const SELDOM: Duration = Duration::from_secs(5);
/// For each Envoy there is, what they say is left for so long, so that many that speak at once are looked at together.
const APART_FOR_EACH: Duration = Duration::from_micros(50);
/// But never for longer than this.
const LONGEST_APART: Duration = Duration::from_millis(100);
/// What is judged may have consequences that are judged again; not more often than this at once.
const MOST_TURNS: usize = 8;

/// The state of all rollouts and of the Envoys that ask for them.
#[derive(Debug)]
pub struct Machine {
    places: BTreeMap<String, Place>,
    subscribers: Subscribers,
    faults: Vec<FileFault>,
    last_generation: u64,
    last_trial: u64,
    /// When all was looked at last.
    settled: Option<Moment>,
}

impl Machine {
    /// A machine without rollouts. Generations begin behind this one: an Envoy takes a push that it has had
    /// before for applied, so that no number may come twice.
    #[must_use]
    pub fn new(last_generation: u64) -> Self {
        Self {
            places: BTreeMap::new(),
            subscribers: Subscribers::new(last_generation),
            faults: Vec::new(),
            last_generation,
            last_trial: 0,
            settled: None,
        }
    }

    /// Takes in what happened now, and says what to do.
    pub fn apply(&mut self, now: Moment, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Declared {
                rollouts,
                faults,
                present,
            } => {
                self.faults = faults;
                self.declare_all(now, rollouts, &present, &mut actions);
            }
            Event::Checked {
                name,
                trial,
                outcome,
            } => {
                if let Some(place) = self.places.get_mut(&name) {
                    let mut numbers = Numbers {
                        last: self.last_generation,
                        slots: self.subscribers.slots(place.plugin()),
                    };
                    place.checked(now, trial, outcome, &mut numbers);
                    self.last_generation = numbers.last;
                }
            }
            Event::Tick => {
                self.subscribers.forget(now, self.last_generation);
                self.try_again(now, &mut actions);
            }
            of_a_stream => {
                self.hear(now, of_a_stream);
                if !self.is_due(now) {
                    // The next tick looks at it, if nothing does so before.
                    return actions;
                }
            }
        }
        self.settle(now, &mut actions);
        actions
    }

    /// Whether all may be looked at again, of which the time grows with the number of Envoys.
    fn is_due(&self, now: Moment) -> bool {
        let envoys = u32::try_from(self.subscribers.count()).unwrap_or(u32::MAX);
        let apart = APART_FOR_EACH.saturating_mul(envoys).min(LONGEST_APART);
        self.settled
            .is_none_or(|settled| now.since(settled) >= apart)
    }

    /// Takes in what an Envoy says or does.
    fn hear(&mut self, now: Moment, event: Event) {
        let subscribers = &mut self.subscribers;
        match event {
            Event::Connected { stream, node } => subscribers.connect(now, stream, node),
            Event::Disconnected { stream } => subscribers.disconnect(now, stream),
            Event::Seen { stream, counts } => subscribers.see(now, stream, counts),
            Event::Subscribed {
                stream,
                plugin,
                holds,
            } => subscribers.subscribe(now, stream, plugin, holds),
            Event::Sent {
                stream,
                plugin,
                generation,
                before,
                answered,
            } => {
                if let Some(has) = subscribers.delivery(stream, &plugin) {
                    has.send(now, generation, before.map(|counts| counts.of(&plugin)));
                    has.was_probed(answered);
                }
            }
            Event::Probed {
                stream,
                plugin,
                generation,
                round,
            } => {
                if let Some(has) = subscribers.delivery(stream, &plugin) {
                    has.take_round(now, generation, round);
                }
            }
            Event::Acknowledged {
                stream,
                plugin,
                generation,
            } => {
                if let Some(has) = subscribers.delivery(stream, &plugin) {
                    has.acknowledge(now, generation);
                }
            }
            Event::Refused {
                stream,
                plugin,
                generation,
                reason,
            } => {
                if let Some(has) = subscribers.delivery(stream, &plugin) {
                    has.refuse(now, generation, reason);
                }
            }
            _ => {}
        }
    }

    /// Does what an operator wishes, if it is the time for it.
    ///
    /// # Errors
    ///
    /// [`Denial`], which says why not.
    pub fn grant(&mut self, now: Moment, name: &str, wish: Wish) -> Result<Vec<Action>, Denial> {
        let place = self.places.get_mut(name).ok_or(Denial::Unknown)?;
        match wish {
            Wish::Promote => place.promote(now),
            Wish::Undo => place.undo(now, &self.subscribers),
        }
        .map_err(Denial::NotNow)?;
        let mut actions = Vec::new();
        // Nobody is judged by it who has not been sent it.
        self.supply(now, &mut actions);
        self.settle(now, &mut actions);
        Ok(actions)
    }

    /// Whether a stream is open whose Envoy is to run this generation of a plugin.
    #[must_use]
    pub fn wants(&self, stream: StreamId, plugin: &str, generation: u64) -> bool {
        self.subscribers.wants(stream, plugin, generation)
    }

    /// Whether the Envoy of an open stream has acknowledged any version of a plugin.
    pub(crate) fn has_any(&self, stream: StreamId, plugin: &str) -> bool {
        let mut all = self.subscribers.plugins(stream);
        all.any(|(_, name, has)| name == plugin && has.acknowledged().is_some())
    }

    /// What is to be learned of an Envoy from now on; nothing if there is nothing to be learned.
    #[must_use]
    pub fn watch(&self, now: Moment, stream: StreamId) -> Option<Watch> {
        let mut watch: Option<Watch> = None;
        for (node, plugin, has) in self.subscribers.plugins(stream) {
            let Some(every) = self
                .interest(now, node, plugin, has)
                .filter(|_| node.admin.is_some())
            else {
                continue;
            };
            let watch = watch.get_or_insert_with(|| Watch {
                plugins: BTreeSet::new(),
                probes: Vec::new(),
                every,
            });
            watch.plugins.insert(plugin.to_owned());
            let is_watched = self.is_tried(plugin, has);
            let probing = has.probing(node, plugin, is_watched);
            watch
                .probes
                .extend(probing.filter(|_| is_probed_now(now, has)));
            watch.every = watch.every.min(every);
        }
        watch
    }

    fn interest(&self, now: Moment, node: &Node, plugin: &str, has: &Delivery) -> Option<Duration> {
        let Some(sent_for) = has.sent_for(now) else {
            // It had the version already when it came.
            return has.probing(node, plugin, false).map(|_| SELDOM);
        };
        if !has.is_confirmed() && sent_for < SOON_FOR {
            Some(SOON)
        } else if self.is_tried(plugin, has) {
            Some(WATCHED)
        } else if has.is_confirmed() {
            None
        } else if !has.is_late(now) && has.probing(node, plugin, false).is_some() {
            Some(PROBED)
        } else {
            Some(SELDOM)
        }
    }

    /// Whether what an Envoy has of a plugin is judged by what it does.
    fn is_tried(&self, plugin: &str, has: &Delivery) -> bool {
        let mut places = self.places.values().filter(|one| one.plugin() == plugin);
        places.any(|place| place.tries(has))
    }

    /// Takes what the folder of rollouts holds.
    fn declare_all(
        &mut self,
        now: Moment,
        rollouts: Vec<Arc<Rollout>>,
        present: &[String],
        actions: &mut Vec<Action>,
    ) {
        let is_there = |name: &str| present.iter().any(|one| one == name);
        let mut in_force = BTreeMap::new();
        for (name, place) in &mut self.places {
            if is_there(name) {
                place.find();
                in_force.insert(name.clone(), Arc::clone(place.declared()));
            } else {
                place.withdraw(now);
            }
        }
        let (rollouts, faults) = claims::settle(&in_force, rollouts);
        self.faults.extend(faults);
        for rollout in rollouts {
            self.declare(now, rollout, actions);
        }
    }

    fn declare(&mut self, now: Moment, mut rollout: Arc<Rollout>, actions: &mut Vec<Action>) {
        let trial = self.last_trial + 1;
        let name = &rollout.name.clone();
        if let Some(place) = self.places.get_mut(name)
            && place.plugin() == rollout.plugin
        {
            if !place.declare(now, Arc::clone(&rollout), trial) {
                return;
            }
            rollout = Arc::clone(place.declared());
        } else {
            if let Some(mut other) = self.places.remove(name) {
                // What it has serves on for the plugin that it was about.
                other.withdraw(now);
                // What has nothing takes the place of nothing.
                if !other.is_spent() {
                    let aside = self.name_aside(name, other.plugin());
                    other.rename(aside.clone());
                    self.places.insert(aside, other);
                }
            }
            let place = Place::new(now, Arc::clone(&rollout), trial);
            self.places.insert(name.clone(), place);
        }
        self.last_trial = trial;
        actions.push(Action::Check { rollout, trial });
    }

    /// A name for what a file said of another plugin than it says now. The same file may have done so before.
    fn name_aside(&self, name: &str, plugin: &str) -> String {
        let first = format!("{name} ({plugin})");
        let others = (2..).map(|number| format!("{name} ({plugin}, {number})"));
        let mut names = std::iter::once(first.clone()).chain(others);
        let free = names.find(|name| !self.places.contains_key(name));
        free.unwrap_or(first)
    }

    /// Has tried again what could not be tried.
    fn try_again(&mut self, now: Moment, actions: &mut Vec<Action>) {
        for place in self.places.values_mut() {
            let trial = self.last_trial + 1;
            if let Some(rollout) = place.try_again(now, trial) {
                self.last_trial = trial;
                actions.push(Action::Check { rollout, trial });
            }
        }
    }

    /// Judges what has happened, and sends what follows.
    fn settle(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.settled = Some(now);
        for _ in 0..MOST_TURNS {
            let mut again = false;
            for place in self.places.values_mut() {
                again |= place.judge(now, &self.subscribers);
            }
            self.supply(now, actions);
            if !again {
                break;
            }
        }
        let mut changed = self.tidy();
        for place in self.places.values_mut() {
            changed |= place.take_changed();
        }
        if changed {
            actions.push(Action::Save);
        }
    }

    /// Has each Envoy sent what it should run, by the one rollout that has the best claim to it.
    fn supply(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let Self {
            places,
            subscribers,
            last_generation,
            ..
        } = self;
        let mut by_plugin: BTreeMap<String, (Slots, Vec<&mut Place>)> = BTreeMap::new();
        for place in places.values_mut() {
            let slots = subscribers.slots(place.plugin());
            let of_plugin = by_plugin.entry(place.plugin().to_owned());
            of_plugin.or_insert((slots, Vec::new())).1.push(place);
        }
        for mut asks in subscribers.all_mut() {
            let (slots, of_plugin) = match by_plugin.get_mut(asks.plugin) {
                Some((slots, of_plugin)) => (*slots, of_plugin.as_mut_slice()),
                None => (Slots::default(), [].as_mut_slice()),
            };
            let claims = of_plugin.iter_mut();
            let claims = claims.filter_map(|place| Some((place.claim(asks.node)?, place)));
            let mut numbers = Numbers {
                last: *last_generation,
                slots,
            };
            match claims.min_by_key(|(claim, _)| *claim) {
                Some((_, place)) => place.supply(now, &mut asks, &mut numbers, actions),
                None => asks.has.want_nothing(),
            }
            *last_generation = numbers.last;
        }
    }

    /// Forgets rollouts whose file is gone and which have nothing that is of use; true if there were any.
    fn tidy(&mut self) -> bool {
        let of_no_use = |place: &Place| {
            place.is_spent() || self.places.values().any(|it| place.is_replaced_by(it))
        };
        let names: Vec<String> = self
            .places
            .values()
            .filter(|place| of_no_use(place))
            .map(|place| place.name().to_owned())
            .collect();
        for name in &names {
            self.places.remove(name);
        }
        !names.is_empty()
    }

    /// The state of everything, as it is now.
    #[must_use]
    pub fn status(&self, now: Moment) -> Status {
        Status {
            rollouts: self
                .places
                .values()
                .map(|place| place.status(now, &self.subscribers))
                .collect(),
            faults: self.faults.clone(),
            at: now.calendar(),
        }
    }

    /// The state of one rollout.
    #[must_use]
    pub fn rollout(&self, now: Moment, name: &str) -> Option<RolloutStatus> {
        let place = self.places.get(name)?;
        Some(place.status(now, &self.subscribers))
    }

    /// What has happened to a rollout.
    #[must_use]
    pub fn history(&self, name: &str) -> Option<History> {
        self.places.get(name).map(Place::history)
    }
}

/// Whether it is time to probe an Envoy again.
fn is_probed_now(now: Moment, has: &Delivery) -> bool {
    let is_new = has.sent_for(now).is_some_and(|sent| sent < SOON_FOR);
    let pause = match has.is_late(now) {
        _ if has.is_confirmed() || is_new => Duration::ZERO,
        true => SELDOM,
        false => PROBED,
    };
    has.probed_for(now).is_none_or(|ago| ago >= pause)
}
