mod progress;

use std::sync::Arc;
use std::time::Duration;

use super::counts::{Gain, Reading, Running, Share, Slots};
use super::moment::Moment;
use super::probed::{Probed, Probing, Round};
use super::subscribers::Node;
use crate::rollout::Rollout;

pub(super) use self::progress::Progress;

/// Workers follow the main thread, which acknowledges, within milliseconds; where nobody can tell, this is long
/// enough for what runs to be the new version.
const SURELY_FOLLOWED: Duration = Duration::from_secs(1);
/// Percentiles are those of Envoy's last interval, which begins after this at the latest.
const INTERVAL: Duration = Duration::from_secs(6);
/// So often is a version sent again only to count what follows.
const MOST_MEASURED: u32 = 3;
/// What does not arrive is sent again after times that double, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What an Envoy has of a plugin.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    wanted: Option<Wanted>,
    /// What it was to have last, or what it says that it has.
    latest: Option<u64>,
    /// No generation above this was ever meant for it.
    highest: u64,
    acknowledged: Option<u64>,
    acknowledged_at: Option<Moment>,
    refused: Option<(u64, String)>,
    /// When the wanted generation went out.
    sent: Option<Moment>,
    /// Requests until then.
    requests_before: Share,
    /// What was counted since then, if the counters were read as it went out.
    since_sent: Option<Gain>,
    /// What was counted since it was seen to run, or must have run: from there on all failures are its own.
    since_settled: Option<Gain>,
    /// Failures before that which were its own for certain.
    early_failures: u64,
    confirmed: bool,
    /// What its answers say, where its module does not count.
    probed: Probed,
    probed_at: Option<Moment>,
    last: Option<Reading>,
    last_read: Moment,
    /// How long a version was waited for on connections before.
    spent: Option<(u64, Duration)>,
    tries: u32,
    since: Moment,
    /// The version that it was to have when it ended and began anew.
    restarted_with: Option<u64>,
    /// From how many other sources of configuration its Envoy had asked for the plugin when it came.
    sources_before: usize,
}

/// What an Envoy is to run.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    version: u64,
    generation: u64,
    /// Whether its module counts what it configures.
    counts: bool,
    /// How long it may take until it is confirmed.
    within: Duration,
    since: Moment,
    /// How long it was waited for on connections before.
    spent: Duration,
}

impl Wanted {
    fn waited(self, now: Moment) -> Duration {
        self.spent + now.since(self.since)
    }
}

/// What an Envoy had of a plugin when its connection ended.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) delivery: Delivery,
    pub(super) at: Moment,
}

impl Delivery {
    /// What an Envoy has that connects, of which `before` was known.
    pub(super) fn new(now: Moment, holds: Option<u64>, gone: Option<Gone>, floor: u64) -> Self {
        let gone_at = gone.as_ref().map_or(now, |gone| gone.at);
        let before = gone.map(|gone| gone.delivery);
        let wanted = before.as_ref().and_then(|before| before.wanted);
        if let Some(mut before) = before.clone()
            && holds.is_some()
            && holds == wanted.map(|wanted| wanted.generation)
        {
            // The connection was lost, and nothing else.
            if before.acknowledged != holds {
                before.acknowledge(now, holds.unwrap_or_default());
            }
            if let Some(wanted) = &mut before.wanted {
                wanted.since = now;
            }
            return before;
        }
        let had = before
            .as_ref()
            .filter(|before| before.was_sent())
            .and_then(|before| before.acknowledged);
        // Connections that end again and again do not give it more time.
        let unanswered = wanted.filter(|wanted| {
            let acknowledged = before.as_ref().and_then(|before| before.acknowledged);
            acknowledged != Some(wanted.generation)
        });
        let spent = unanswered.map(|wanted| (wanted.version, wanted.waited(gone_at)));
        let restarted_before = before.as_ref().and_then(|before| before.restarted_with);
        Self {
            latest: holds,
            acknowledged: holds,
            highest: before
                .map_or(floor, |before| before.highest)
                .max(holds.unwrap_or(0)),
            spent,
            restarted_with: wanted
                .filter(|_| had.is_some() && holds.is_none())
                .map(|wanted| wanted.version)
                .or(restarted_before),
            since: now,
            ..Self::default()
        }
    }

    /// It is to run this version of a rollout, as this generation.
    pub(super) fn want(&mut self, now: Moment, rollout: &Rollout, version: u64, generation: u64) {
        let again = self.wants_version(version);
        let counts = rollout.module.counts_configurations();
        let probe = rollout.probe.clone();
        let spent = self.spent.take().filter(|(of, _)| *of == version);
        *self = Self {
            wanted: Some(Wanted {
                version,
                generation,
                counts,
                within: rollout.criteria.not_confirmed_within,
                since: now,
                spent: spent.map_or(Duration::ZERO, |(_, spent)| spent),
            }),
            latest: Some(generation),
            highest: self.highest.max(generation),
            acknowledged: self.acknowledged,
            refused: self.refused.take(),
            probed: self.probed.begin(probe.map(Arc::new), again),
            tries: if again { self.tries + 1 } else { 0 },
            since: now,
            restarted_with: self.restarted_with,
            sources_before: self.sources_before,
            ..Self::default()
        };
    }

