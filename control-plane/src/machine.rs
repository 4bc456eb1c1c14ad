//! What is pushed to whom, and what becomes of it: events in, actions out.
//!
//! The machine has no clock, no files and no network. Whoever drives it tells it what happened and when, and
//! does what it answers, in that order.

mod judgement;
mod memory;
mod place;
mod subscribers;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::rollout::Rollout;
use crate::status::{FileFault, History, RolloutStatus, Status};
use crate::timestamp::Timestamp;

pub use self::memory::Memory;
use self::place::Place;
use self::subscribers::Subscribers;
pub use self::subscribers::{Node, Share, Sight};

/// A stream of an Envoy, for as long as it lasts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The folder of rollouts holds these, and files with these faults.
    Declared {
        /// What could be read.
        rollouts: Vec<Arc<Rollout>>,
        /// What could not.
        faults: Vec<FileFault>,
        /// The names of rollouts whose files are there, readable or not.
        present: Vec<String>,
    },
    /// A version was tried.
    Checked {
        /// The rollout.
        name: String,
        /// Which trial this was.
        trial: u64,
        /// What came of it.
        outcome: Result<(), String>,
    },
    /// An Envoy has opened a stream.
    Connected {
        /// The stream.
        stream: StreamId,
        /// Who it is.
        node: Node,
    },
    /// It asks for a plugin.
    Subscribed {
        /// The stream.
        stream: StreamId,
        /// The plugin.
        plugin: String,
        /// The generation that it has, by its own word.
        holds: Option<u64>,
    },
    /// It acknowledges what it was sent.
    Acknowledged {
        /// The stream.
        stream: StreamId,
        /// The plugin.
        plugin: String,
        /// The generation.
        generation: u64,
    },
    /// It refuses what it was sent.
    Refused {
        /// The stream.
        stream: StreamId,
        /// The plugin.
        plugin: String,
        /// The generation.
        generation: u64,
        /// What Envoy says.
        reason: String,
    },
    /// The counters of an Envoy were read.
    Seen {
        /// The stream.
        stream: StreamId,
        /// The plugin.
        plugin: String,
        /// The generation that was sent when the counting began.
        generation: u64,
        /// What they say.
        sight: Sight,
    },
    /// The stream has ended.
    Disconnected {
        /// The stream.
        stream: StreamId,
    },
    /// Time has passed.
    Tick,
}

/// Something to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Try a version, and tell with [`Event::Checked`].
    Check {
        /// The version.
        rollout: Arc<Rollout>,
        /// Which trial this is.
        trial: u64,
    },
    /// Send a version on a stream, in place of what was not sent yet.
    Push {
        /// The stream.
        stream: StreamId,
        /// The version.
        rollout: Arc<Rollout>,
        /// The generation that it is sent as.
        generation: u64,
    },
    /// Keep what [`Machine::memory`] says, for another start of this program.
    Save,
}

/// An operator's wish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Wish {
    /// Give the version of the canary group to the others now.
    Promote,
    /// Go back to the version before.
    Undo,
}

