//! Watches an Envoy after a push, until there is nothing more to learn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::admin::{self, Counts};
use crate::machine::{Event, StreamId};
use crate::plane::Plane;
use crate::rollout::Rollout;

/// Workers follow the main thread within milliseconds.
const SOON: Duration = Duration::from_millis(10);
const SOON_FOR: Duration = Duration::from_secs(1);
/// Later an Envoy is asked less often, and so is one whose workers run the version.
const LATER: Duration = Duration::from_millis(100);
/// Percentiles are those of Envoy's last interval, which begins after this at the latest.
const INTERVAL: Duration = Duration::from_secs(6);

/// A version that was sent to an Envoy, and where its counters stood.
pub(crate) struct Observer {
    pub(crate) plane: Arc<Plane>,
    pub(crate) stream: StreamId,
    pub(crate) admin: SocketAddr,
    pub(crate) rollout: Arc<Rollout>,
    pub(crate) generation: u64,
    pub(crate) before: Counts,
}

impl Observer {
    pub(crate) async fn run(self) {
        let begun = Instant::now();
        let mut runs = false;
        while self.is_of_use(runs, begun) {
            let soon = !runs && begun.elapsed() < SOON_FOR;
            sleep(if soon { SOON } else { LATER }).await;
            let Some(counts) = admin::read(self.admin, &self.rollout, self.generation).await else {
                continue;
            };
            let mut sight = counts.since(&self.before);
            if begun.elapsed() < INTERVAL {
                sight.p99 = None;
            }
            runs = sight.workers > 0 && sight.running >= sight.workers;
            self.plane.tell(Event::Seen {
                stream: self.stream,
                plugin: self.rollout.plugin.clone(),
                generation: self.generation,
                sight,
            });
        }
    }

    /// A version on its way is watched until it is judged; a good one until it runs.
    fn is_of_use(&self, runs: bool, begun: Instant) -> bool {
        let limit = self.rollout.criteria.not_confirmed_within;
        let (rollout, generation) = (&self.rollout, self.generation);
        self.plane.wants(self.stream, &rollout.plugin, generation)
            && (self.plane.is_rolling(&rollout.name, generation)
                || (!runs && begun.elapsed() < limit))
    }
}
