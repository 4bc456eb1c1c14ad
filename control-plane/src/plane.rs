use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::machine::{Action, Event, Machine, StreamId};
use crate::mailbox::{Mailbox, Parcel};
use crate::preflight;
use crate::rollout::Rollout;
use crate::status::{History, RolloutStatus, Status};
use crate::timestamp::Timestamp;
use crate::totals::Totals;

/// A running control plane: the machine, and all that it acts on.
///
/// It is shared by the streams of Envoys, by the watch over the folder of rollouts and by the HTTP API.
#[derive(Debug)]
pub struct Plane {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    machine: Machine,
    mailboxes: BTreeMap<StreamId, Arc<Mailbox>>,
    totals: Totals,
    last_stream: u64,
}

impl Plane {
    /// A control plane without rollouts.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                // Greater than those of any run before.
                machine: Machine::new(Timestamp::now().milliseconds()),
                mailboxes: BTreeMap::new(),
                totals: Totals::default(),
                last_stream: 0,
            }),
        })
    }

    /// Tells that something happened, and does what follows from it.
    pub fn tell(self: &Arc<Self>, event: Event) {
        let mut state = self.state();
        let state = &mut *state;
        state.totals.count(&event);
        for action in state.machine.apply(Timestamp::now(), event) {
            match action {
                Action::Check { rollout, trial } => self.check(rollout, trial),
                Action::Push {
                    stream,
                    rollout,
                    generation,
                } => {
                    state.totals.pushes += 1;
                    if let Some(mailbox) = state.mailboxes.get(&stream) {
                        mailbox.put(Parcel {
                            rollout,
                            generation,
                        });
                    }
                }
            }
        }
    }

    /// A new stream, and where its pushes come.
    pub(crate) fn open_stream(&self) -> (StreamId, Arc<Mailbox>) {
        let mut state = self.state();
        state.last_stream += 1;
        let stream = StreamId(state.last_stream);
        let mailbox = Arc::new(Mailbox::default());
        state.mailboxes.insert(stream, Arc::clone(&mailbox));
        (stream, mailbox)
    }

    /// The stream has ended.
    pub(crate) fn close_stream(self: &Arc<Self>, stream: StreamId) {
        self.state().mailboxes.remove(&stream);
        self.tell(Event::Disconnected { stream });
    }

    /// The state of everything.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state().machine.status(Timestamp::now())
    }

    /// The state of one rollout.
    #[must_use]
    pub fn rollout(&self, name: &str) -> Option<RolloutStatus> {
        self.state().machine.rollout(name)
    }

    /// What has happened to a rollout.
    #[must_use]
    pub fn history(&self, name: &str) -> Option<History> {
        self.state().machine.history(name)
    }

    pub(crate) fn totals(&self) -> Totals {
        self.state().totals.clone()
    }

    /// Tries a version beside everything else.
    fn check(self: &Arc<Self>, rollout: Arc<Rollout>, trial: u64) {
        let plane = Arc::clone(self);
        tokio::spawn(async move {
            let tried = Arc::clone(&rollout);
            let outcome = tokio::task::spawn_blocking(move || preflight::check(&tried)).await;
            let outcome = match outcome {
                Ok(outcome) => outcome.map_err(|error| error.to_string()),
                Err(_) => Err("trying it failed by a fault of this program".to_owned()),
            };
            plane.tell(Event::Checked {
                name: rollout.name.clone(),
                trial,
                outcome,
            });
        });
    }

    /// Nothing that is done under the lock can leave the state half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