    /// Its Envoy asks for the plugin from so many other sources of configuration.
    pub(super) fn is_behind(&mut self, sources: usize) {
        self.sources_before = sources;
    }

    pub(super) fn sources_before(&self) -> usize {
        self.sources_before
    }

    /// Nothing is to be run.
    pub(super) fn want_nothing(&mut self) {
        self.wanted = None;
    }

    /// Whether a push of this generation would be one that it has had, and so nothing to it.
    pub(super) fn has_seen(&self, generation: u64) -> bool {
        generation <= self.highest
    }

    /// Whether it has one of these, and nothing else is on its way.
    pub(super) fn holds(&self, generations: &[u64]) -> Option<u64> {
        self.latest
            .filter(|latest| self.acknowledged == Some(*latest) && generations.contains(latest))
    }

    pub(super) fn wants_version(&self, version: u64) -> bool {
        self.wanted.is_some_and(|wanted| wanted.version == version)
    }

    pub(super) fn wants_generation(&self, generation: u64) -> bool {
        self.wanted
            .is_some_and(|wanted| wanted.generation == generation)
    }

    /// Whether it had this version, ended, and began anew.
    pub(super) fn restarted_with(&self, version: u64) -> bool {
        self.restarted_with == Some(version)
    }

    pub(super) fn was_sent(&self) -> bool {
        self.sent.is_some()
    }

    /// The wanted generation goes out now.
    pub(super) fn send(&mut self, now: Moment, generation: u64, before: Option<Reading>) {
        if self.wants_generation(generation) {
            self.sent = Some(now);
            let is_first = self.acknowledged.is_none();
            self.since_sent = before.as_ref().map(|before| Gain::begin(before, is_first));
            self.requests_before = before
                .as_ref()
                .map_or_else(Share::default, Reading::requests);
            self.last = before;
            self.last_read = now;
        }
    }

    pub(super) fn acknowledge(&mut self, now: Moment, generation: u64) {
        self.acknowledged = Some(generation);
        self.acknowledged_at = Some(now);
        self.since = now;
    }

    pub(super) fn refuse(&mut self, now: Moment, generation: u64, reason: String) {
        self.refused = Some((generation, reason));
        self.since = now;
    }

    /// Whether it answered as the version is to, before it was sent; nothing if nobody knows.
    pub(super) fn was_probed(&mut self, answered: Option<bool>) {
        self.probed.was_probed(answered);
    }

    /// Takes what some requests have shown, that were made for this generation.
    pub(super) fn take_round(
        &mut self,
        now: Moment,
        generation: u64,
        round: Result<Round, String>,
    ) {
        if !self.wants_generation(generation) || !self.is_acknowledged() {
            return;
        }
        self.probed_at = Some(now);
        let counts = self.wanted.is_some_and(|wanted| wanted.counts);
        if self.probed.take(round) && !self.confirmed && !counts {
            // From here on all failures are its own, if they were not before.
            if self.since_settled.is_none() {
                let early = self.since_sent.as_ref().map(Gain::certain_failures);
                self.early_failures = early.unwrap_or(0);
                self.since_settled = Some(Gain::default());
            }
            if self.requests_before.all == 0
                && let Some(last) = &self.last
            {
                self.requests_before = last.requests();
            }
            self.confirmed = true;
            self.since = now;
        }
    }

    /// What its Envoy is to be asked, if its answers can show what runs: until every worker does, and for as long as it
    /// is watched after that.
    pub(super) fn probing(&self, node: &Node, plugin: &str, is_watched: bool) -> Option<Probing> {
        let is_asked = |wanted: &Wanted| match self.confirmed {
            true => is_watched,
            false => !wanted.counts,
        };
        let wanted = self.wanted.filter(is_asked)?;
        let (address, probe) = self
            .probed
            .probing(node, self.confirmed)
            .filter(|_| self.is_acknowledged())?;
        let probing = Probing::new(plugin, wanted.generation, address, probe);
        Some(probing.watched(self.confirmed))
    }

    /// What is answered in its place, although every worker ran it.
    pub(super) fn answers_otherwise(&self) -> Option<&str> {
        self.probed.otherwise().filter(|_| self.confirmed)
    }

