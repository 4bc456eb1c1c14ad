use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::StreamId;
use crate::rollout::Rollout;
use crate::status::{EnvoyState, EnvoyStatus, Workers};
use crate::timestamp::Timestamp;

/// How long an Envoy that has gone away is shown.
const SHOWN_AFTER_THE_END: Duration = Duration::from_secs(600);
/// How many of them are shown at most.
const MOST_SHOWN: usize = 1_000;

/// Who an Envoy is, by its own word and by where it comes from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// Its node id.
    pub id: String,
    /// Its group: `attache.group` in the node's metadata, or else the node's cluster.
    pub group: String,
    /// The address that it is connected from.
    pub address: String,
    /// Where its admin endpoint is, if it says so: on the host that it is connected from.
    pub admin: Option<SocketAddr>,
}

impl Node {
    /// An Envoy of this id and group.
    pub fn new(
        id: impl Into<String>,
        group: impl Into<String>,
        address: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            group: group.into(),
            address: address.into(),
            admin: None,
        }
    }

    /// The same with an admin endpoint.
    #[must_use]
    pub fn with_admin(mut self, admin: Option<SocketAddr>) -> Self {
        self.admin = admin;
        self
    }

    /// Whether this may be the same Envoy on another connection.
    fn may_be(&self, other: &Self) -> bool {
        let host = |node: &Self| {
            node.address
                .rsplit_once(':')
                .map(|(host, _)| host.to_owned())
        };
        self.id == other.id && self.group == other.group && host(self) == host(other)
    }
}

/// All streams of Envoys, and what each has of the plugins that it asks for.
#[derive(Debug, Default)]
pub(super) struct Subscribers(BTreeMap<StreamId, Subscriber>);

#[derive(Debug)]
struct Subscriber {
    node: Node,
    connected: bool,
    since: Timestamp,
    plugins: BTreeMap<String, Delivery>,
}

/// What an Envoy has of a plugin.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    pub(super) wanted: Option<u64>,
    pub(super) acknowledged: Option<u64>,
    pub(super) refused: Option<(u64, String)>,
    /// What its counters said last, of which generation.
    pub(super) seen: Option<(u64, Sight)>,
    pub(super) wanted_since: Timestamp,
    since: Timestamp,
}

/// What an Envoy's counters say of a version that was sent to it, since then.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Sight {
    /// The workers that it has.
    pub workers: u64,
    /// How many of them have configured the version.
    pub running: u64,
    /// Requests that were answered, and those of them with a status of 5xx.
    pub requests: Share,
    /// The same from the start of the Envoy to the push.
    pub requests_before: Share,
    /// Errors of the filter, and restarts of its VM.
    pub plugin_failures: u64,
    /// The 99th percentile of the time of requests.
    pub p99: Option<Duration>,
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

impl Delivery {
    pub(super) fn want(&mut self, now: Timestamp, generation: u64) {
        self.wanted = Some(generation);
        self.wanted_since = now;
        self.since = now;
    }

    /// Whether every worker runs this generation.
    pub(super) fn runs(&self, generation: u64) -> bool {
        self.acknowledged == Some(generation)
            && self
                .sight(generation)
                .is_some_and(|sight| sight.workers > 0 && sight.running >= sight.workers)
    }

    /// What the counters say of this generation.
    pub(super) fn sight(&self, generation: u64) -> Option<Sight> {
        let (of, sight) = self.seen?;
        (of == generation).then_some(sight)
    }

    fn state(&self) -> EnvoyState {
        let Some(wanted) = self.wanted else {
            return EnvoyState::Waiting;
        };
        if self.runs(wanted) {
            EnvoyState::Confirmed
        } else if self.acknowledged == Some(wanted) {
            EnvoyState::Acknowledged
        } else if self
            .refused
            .as_ref()
            .is_some_and(|(number, _)| *number == wanted)
        {
            EnvoyState::Refused
        } else {
            EnvoyState::Sent
        }
    }
}

impl Subscribers {
    pub(super) fn connect(&mut self, now: Timestamp, stream: StreamId, node: Node) {
        // An Envoy that has come back is not shown as gone as well.
        self.0
            .retain(|_, other| other.connected || !other.node.may_be(&node));
        let subscriber = Subscriber {
            node,
            connected: true,
            since: now,
            plugins: BTreeMap::new(),
        };
        self.0.insert(stream, subscriber);
    }

    pub(super) fn subscribe(
        &mut self,
        now: Timestamp,
        stream: StreamId,
        plugin: String,
        holds: Option<u64>,
    ) {
        if let Some(subscriber) = self.0.get_mut(&stream) {
            subscriber.plugins.entry(plugin).or_insert(Delivery {
                acknowledged: holds,
                since: now,
                ..Delivery::default()
            });
        }
    }

