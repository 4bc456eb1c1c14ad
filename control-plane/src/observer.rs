//! Reads an Envoy's counters, and probes it, for as long as something can be learned.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify, Semaphore};
use tokio::time::{sleep, timeout};

use crate::admin;
use crate::machine::{Counts, Event, Node, Probing, StreamId};
use crate::plane::Plane;
use crate::probe;
use crate::rollout::Rollout;

/// An Envoy answers in milliseconds, unless its main thread compiles a module.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// Requests of a round come one after the other, in part.
const PROBED_WITHIN: Duration = Duration::from_secs(5);
/// So many Envoys are probed at once.
static ROUNDS: Semaphore = Semaphore::const_new(16);
/// What there is to be read is asked for again after this, though nobody said that it has changed.
const IDLE: Duration = Duration::from_secs(5);

/// The admin endpoint of an Envoy that has a stream.
pub(crate) struct Observer {
    plane: Arc<Plane>,
    stream: StreamId,
    node: Node,
    admin: SocketAddr,
    /// Whether it is the endpoint of this Envoy, and not of another on the same host.
    is_its_own: AtomicBool,
    more: Notify,
    /// Readings are told in the order in which they were made.
    reading: Mutex<()>,
}

impl Observer {
    pub(crate) fn new(
        plane: Arc<Plane>,
        stream: StreamId,
        node: Node,
        admin: SocketAddr,
    ) -> Arc<Self> {
        Arc::new(Self {
            plane,
            stream,
            node,
            admin,
            is_its_own: AtomicBool::new(false),
            more: Notify::new(),
            reading: Mutex::new(()),
        })
    }

    /// Reads what the machine wants to know, until it is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let Some(watch) = self.plane.watch(self.stream) else {
                // Either is a reason to ask again.
                let _ = timeout(IDLE, self.more.notified()).await;
                continue;
            };
            tokio::select! {
                () = sleep(watch.every) => {}
                () = self.more.notified() => continue,
            }
            self.look(&watch.plugins).await;
            for probing in watch.probes {
                self.probe(&probing).await;
            }
        }
    }

    async fn look(&self, plugins: &BTreeSet<String>) {
        let _reading = self.reading.lock().await;
        let counts = self.read(plugins).await;
        self.plane.tell(Event::Seen {
            stream: self.stream,
            counts,
        });
    }

    async fn probe(&self, probing: &Probing) {
        // Whose counters they are was seen just before.
        if !self.is_its_own.load(Ordering::Relaxed) {
            return;
        }
        let Ok(_turn) = ROUNDS.acquire().await else {
            return;
        };
        let round = timeout(PROBED_WITHIN, probe::round(self.admin, probing));
        let late = || {
            let (id, within) = (&self.node.id, PROBED_WITHIN.as_secs());
            Err(format!("Envoy `{id}` is not probed within {within} s"))
        };
        self.plane.tell(Event::Probed {
            stream: self.stream,
            plugin: probing.plugin.clone(),
            generation: probing.generation,
            round: round.await.unwrap_or_else(|_| late()),
        });
    }

    /// Whether the Envoy answers as a version is to before it is sent, where its answers are to tell.
    pub(crate) async fn answers(&self, rollout: &Rollout, generation: u64) -> Option<bool> {
        let probe = rollout.probe.as_ref()?;
        let address = self.node.probe_address(probe.port)?;
        let plugin = &rollout.plugin;
        let probing = Probing::new(plugin, generation, address, Arc::new(probe.clone()));
        let is_first = !self.plane.has_any(self.stream, plugin);
        probe::answers(&probing, is_first).await
    }

    /// A push goes out: there is more to be learned now.
    pub(crate) fn wake(&self) {
        self.more.notify_one();
    }

    /// What the Envoy counts of a plugin, just before a push of it.
    pub(crate) async fn before(&self, plugin: &str) -> Option<Counts> {
        let _reading = self.reading.lock().await;
        match self.read(&BTreeSet::from([plugin.to_owned()])).await {
            Ok(counts) => Some(counts),
            Err(reason) => {
                self.plane.tell(Event::Seen {
                    stream: self.stream,
                    counts: Err(reason),
                });
                None
            }
        }
    }

    async fn read(&self, plugins: &BTreeSet<String>) -> Result<Counts, String> {
        let read = async {
            if !self.is_its_own.load(Ordering::Relaxed) {
                let found = admin::node_id(self.admin).await?;
                if found != self.node.id {
                    let (admin, node) = (self.admin, &self.node.id);
                    return Err(format!(
                        "the admin endpoint at {admin} is that of Envoy `{found}`, not of \
                         `{node}`, which names it"
                    ));
                }
            }
            admin::read(self.admin, plugins).await
        };
        let late = || {
            let (admin, within) = (self.admin, ANSWERED_WITHIN.as_secs());
            Err(format!(
                "the admin endpoint at {admin} does not answer within {within} s"
            ))
        };
        let counts = timeout(ANSWERED_WITHIN, read)
            .await
            .unwrap_or_else(|_| late());
        self.is_its_own.store(counts.is_ok(), Ordering::Relaxed);
        counts
    }
}
