use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};

use crate::fetch::Images;
use crate::machine::{
    Action, Denial, Event, Machine, Memory, Moment, Setback, StreamId, Watch, Wish,
};
use crate::mailbox::{Mailbox, Parcel};
use crate::preflight;
use crate::rollout::Rollout;
use crate::status::{FileFault, History, RolloutStatus, Status};
use crate::store::{Store, StoreError};
use crate::timestamp::Timestamp;
use crate::totals::Totals;

/// How often the machine is told that time has passed.
const TICK: Duration = Duration::from_millis(100);
/// An image that takes longer is asked for again later.
const FETCHED_WITHIN: Duration = Duration::from_secs(300);
/// When the state could not be kept, it is tried again after this.
const KEPT_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A running control plane: the machine, and all that it acts on.
///
/// It is shared by the streams of Envoys, by the watch over the folder of rollouts and by the HTTP API.
#[derive(Debug)]
pub struct Plane {
    store: Store,
    images: Images,
    /// Who tries a version has one of these.
    trials: Arc<Semaphore>,
    begun: Instant,
    state: Mutex<State>,
    to_keep: Notify,
}

#[derive(Debug)]
struct State {
    machine: Machine,
    mailboxes: BTreeMap<StreamId, Arc<Mailbox>>,
    totals: Totals,
    last_stream: u64,
    /// Why the state was not kept.
    unkept: Option<String>,
}

impl Plane {
    /// A control plane that goes on where the one ended that used this store before.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if the store holds something else.
    pub fn new(store: Store) -> Result<Arc<Self>, StoreError> {
        Self::with_images(store, Images::default())
    }

    /// The same with something to say of where images come from.
    ///
    /// # Errors
    ///
    /// As [`Plane::new`].
    pub fn with_images(store: Store, images: Images) -> Result<Arc<Self>, StoreError> {
        let memory = store.load()?;
        // Greater than those of any run before, also of one whose state is lost.
        let last_generation = Timestamp::now().milliseconds();
        let at_once = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Arc::new(Self {
            store,
            images,
            trials: Arc::new(Semaphore::new(at_once)),
            begun: Instant::now(),
            to_keep: Notify::new(),
            state: Mutex::new(State {
                machine: Machine::remembering(memory, last_generation),
                mailboxes: BTreeMap::new(),
                totals: Totals::default(),
                last_stream: 0,
                unkept: None,
            }),
        }))
    }

    /// Does what has to be done from time to time, for ever.
    pub async fn attend(self: Arc<Self>) {
        let keeper = Arc::clone(&self);
        let clock = async {
            loop {
                sleep(TICK).await;
                self.tell(Event::Tick);
            }
        };
        tokio::join!(clock, keeper.keep());
    }

    /// Keeps the state whenever it has changed.
    async fn keep(self: Arc<Self>) {
        loop {
            self.to_keep.notified().await;
            loop {
                let plane = Arc::clone(&self);
                let kept = tokio::task::spawn_blocking(move || plane.keep_now()).await;
                let fault = match kept {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(preflight::told(&error)),
                    Err(_) => Some("keeping the state failed by a fault of this program".into()),
                };
                let done = fault.is_none();
                self.state().unkept = fault;
                if done {
                    break;
                }
                sleep(KEPT_AGAIN_AFTER).await;
            }
        }
    }

    /// Keeps the state at once, as the last thing that is done.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn keep_now(&self) -> Result<(), StoreError> {
        self.store.save(|| self.memory())
    }

    fn memory(&self) -> Memory {
        self.state().machine.memory()
    }

    /// Tells that something happened, and does what follows from it.
    pub fn tell(self: &Arc<Self>, event: Event) {
        let mut state = self.state();
        state.totals.count(&event);
        let actions = state.machine.apply(self.now(), event);
        self.act(&mut state, actions);
    }

    /// Does what an operator wishes.
    ///
    /// # Errors
    ///
    /// [`Denial`], which says why not.
    pub fn wish(self: &Arc<Self>, name: &str, wish: Wish) -> Result<RolloutStatus, Denial> {
        let mut state = self.state();
        let actions = state.machine.grant(self.now(), name, wish)?;
        self.act(&mut state, actions);
        let status = state.machine.rollout(self.now(), name);
        status.ok_or(Denial::Unknown)
    }

    fn act(self: &Arc<Self>, state: &mut State, actions: Vec<Action>) {
        let mut last: Option<Parcel> = None;
        for action in actions {
            match action {
                Action::Check { rollout, trial } => self.check(rollout, trial),
                Action::Push {
                    stream,
                    rollout,
                    generation,
                } => {
                    state.totals.pushes += 1;
                    if let Some(mailbox) = state.mailboxes.get(&stream) {
                        let same = last
                            .take()
                            .filter(|parcel| parcel.is_of(&rollout, generation));
                        let parcel = same.unwrap_or_else(|| Parcel::new(rollout, generation));
                        mailbox.put(parcel.clone());
                        last = Some(parcel);
                    }
                }
                Action::Save => self.to_keep.notify_one(),
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

    /// Whether a stream is open whose Envoy is to run this generation of a plugin.
    pub(crate) fn wants(&self, stream: StreamId, plugin: &str, generation: u64) -> bool {
        self.state().machine.wants(stream, plugin, generation)
    }

    /// What is to be read of an Envoy's counters from now on.
    pub(crate) fn watch(&self, stream: StreamId) -> Option<Watch> {
        self.state().machine.watch(self.now(), stream)
    }

    /// Whether an Envoy has acknowledged any version of a plugin.
    pub(crate) fn has_any(&self, stream: StreamId, plugin: &str) -> bool {
        self.state().machine.has_any(stream, plugin)
    }

    fn now(&self) -> Moment {
        Moment::new(Timestamp::now(), self.begun.elapsed())
    }

    /// The state of everything.
    #[must_use]
    pub fn status(&self) -> Status {
        let state = self.state();
        let mut status = state.machine.status(self.now());
        if let Some(reason) = &state.unkept {
            status.faults.push(FileFault {
                file: self.store.folder().display().to_string(),
                line: None,
                column: None,
                reason: format!(
                    "the state is not kept, and would be lost with this program: {reason}"
                ),
            });
        }
        status
    }

    /// The state of one rollout.
    #[must_use]
    pub fn rollout(&self, name: &str) -> Option<RolloutStatus> {
        self.state().machine.rollout(self.now(), name)
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
        let modules: PathBuf = self.store.trials();
        tokio::spawn(async move {
            let name = rollout.name.clone();
            let images = plane.images.clone();
            let runtime = Handle::current();
            let _turn = Arc::clone(&plane.trials).acquire_owned().await;
            let trying = tokio::task::spawn_blocking(move || {
                let fetched = timeout(FETCHED_WITHIN, images.complete(rollout));
                let (rollout, suites) = runtime.block_on(fetched).unwrap_or_else(|_| {
                    let seconds = FETCHED_WITHIN.as_secs();
                    let reason = format!("the image has not come within {seconds} s");
                    Err(Setback::Later(reason))
                })?;
                preflight::check(&rollout, &suites, &modules)
                    .map_err(|refusal| Setback::Refused(preflight::told(&refusal)))?;
                Ok(rollout)
            });
            let outcome = trying.await.unwrap_or_else(|_| {
                let reason = "trying it failed by a fault of this program";
                Err(Setback::Refused(reason.to_owned()))
            });
            plane.tell(Event::Checked {
                name,
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