    pub(super) fn acknowledge(
        &mut self,
        now: Timestamp,
        stream: StreamId,
        plugin: &str,
        generation: u64,
    ) {
        if let Some(delivery) = self.delivery(stream, plugin) {
            delivery.acknowledged = Some(generation);
            delivery.since = now;
        }
    }

    pub(super) fn refuse(
        &mut self,
        now: Timestamp,
        stream: StreamId,
        plugin: &str,
        generation: u64,
        reason: String,
    ) {
        if let Some(delivery) = self.delivery(stream, plugin) {
            delivery.refused = Some((generation, reason));
            delivery.since = now;
        }
    }

    /// What was read of an Envoy's counters.
    pub(super) fn see(
        &mut self,
        now: Timestamp,
        stream: StreamId,
        plugin: &str,
        generation: u64,
        sight: Sight,
    ) {
        if let Some(delivery) = self.delivery(stream, plugin)
            && delivery.wanted == Some(generation)
        {
            let ran = delivery.runs(generation);
            delivery.seen = Some((generation, sight));
            if !ran && delivery.runs(generation) {
                delivery.since = now;
            }
        }
    }

    /// Whether this is what an Envoy is to run.
    pub(super) fn wants(&self, stream: StreamId, plugin: &str, generation: u64) -> bool {
        self.0
            .get(&stream)
            .filter(|one| one.connected)
            .and_then(|one| one.plugins.get(plugin)?.wanted)
            .is_some_and(|wanted| wanted == generation)
    }

    pub(super) fn disconnect(&mut self, now: Timestamp, stream: StreamId) {
        if let Some(subscriber) = self.0.get_mut(&stream) {
            subscriber.connected = false;
            subscriber.since = now;
        }
        let gone = self.0.values().filter(|one| !one.connected).count();
        if gone > MOST_SHOWN {
            let oldest = self
                .0
                .iter()
                .filter(|(_, one)| !one.connected)
                .min_by_key(|(_, one)| one.since)
                .map(|(stream, _)| *stream);
            oldest.and_then(|stream| self.0.remove(&stream));
        }
    }

    /// Drops those that have long been gone.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.0
            .retain(|_, one| one.connected || now.since(one.since) < SHOWN_AFTER_THE_END);
    }

    /// The connected Envoys that a version is for, and what they have of it.
    pub(super) fn of<'s>(
        &'s self,
        rollout: &'s Rollout,
    ) -> impl Iterator<Item = (&'s Node, &'s Delivery)> {
        self.0
            .values()
            .filter(|one| one.connected && rollout.is_for(&one.node.group))
            .filter_map(|one| Some((&one.node, one.plugins.get(&rollout.plugin)?)))
    }

    /// The same, to decide what they are to have.
    pub(super) fn of_mut<'s>(
        &'s mut self,
        plugin: &'s str,
    ) -> impl Iterator<Item = (StreamId, &'s Node, &'s mut Delivery)> {
        self.0
            .iter_mut()
            .filter(|(_, one)| one.connected)
            .filter_map(move |(stream, one)| {
                Some((*stream, &one.node, one.plugins.get_mut(plugin)?))
            })
    }

    /// The Envoys that a version is for, those that have gone away too.
    pub(super) fn status(&self, rollout: &Rollout) -> Vec<EnvoyStatus> {
        let mut all: Vec<EnvoyStatus> = self
            .0
            .values()
            .filter(|one| rollout.is_for(&one.node.group))
            .filter_map(|one| Some(one.status(one.plugins.get(&rollout.plugin)?)))
            .collect();
        all.sort_by(|one, other| (&one.node, &one.address).cmp(&(&other.node, &other.address)));
        all
    }

    fn delivery(&mut self, stream: StreamId, plugin: &str) -> Option<&mut Delivery> {
        self.0.get_mut(&stream)?.plugins.get_mut(plugin)
    }
}

impl Subscriber {
    fn status(&self, delivery: &Delivery) -> EnvoyStatus {
        let state = match delivery.state() {
            _ if !self.connected => EnvoyState::Disconnected,
            state => state,
        };
        let refusal = delivery.refused.as_ref();
        EnvoyStatus {
            node: self.node.id.clone(),
            group: self.node.group.clone(),
            address: self.node.address.clone(),
            state,
            reason: refusal
                .filter(|_| state == EnvoyState::Refused)
                .map(|(_, reason)| reason.clone()),
            wanted: delivery.wanted,
            acknowledged: delivery.acknowledged,
            workers: delivery
                .wanted
                .and_then(|wanted| delivery.sight(wanted))
                .map(|sight| Workers {
                    running: sight.running.min(sight.workers),
                    all: sight.workers,
                }),
            since: if self.connected {
                delivery.since
            } else {
                self.since
            },
        }
    }
}