/// Why an operator's wish is not granted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Denial {
    /// There is no such rollout.
    Unknown,
    /// It is not the time for it.
    NotNow(String),
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no rollout of this name"),
            Self::NotNow(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Denial {}

/// The state of all rollouts and of the Envoys that ask for them.
#[derive(Debug)]
pub struct Machine {
    places: BTreeMap<String, Place>,
    subscribers: Subscribers,
    faults: Vec<FileFault>,
    last_generation: u64,
    last_trial: u64,
}

impl Machine {
    /// A machine without rollouts. Generations begin behind this one: an Envoy takes a push that it has had
    /// before for applied, so that no number may come twice.
    #[must_use]
    pub fn new(last_generation: u64) -> Self {
        Self {
            places: BTreeMap::new(),
            subscribers: Subscribers::default(),
            faults: Vec::new(),
            last_generation,
            last_trial: 0,
        }
    }

    /// Takes in what happened at this time, and says what to do.
    pub fn apply(&mut self, now: Timestamp, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Declared {
                rollouts,
                faults,
                present,
            } => {
                self.faults = faults;
                for rollout in rollouts {
                    self.declare(now, rollout, &mut actions);
                }
                for place in self.places.values_mut() {
                    if !present.contains(&place.name().to_owned()) {
                        place.withdraw(now);
                    }
                }
            }
            Event::Checked {
                name,
                trial,
                outcome,
            } => {
                if let Some(place) = self.places.get_mut(&name) {
                    place.checked(now, trial, outcome, &mut self.last_generation);
                }
            }
            Event::Connected { stream, node } => self.subscribers.connect(now, stream, node),
            Event::Subscribed {
                stream,
                plugin,
                holds,
            } => self.subscribers.subscribe(now, stream, plugin, holds),
            Event::Acknowledged {
                stream,
                plugin,
                generation,
            } => {
                self.subscribers
                    .acknowledge(now, stream, &plugin, generation);
            }
            Event::Refused {
                stream,
                plugin,
                generation,
                reason,
            } => {
                self.subscribers
                    .refuse(now, stream, &plugin, generation, reason);
            }
            Event::Seen {
                stream,
                plugin,
                generation,
                sight,
            } => {
                self.subscribers
                    .see(now, stream, &plugin, generation, sight);
            }
            Event::Disconnected { stream } => self.subscribers.disconnect(now, stream),
            Event::Tick => self.subscribers.forget(now),
        }
        self.settle(now, &mut actions);
        actions
    }

    /// Does what an operator wishes, if it is the time for it.
    ///
    /// # Errors
    ///
    /// [`Denial`], which says why not.
    pub fn grant(&mut self, now: Timestamp, name: &str, wish: Wish) -> Result<Vec<Action>, Denial> {
        let place = self.places.get_mut(name).ok_or(Denial::Unknown)?;
        match wish {
            Wish::Promote => place.promote(now),
            Wish::Undo => place.undo(now, &mut self.last_generation),
        }
        .map_err(Denial::NotNow)?;
        let mut actions = Vec::new();
        self.settle(now, &mut actions);
        Ok(actions)
    }

    /// Whether a version is on its way and so has to be watched.
    #[must_use]
    pub fn is_rolling(&self, name: &str, generation: u64) -> bool {
        let place = self.places.get(name);
        place.is_some_and(|place| place.is_rolling(generation))
    }

    /// Whether a stream is open whose Envoy is to run this generation of a plugin.
    #[must_use]
    pub fn wants(&self, stream: StreamId, plugin: &str, generation: u64) -> bool {
        self.subscribers.wants(stream, plugin, generation)
    }

    /// Judges what has happened, and sends what follows.
    fn settle(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let mut changed = false;
        for place in self.places.values_mut() {
            place.judge(now, &self.subscribers, &mut self.last_generation);
            place.supply(now, &mut self.subscribers, actions);
            changed |= place.take_changed();
        }
        if changed {
            actions.push(Action::Save);
        }
    }

    fn declare(&mut self, now: Timestamp, rollout: Arc<Rollout>, actions: &mut Vec<Action>) {
        let trial = self.last_trial + 1;
        let to_try = match self.places.get_mut(&rollout.name) {
            Some(place) => place.declare(now, Arc::clone(&rollout), trial),
            None => {
                let place = Place::new(now, Arc::clone(&rollout), trial);
                self.places.insert(rollout.name.clone(), place);
                true
            }
        };
        if to_try {
            self.last_trial = trial;
            actions.push(Action::Check { rollout, trial });
        }
    }

    /// The state of everything, as it is at this time.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        Status {
            rollouts: self
                .places
                .values()
                .map(|place| place.status(&self.subscribers))
                .collect(),
            faults: self.faults.clone(),
            at: now,
        }
    }

    /// The state of one rollout.
    #[must_use]
    pub fn rollout(&self, name: &str) -> Option<RolloutStatus> {
        let place = self.places.get(name)?;
        Some(place.status(&self.subscribers))
    }

    /// What has happened to a rollout.
    #[must_use]
    pub fn history(&self, name: &str) -> Option<History> {
        self.places.get(name).map(Place::history)
    }
}
