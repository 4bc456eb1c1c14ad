use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::StreamId;
use super::counts::{Counts, Slots};
use super::delivery::{Delivery, Gone};
use super::moment::Moment;
use crate::rollout::Rollout;
use crate::status::{EnvoyState, EnvoyStatus, Tally};

/// How long an Envoy that has gone away is shown.
const SHOWN_AFTER_THE_END: Duration = Duration::from_secs(600);
/// How many of them are shown at most.
const MOST_SHOWN: usize = 4_096;

/// What asks for a plugin from more sources of configuration than this is likely several Envoys of one name.
const MOST_SOURCES: usize = 4;

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
    /// The port of its listener that probes go to, if it says so.
    pub probe_port: Option<u16>,
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
            probe_port: None,
        }
    }

    /// The same with an admin endpoint.
    #[must_use]
    pub fn with_admin(mut self, admin: Option<SocketAddr>) -> Self {
        self.admin = admin;
        self
    }

    /// The same with a port of a listener that probes go to.
    #[must_use]
    pub fn with_probe_port(mut self, port: Option<u16>) -> Self {
        self.probe_port = port;
        self
    }

    /// Where it is probed, on this port or on the one that it names, on the host that it is connected from.
    #[must_use]
    pub fn probe_address(&self, port: Option<u16>) -> Option<SocketAddr> {
        let own: SocketAddr = self.address.parse().ok()?;
        Some(SocketAddr::new(own.ip(), port.or(self.probe_port)?))
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
#[derive(Debug)]
pub(super) struct Subscribers {
    all: BTreeMap<StreamId, Subscriber>,
    /// An Envoy of which nothing is known may have refused what was sent up to this generation.
    floor: u64,
}

#[derive(Debug)]
struct Subscriber {
    node: Node,
    connected: bool,
    since: Moment,
    plugins: BTreeMap<String, Delivery>,
    /// Why its counters cannot be read, since they last could.
    unseen: Option<String>,
}

impl Subscribers {
    /// None yet; generations up to this one were sent before.
    pub(super) fn new(floor: u64) -> Self {
        Self {
            all: BTreeMap::new(),
            floor,
        }
    }

    pub(super) fn connect(&mut self, now: Moment, stream: StreamId, node: Node) {
        let subscriber = Subscriber {
            node,
            connected: true,
            since: now,
            plugins: BTreeMap::new(),
            unseen: None,
        };
        self.all.insert(stream, subscriber);
    }

    pub(super) fn subscribe(
        &mut self,
        now: Moment,
        stream: StreamId,
        plugin: String,
        holds: Option<u64>,
    ) {
        let Some(subscriber) = self.all.get(&stream) else {
            return;
        };
        if subscriber.plugins.contains_key(&plugin) {
            return;
        }
        // Each plugin may come on a stream of its own, so that only this one is taken from where it was.
        let node = subscriber.node.clone();
        let others = self.all.values().filter(|one| {
            one.connected && one.plugins.contains_key(&plugin) && one.node.may_be(&node)
        });
        let taken: BTreeSet<usize> = others
            .filter_map(|one| Some(one.plugins.get(&plugin)?.sources_before()))
            .collect();
        let mut before: Option<Gone> = None;
        for other in self.all.values_mut() {
            if !other.connected
                && other.node.may_be(&node)
                && let Some(delivery) = other.plugins.remove(&plugin)
            {
                let at = other.since;
                before = Some(Gone { delivery, at });
            }
        }
        // An Envoy that has come back is not shown as gone as well.
        self.all
            .retain(|_, one| one.connected || !one.plugins.is_empty());
        let mut delivery = Delivery::new(now, holds, before, self.floor);
        let mut numbers = 0..;
        let free = numbers.find(|number| !taken.contains(number)).unwrap_or(0);
        delivery.is_behind(free.min(MOST_SOURCES));
        if let Some(subscriber) = self.all.get_mut(&stream) {
            subscriber.plugins.insert(plugin.clone(), delivery);
        }
        self.share(&node, &plugin);
    }

    /// Tells what an Envoy has of a plugin whether it asks for it by several sources of configuration now.
    fn share(&mut self, node: &Node, plugin: &str) {
        let own = self.all.values_mut().filter(|one| one.connected);
        let own = own.filter_map(|one| {
            let has = one.plugins.get_mut(plugin)?;
            one.node.may_be(node).then_some(has)
        });
        let mut own: Vec<&mut Delivery> = own.collect();
        let several = own.len() > 1;
        for has in &mut own {
            has.share(several);
        }
    }

    /// What the counters of an Envoy say, or why they cannot be read.
    pub(super) fn see(&mut self, now: Moment, stream: StreamId, seen: Result<Counts, String>) {
        let Some(subscriber) = self.all.get_mut(&stream) else {
            return;
        };
        match seen {
            Err(reason) => subscriber.unseen = Some(reason),
            Ok(counts) => {
                subscriber.unseen = None;
                for plugin in counts.plugins.keys() {
                    if let Some(has) = subscriber.plugins.get_mut(plugin) {
                        has.see(now, counts.of(plugin));
                    }
                }
            }
        }
    }

    pub(super) fn delivery(&mut self, stream: StreamId, plugin: &str) -> Option<&mut Delivery> {
        self.all.get_mut(&stream)?.plugins.get_mut(plugin)
    }

    /// Whether this is what an Envoy is to run.
    pub(super) fn wants(&self, stream: StreamId, plugin: &str, generation: u64) -> bool {
        self.all
            .get(&stream)
            .filter(|one| one.connected)
            .and_then(|one| one.plugins.get(plugin))
            .is_some_and(|has| has.wants_generation(generation))
    }

    /// An open stream's plugins, and what its Envoy has of them.
    pub(super) fn plugins(
        &self,
        stream: StreamId,
    ) -> impl Iterator<Item = (&Node, &str, &Delivery)> {
        let open = self.all.get(&stream).filter(|one| one.connected);
        open.into_iter().flat_map(|one| {
            one.plugins
                .iter()
                .map(|(plugin, has)| (&one.node, plugin.as_str(), has))
        })
    }

    pub(super) fn disconnect(&mut self, now: Moment, stream: StreamId) {
        if let Some(subscriber) = self.all.get_mut(&stream) {
            subscriber.connected = false;
            subscriber.since = now;
            let node = subscriber.node.clone();
            let shared = subscriber.plugins.iter().filter(|(_, has)| has.is_shared());
            let shared: Vec<String> = shared.map(|(plugin, _)| plugin.clone()).collect();
            for plugin in shared {
                self.share(&node, &plugin);
            }
        }
    }

    /// How many streams there are, or were a moment ago.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Drops those that have long been gone, and who are too many; `last` is the last generation that was given out.
    pub(super) fn forget(&mut self, now: Moment, last: u64) {
        let before = self.all.len();
        self.all
            .retain(|_, one| one.connected || now.since(one.since) < SHOWN_AFTER_THE_END);
        let gone = self.all.values().filter(|one| !one.connected).count();
        // Streams are numbered as they come: what is first has been gone for long, or was never there for long.
        let mut too_many = gone.saturating_sub(MOST_SHOWN);
        self.all.retain(|_, one| {
            let goes = !one.connected && too_many > 0;
            too_many -= usize::from(goes);
            !goes
        });
        if self.all.len() < before {
            self.floor = last;
        }
    }

    /// The connected Envoys that ask for a plugin, what they have of it, and why their counters cannot be read.
    pub(super) fn of<'s>(
        &'s self,
        plugin: &'s str,
    ) -> impl Iterator<Item = (&'s Node, &'s Delivery, Option<&'s str>)> {
        self.all
            .values()
            .filter(|one| one.connected)
            .filter_map(|one| Some((&one.node, one.plugins.get(plugin)?, one.unseen.as_deref())))
    }

    /// The connected Envoys that are to run a version of a plugin.
    pub(super) fn with<'s>(
        &'s self,
        plugin: &'s str,
        version: u64,
    ) -> impl Iterator<Item = &'s Node> {
        let all = self.of(plugin);
        all.filter_map(move |(node, has, _)| has.wants_version(version).then_some(node))
    }

    /// What all connected Envoys ask for, to decide what they are to have.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = Asks<'_>> {
        self.all
            .iter_mut()
            .filter(|(_, one)| one.connected)
            .flat_map(|(stream, one)| {
                let (node, unseen) = (&one.node, one.unseen.as_deref());
                one.plugins.iter_mut().map(move |(plugin, has)| Asks {
                    stream: *stream,
                    node,
                    unseen,
                    plugin,
                    has,
                })
            })
    }

    /// The Envoys that have ended with a version: they were sent it and are gone, for longer than this, or
    /// have come back without anything.
    pub(super) fn lost(
        &self,
        now: Moment,
        plugin: &str,
        version: u64,
        longer_than: Duration,
    ) -> BTreeSet<&str> {
        let gone = self
            .gone(plugin, version)
            .filter(|one| now.since(one.since) > longer_than);
        let restarted = self.all.values().filter(|one| {
            let has = one.plugins.get(plugin);
            one.connected && has.is_some_and(|has| has.restarted_with(version))
        });
        gone.chain(restarted)
            .map(|one| one.node.id.as_str())
            .collect()
    }

    /// An Envoy that is gone with a version, and may yet come back.
    pub(super) fn missing(
        &self,
        now: Moment,
        plugin: &str,
        version: u64,
        within: Duration,
    ) -> Option<&str> {
        let mut gone = self.gone(plugin, version);
        let missing = gone.find(|one| now.since(one.since) <= within)?;
        Some(&missing.node.id)
    }

    /// Those that were sent a version and have no connection.
    fn gone(&self, plugin: &str, version: u64) -> impl Iterator<Item = &Subscriber> {
        let is_back = move |node: &Node| {
            self.all.values().any(|one| {
                one.connected && one.node.may_be(node) && one.plugins.contains_key(plugin)
            })
        };
        self.all.values().filter(move |one| {
            let has = one.plugins.get(plugin);
            !one.connected
                && has.is_some_and(|has| has.wants_version(version) && has.was_sent())
                && !is_back(&one.node)
        })
    }

    /// The slots in which Envoys count what they run of a plugin now, or have run last.
    pub(super) fn slots(&self, plugin: &str) -> Slots {
        let mut slots = Slots::default();
        for has in self.all.values().filter_map(|one| one.plugins.get(plugin)) {
            has.take_slots(&mut slots);
        }
        slots
    }

    /// How far the connected Envoys are with a version.
    pub(super) fn tally(&self, plugin: &str, version: u64) -> Tally {
        let mut tally = Tally::default();
        for (_, has, _) in self.of(plugin) {
            if has.wants_version(version) {
                tally.envoys += 1;
                tally.acknowledged += u64::from(has.is_acknowledged());
                tally.confirmed += u64::from(has.is_confirmed());
            }
        }
        tally
    }

    /// The Envoys that a rollout is for, those that have gone away too.
    pub(super) fn status(&self, rollout: &Rollout) -> Vec<EnvoyStatus> {
        let mut all: Vec<EnvoyStatus> = self
            .all
            .values()
            .filter(|one| rollout.is_for(&one.node.group))
            .filter_map(|one| Some(one.status(one.plugins.get(&rollout.plugin)?)))
            .collect();
        all.sort_by(|one, other| (&one.node, &one.address).cmp(&(&other.node, &other.address)));
        all
    }
}

/// An Envoy that asks for a plugin.
pub(super) struct Asks<'s> {
    pub(super) stream: StreamId,
    pub(super) node: &'s Node,
    pub(super) unseen: Option<&'s str>,
    pub(super) plugin: &'s str,
    pub(super) has: &'s mut Delivery,
}

impl Subscriber {
    fn status(&self, has: &Delivery) -> EnvoyStatus {
        let state = match has.state() {
            _ if !self.connected => EnvoyState::Disconnected,
            state => state,
        };
        let reason = match state {
            EnvoyState::Refused => has.refusal().map(str::to_owned),
            EnvoyState::Acknowledged => self.unseen.clone().or_else(|| has.untold(&self.node)),
            _ => None,
        };
        let since = if self.connected {
            has.since()
        } else {
            self.since
        };
        EnvoyStatus {
            node: self.node.id.clone(),
            group: self.node.group.clone(),
            address: self.node.address.clone(),
            state,
            reason,
            wanted: has.wanted_generation(),
            acknowledged: has.acknowledged(),
            workers: has.workers(),
            since: since.calendar(),
        }
    }
}
