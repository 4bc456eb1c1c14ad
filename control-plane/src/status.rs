//! What the HTTP API answers: the state of rollouts, of the Envoys that they go to, and how it came about.
//!
//! These types are read by other programs. Fields are added to them, and none is renamed or removed.

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// The answer of `GET /v1/rollouts`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// The rollouts, by name.
    pub rollouts: Vec<RolloutStatus>,
    /// What is wrong with the files of rollouts, now.
    pub faults: Vec<FileFault>,
    /// When this was the state.
    pub at: Timestamp,
}

/// The state of one rollout; the answer of `GET /v1/rollouts/NAME`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RolloutStatus {
    /// Its name: that of its file, without `.yaml`.
    pub name: String,
    /// The file that declares it.
    pub file: String,
    /// The name of the plugin, in filter chains and in Envoy's statistics.
    pub plugin: String,
    /// The groups of Envoys that it is for; all where there are none.
    pub groups: Vec<String>,
    /// What has become of the version that the file declares.
    pub phase: Phase,
    /// Why, in words for people.
    pub reason: Option<String>,
    /// Since when it is in this phase.
    pub since: Timestamp,
    /// The version that the file declares; its generation is that of its first push.
    pub declared: Version,
    /// The version that serves, but for Envoys that try the declared one: the declared one itself once it has
    /// arrived everywhere, or the last good one.
    pub serving: Option<Version>,
    /// How far the connected Envoys are that are to run what serves.
    #[serde(default)]
    pub served_by: Tally,
    /// The trial by a canary group, while it lasts.
    pub canary: Option<CanaryStatus>,
    /// The Envoys that ask for the plugin and are in its groups.
    pub envoys: Vec<EnvoyStatus>,
}

/// What has become of the version that a file declares.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Phase {
    /// It is being tried here; no Envoy has seen it.
    Validating,
    /// It was refused here and never pushed, or by Envoys that had no version before it.
    Refused,
    /// It is on its way to the Envoys.
    Pushed,
    /// The canary group runs it, and is watched.
    Canary,
    /// The Envoys have acknowledged it. Whether their workers run it, nobody can tell.
    AcknowledgedUnconfirmed,
    /// Every worker of every Envoy ran it, when this was seen; [`RolloutStatus::served_by`] says how it is now.
    Confirmed,
    /// It was taken back; the last good version serves.
    Returned,
    /// The file is gone; the last good version serves.
    Withdrawn,
}

impl Phase {
    /// All of them, in the order of a rollout's life.
    pub const ALL: [Self; 8] = [
        Self::Validating,
        Self::Refused,
        Self::Pushed,
        Self::Canary,
        Self::AcknowledgedUnconfirmed,
        Self::Confirmed,
        Self::Returned,
        Self::Withdrawn,
    ];

    /// The word for it, as JSON has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Refused => "refused",
            Self::Pushed => "pushed",
            Self::Canary => "canary",
            Self::AcknowledgedUnconfirmed => "acknowledged-unconfirmed",
            Self::Confirmed => "confirmed",
            Self::Returned => "returned",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A version of a rollout.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Version {
    /// The number of its push, which no other push has; nothing if it was never pushed.
    pub generation: Option<u64>,
    /// The sha256 of the module; empty for one in an image that was not fetched yet.
    pub module: String,
    /// The image that it is from, by its digest once it was fetched.
    #[serde(default)]
    pub image: Option<String>,
    /// The sha256 of the configuration.
    pub configuration: String,
    /// The state epoch: another one forgets shared data.
    pub state_epoch: u32,
}

/// How far Envoys are with a version.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// The connected Envoys that are to run it.
    pub envoys: u64,
    /// Those of them that have acknowledged it.
    pub acknowledged: u64,
    /// Those of them that were seen to run it on every worker, since this program began.
    pub confirmed: u64,
}

/// A trial by a canary group.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CanaryStatus {
    /// The group.
    pub group: String,
    /// When the version goes to the other groups, unless it fails; nothing before the group runs it.
    pub until: Option<Timestamp>,
}

/// An Envoy, as a rollout sees it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EnvoyStatus {
    /// Its node id.
    pub node: String,
    /// The group that it says it is of.
    pub group: String,
    /// From where it is connected.
    pub address: String,
    /// How far it is with the version that it should run.
    pub state: EnvoyState,
    /// Why, in words for people.
    pub reason: Option<String>,
    /// The generation that it should run.
    pub wanted: Option<u64>,
    /// The generation that it last acknowledged.
    pub acknowledged: Option<u64>,
    /// How many of its threads run the wanted generation, where it can be asked.
    pub workers: Option<Workers>,
    /// Since when it is in this state.
    pub since: Timestamp,
}

/// How far an Envoy is with the version that it should run.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EnvoyState {
    /// There is nothing for it yet.
    Waiting,
    /// It has been sent.
    Sent,
    /// Envoy acknowledged it, which says nothing of its workers.
    Acknowledged,
    /// Envoy refused it, and runs what it ran before.
    Refused,
    /// Every worker runs it.
    Confirmed,
    /// It has gone away. What it had last, it runs on.
    Disconnected,
}

/// How many workers of an Envoy run a generation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Workers {
    /// Those that were seen to run it.
    pub running: u64,
    /// Those that there are.
    pub all: u64,
}

/// What is wrong with a file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FileFault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The column, from 1.
    pub column: Option<u64>,
    /// What is wrong, and what was expected.
    pub reason: String,
}

/// The answer of `GET /v1/rollouts/NAME/history`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct History {
    /// The rollout.
    pub name: String,
    /// What happened, latest last; old entries are dropped.
    pub entries: Vec<HistoryEntry>,
}

/// Something that happened to a rollout.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// The phase that began.
    pub phase: Phase,
    /// Why.
    pub reason: Option<String>,
    /// The version that it is about.
    pub version: Version,
}

/// What the API answers with a status that is not 200.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// What is wrong, and the next step.
    pub error: String,
}