    /// Takes what the counters say.
    pub(super) fn see(&mut self, now: Moment, reading: Reading) {
        if let (Some(last), Some(wanted)) = (&self.last, self.wanted) {
            let gains = [&mut self.since_sent, &mut self.since_settled];
            for gain in gains.into_iter().flatten() {
                gain.take(last, &reading, wanted.generation);
            }
        }
        if let Some(confirmed) = self.settles(now, &reading) {
            let early = self.since_sent.as_ref().map(Gain::certain_failures);
            self.early_failures = early.unwrap_or(0);
            self.since_settled = Some(Gain::default());
            if self.requests_before.all == 0 {
                self.requests_before = reading.requests();
            }
            if confirmed {
                self.confirmed = true;
                self.since = now;
            }
        }
        self.last = Some(reading);
        self.last_read = now;
    }

    /// Whether failures are the version's own from this reading on; true if every worker is seen to run it.
    fn settles(&self, now: Moment, reading: &Reading) -> Option<bool> {
        let wanted = self.wanted.filter(|_| !self.confirmed)?;
        if self.acknowledged != Some(wanted.generation) {
            return None;
        }
        let gain = self.since_sent.as_ref();
        let running = gain.map(|gain| gain.running(reading.workers()));
        if matches!(running, Some(Running::All { .. })) {
            return Some(true);
        }
        if wanted.counts && matches!(running, Some(Running::Some { .. })) {
            // The version before may run beside it for as long as not all workers have followed.
            return None;
        }
        let at = self.acknowledged_at?;
        (self.since_settled.is_none() && now.since(at) > SURELY_FOLLOWED).then_some(false)
    }

    /// Whether it runs something of which the counters cannot tell what they would tell if it were sent once more: they
    /// were not read as it was sent, or VMs were restarted until its workers followed.
    pub(super) fn is_unmeasured(&self, now: Moment) -> bool {
        let counts = self.wanted.is_some_and(|wanted| wanted.counts);
        let at = self.acknowledged_at.filter(|_| self.is_acknowledged());
        let is_unclear = self
            .last
            .as_ref()
            .is_some_and(|last| match &self.since_sent {
                None => true,
                Some(gain) => gain.running(last.workers()) == Running::Restarted,
            });
        counts
            && !self.confirmed
            && self.tries < MOST_MEASURED
            && is_unclear
            && at.is_some_and(|at| now.since(at) > SURELY_FOLLOWED)
    }

    /// How long ago some requests have shown something of it; nothing if none have yet.
    pub(super) fn probed_for(&self, now: Moment) -> Option<Duration> {
        self.probed_at.map(|at| now.since(at))
    }

    /// Whether its Envoy asks for the plugin by several sources of configuration.
    pub(super) fn share(&mut self, is_shared: bool) {
        self.probed.share(is_shared);
    }

    pub(super) fn is_shared(&self) -> bool {
        self.probed.is_shared()
    }

    /// Whether it has been waited for so long that it may fail by it.
    pub(super) fn is_late(&self, now: Moment) -> bool {
        self.wanted
            .is_some_and(|wanted| wanted.waited(now) > wanted.within)
    }

    /// How long it has been waited for.
    pub(super) fn waited(&self, now: Moment) -> Duration {
        self.wanted
            .map_or(Duration::ZERO, |wanted| wanted.waited(now))
    }

    /// Whether it is time to send it again, where it has not arrived.
    pub(super) fn is_due_again(&self, now: Moment, within: Duration) -> bool {
        let doubled = within.saturating_mul(1 << self.tries.min(16));
        self.waited(now) > doubled.min(LONGEST_PAUSE).max(within)
    }

    /// Errors of the filter, and restarts of its VM.
    pub(super) fn failures(&self) -> u64 {
        match (&self.since_settled, &self.since_sent) {
            (Some(gain), _) => self.early_failures.saturating_add(gain.failures()),
            (None, Some(gain)) => gain.certain_failures(),
            (None, None) => 0,
        }
    }

    /// Requests since every worker runs it, and those from the start of the Envoy until it was sent.
    pub(super) fn requests(&self) -> (Share, Share) {
        match &self.since_settled {
            Some(gain) => (gain.requests(), self.requests_before),
            None => (Share::default(), Share::default()),
        }
    }

    /// The 99th percentile of the time of requests, once it is that of this version alone.
    pub(super) fn p99(&self) -> Option<Duration> {
        self.since_settled.as_ref()?;
        let at = self.acknowledged_at?;
        let last = self.last.as_ref();
        last.filter(|_| self.last_read.since(at) > INTERVAL)?.p99
    }

    /// Where its configurations are counted: those that it acknowledged, and those that it may have yet.
    pub(super) fn take_slots(&self, slots: &mut Slots) {
        for generation in [self.acknowledged, self.latest].into_iter().flatten() {
            slots.take(generation);
        }
    }

    /// How long ago the wanted generation went out; nothing before it did.
    pub(super) fn sent_for(&self, now: Moment) -> Option<Duration> {
        self.sent.map(|sent| now.since(sent))
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    pub(super) fn is_acknowledged(&self) -> bool {
        self.wanted
            .is_some_and(|wanted| self.acknowledged == Some(wanted.generation))
    }
}
