//! How far an Envoy is, and what can be told of it.

use super::{Delivery, Moment};
use crate::machine::counts::Running;
use crate::machine::probed::Shown;
use crate::machine::subscribers::Node;
use crate::rollout::CONFIGURED;
use crate::status::{EnvoyState, Workers};

/// How far an Envoy is with what it is to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::machine) enum Progress {
    /// It has refused it.
    Refused(String),
    /// It has not answered.
    Waiting,
    /// It has acknowledged it, and not all workers run it.
    Starting { running: u64, workers: u64 },
    /// The same by its answers, one of which was another version's.
    Answering {
        running: u64,
        workers: u64,
        other: String,
    },
    /// It has acknowledged it, and nobody will ever know more.
    Untold(String),
    /// It has acknowledged it, and nobody knows more yet.
    Unseen(String),
    /// Every worker runs it.
    Running,
}

impl Delivery {
    /// How far it is, if its module counts what it configures or not, and why its Envoy's counters cannot be
    /// read, if they cannot.
    pub(in crate::machine) fn progress(
        &self,
        node: &Node,
        counts: bool,
        unseen: Option<&str>,
    ) -> Progress {
        let Some(wanted) = self.wanted else {
            return Progress::Waiting;
        };
        if let Some((generation, reason)) = &self.refused
            && *generation == wanted.generation
        {
            return Progress::Refused(reason.clone());
        }
        if self.acknowledged != Some(wanted.generation) {
            return Progress::Waiting;
        }
        if self.confirmed {
            return Progress::Running;
        }
        let id = &node.id;
        if node.admin.is_none() {
            return Progress::Untold(format!(
                "Envoy `{id}` names no admin port (`attache.admin_port` in its node's metadata), \
                 so that nobody can tell what its workers run"
            ));
        }
        if !counts {
            return self.answered(node, unseen);
        }
        if let Some(reason) = unseen {
            return Progress::Unseen(reason.to_owned());
        }
        let (Some(gain), Some(last)) = (&self.since_sent, &self.last) else {
            return Progress::Unseen(format!(
                "the counters of Envoy `{id}` were not read when the version was sent to it"
            ));
        };
        match gain.running(last.workers()) {
            // What was seen last is older than the acknowledgement.
            Running::All { workers } => Progress::Starting {
                running: workers,
                workers,
            },
            Running::Some { running, workers } => Progress::Starting { running, workers },
            Running::NoWorkers => Progress::Unseen(format!(
                "Envoy `{id}` does not show how many workers it has (`server.concurrency`)"
            )),
            Running::NotCounted => Progress::Unseen(format!(
                "Envoy `{id}` does not show the counter `{CONFIGURED}` of the plugin"
            )),
            Running::Restarted => Progress::Unseen(format!(
                "VMs of the plugin were restarted in Envoy `{id}` meanwhile, so that nobody can \
                 tell what its workers run"
            )),
        }
    }

    /// How far it is by its answers, where the module does not count.
    fn answered(&self, node: &Node, unseen: Option<&str>) -> Progress {
        match (self.probed.shown(node), unseen) {
            (None, _) => Progress::Untold(format!(
                "the module does not count its configurations (`{CONFIGURED}`) and the rollout \
                 names no `probe`, so that nobody can tell what the workers of `{}` run",
                node.id
            )),
            (Some(Shown::Never(reason)), _) => Progress::Untold(reason),
            (_, Some(reason)) => Progress::Unseen(reason.to_owned()),
            (Some(Shown::NotYet(reason)), None) => Progress::Unseen(reason),
            (
                Some(Shown::Some {
                    running,
                    workers,
                    other,
                }),
                None,
            ) => Progress::Answering {
                running,
                workers,
                other,
            },
        }
    }

    /// Why nobody can tell more of it than that it was acknowledged, by its answers.
    pub(in crate::machine) fn untold(&self, node: &Node) -> Option<String> {
        let counts = self.wanted.is_some_and(|wanted| wanted.counts);
        match self.probed.shown(node).filter(|_| !counts)? {
            Shown::Never(reason) | Shown::NotYet(reason) => Some(reason),
            Shown::Some { other, .. } => Some(format!("some workers answer otherwise: {other}")),
        }
    }

    pub(in crate::machine) fn state(&self) -> EnvoyState {
        match self.wanted {
            None => EnvoyState::Waiting,
            Some(_) if self.refusal().is_some() => EnvoyState::Refused,
            Some(_) if !self.is_acknowledged() => EnvoyState::Sent,
            Some(_) if self.confirmed => EnvoyState::Confirmed,
            Some(_) => EnvoyState::Acknowledged,
        }
    }

    /// Why it refused what it is to run.
    pub(in crate::machine) fn refusal(&self) -> Option<&str> {
        let (generation, reason) = self.refused.as_ref()?;
        self.wants_generation(*generation).then_some(reason)
    }

    pub(in crate::machine) fn wanted_generation(&self) -> Option<u64> {
        self.wanted.map(|wanted| wanted.generation)
    }

    pub(in crate::machine) fn acknowledged(&self) -> Option<u64> {
        self.acknowledged
    }

    pub(in crate::machine) fn since(&self) -> Moment {
        self.since
    }

    /// How many workers run it, as far as counters say.
    pub(in crate::machine) fn workers(&self) -> Option<Workers> {
        let all = self.last.as_ref()?.workers();
        if self.confirmed {
            return Some(Workers { running: all, all });
        }
        let counts = self.wanted.is_some_and(|wanted| wanted.counts);
        if !counts {
            // What is counted is another version's.
            let (running, all) = self.probed.workers()?;
            return Some(Workers { running, all });
        }
        let running = match self.since_sent.as_ref()?.running(all) {
            Running::Some { running, .. } => running,
            Running::All { workers } => workers,
            _ => return None,
        };
        Some(Workers { running, all })
    }
}
