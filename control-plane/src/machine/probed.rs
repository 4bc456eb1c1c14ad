//! What answers to requests say of the workers, for modules that do not count what they configure.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::counts::Share;
use super::subscribers::Node;
use crate::rollout::Probe;

/// A version of a plugin that an Envoy is to be probed for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Probing {
    /// The plugin.
    pub plugin: String,
    /// The generation.
    pub generation: u64,
    /// Where the Envoy answers.
    pub address: SocketAddr,
    /// What it is asked, and what the version answers.
    pub probe: Arc<Probe>,
    /// Whether all that is to be seen is that it goes on to answer so.
    pub is_watched: bool,
}

impl Probing {
    /// A version of this plugin, pushed as this generation, whose Envoy answers here.
    pub fn new(
        plugin: impl Into<String>,
        generation: u64,
        address: SocketAddr,
        probe: Arc<Probe>,
    ) -> Self {
        Self {
            plugin: plugin.into(),
            generation,
            address,
            probe,
            is_watched: false,
        }
    }

    /// The same where every worker is known to run it.
    #[must_use]
    pub fn watched(mut self, is_watched: bool) -> Self {
        self.is_watched = is_watched;
        self
    }
}

/// What some requests on new connections have shown.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Round {
    /// How many workers the Envoy has.
    pub workers: u64,
    /// The workers that have taken one of the connections for certain, and so answered as the version is to.
    pub running: BTreeSet<u64>,
    /// The answers, and those of them that were not the version's.
    pub answers: Share,
    /// One of the latter.
    pub other: Option<String>,
}

/// What is known of an Envoy's workers by probes.
#[derive(Clone, Debug, Default)]
pub(super) struct Probed {
    probe: Option<Arc<Probe>>,
    /// Whether its Envoy asks for the plugin by several sources of configuration.
    is_shared: bool,
    /// Whether it answered as the version is to, before it was sent.
    before: Option<bool>,
    running: BTreeSet<u64>,
    workers: u64,
    answers: u64,
    /// What the last round ended with.
    last: Option<Result<Option<String>, String>>,
    /// In how many rounds in a row something else was answered: one may be the answer of an upstream.
    otherwise: u32,
}

/// How far the workers are, as far as probes say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Shown {
    /// Nobody will ever know.
    Never(String),
    /// Nobody knows yet.
    NotYet(String),
    /// Some answers are not the version's.
    Some {
        running: u64,
        workers: u64,
        other: String,
    },
}

impl Probed {
    /// Nothing is known of a version with this probe. Where the same version is sent again, it answered before as
    /// it is to for no other reason.
    pub(super) fn begin(&self, probe: Option<Arc<Probe>>, again: bool) -> Self {
        Self {
            probe,
            is_shared: self.is_shared,
            before: self.before.filter(|_| again),
            ..Self::default()
        }
    }

    /// Whether its Envoy asks for the plugin by several sources of configuration: who answers is one of them.
    pub(super) fn share(&mut self, is_shared: bool) {
        self.is_shared = is_shared;
    }

    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether it answered before the version was sent as the version is to.
    pub(super) fn was_probed(&mut self, answered: Option<bool>) {
        if self.before.is_none() {
            self.before = answered;
        }
    }

    /// Takes what some requests have shown; whether every worker is shown to run the version now.
    pub(super) fn take(&mut self, round: Result<Round, String>) -> bool {
        if self.is_shared {
            return false;
        }
        let round = match round {
            Ok(round) => round,
            Err(reason) => {
                self.otherwise = 0;
                self.last = Some(Err(reason));
                return false;
            }
        };
        self.workers = round.workers;
        self.running.extend(round.running);
        self.answers = self.answers.saturating_add(round.answers.all);
        let is_pure = round.other.is_none();
        self.otherwise = if is_pure { 0 } else { self.otherwise + 1 };
        self.last = Some(Ok(round.other));
        is_pure && self.tells() && self.workers > 0 && self.has_all()
    }

    /// Whether the answers tell the version from the one before it.
    fn tells(&self) -> bool {
        let probe = self.probe.as_deref();
        self.before == Some(false) || probe.is_some_and(Probe::names_the_generation)
    }

    fn has_all(&self) -> bool {
        (0..self.workers).all(|worker| self.running.contains(&worker))
    }

    /// What an Envoy is to be asked, if its answers can show something. Where every worker is known to run the version,
    /// they need not differ from those before.
    pub(super) fn probing(
        &self,
        node: &Node,
        is_confirmed: bool,
    ) -> Option<(SocketAddr, Arc<Probe>)> {
        let probe = self
            .probe
            .as_ref()
            .filter(|_| is_confirmed && !self.is_shared || self.why_never(node).is_none())?;
        Some((node.probe_address(probe.port)?, Arc::clone(probe)))
    }

    fn why_never(&self, node: &Node) -> Option<String> {
        let id = &node.id;
        let probe = self.probe.as_ref()?;
        if node.probe_address(probe.port).is_none() {
            return Some(format!(
                "nobody knows where Envoy `{id}` can be probed: the rollout's `probe` names no \
                 port, and its node's metadata no `attache.probe_port`"
            ));
        }
        if self.is_shared {
            return Some(format!(
                "Envoy `{id}` asks for the plugin by several sources of configuration, and nobody \
                 knows which of them a probe reaches"
            ));
        }
        match self.before {
            _ if self.tells() => None,
            Some(true) => Some(format!(
                "Envoy `{id}` answered the probe as this version is to before it was sent, so \
                 that nobody can tell what its workers run"
            )),
            _ => Some(format!(
                "nobody knows what Envoy `{id}` answered to the probe before this version was \
                 sent, and so what its workers run: it did not answer, or no listener was open \
                 and the rollout's `probe` expects no header"
            )),
        }
    }

    /// How far the workers of an Envoy are that has acknowledged the version; nothing without a probe.
    pub(super) fn shown(&self, node: &Node) -> Option<Shown> {
        self.probe.as_ref()?;
        let id = &node.id;
        if let Some(reason) = self.why_never(node) {
            return Some(Shown::Never(reason));
        }
        Some(match &self.last {
            None => Shown::NotYet(format!("Envoy `{id}` was not probed yet")),
            Some(Err(reason)) => Shown::NotYet(reason.clone()),
            Some(Ok(_)) if self.workers == 0 => Shown::NotYet(format!(
                "Envoy `{id}` does not show how many workers it has (`server.concurrency`)"
            )),
            Some(Ok(Some(other))) if self.otherwise < 2 => Shown::NotYet(format!(
                "Envoy `{id}` answered a probe otherwise: {other}; it is asked again"
            )),
            Some(Ok(Some(other))) => Shown::Some {
                running: self.running.len() as u64,
                workers: self.workers,
                other: other.clone(),
            },
            Some(Ok(None)) => Shown::NotYet(format!(
                "Envoy `{id}` answered {} probes with it, which {} of {} workers have taken for \
                 certain",
                self.answers,
                self.running.len(),
                self.workers
            )),
        })
    }

    /// What is answered in its place by an Envoy whose workers all ran it, in more than one round.
    pub(super) fn otherwise(&self) -> Option<&str> {
        match &self.last {
            Some(Ok(Some(other))) if self.otherwise > 1 => Some(other),
            _ => None,
        }
    }

    /// How many of how many workers were seen to run it.
    pub(super) fn workers(&self) -> Option<(u64, u64)> {
        (self.workers > 0).then_some((self.running.len() as u64, self.workers))
    }
}
