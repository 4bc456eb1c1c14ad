use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::counts::Counts;
use super::probed::{Probing, Round};
use super::subscribers::Node;
use crate::rollout::Rollout;
use crate::status::FileFault;

/// A stream of an Envoy, for as long as it lasts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The folder of rollouts holds these, and files with these faults.
    Declared {
        /// What could be read.
        rollouts: Vec<Arc<Rollout>>,
        /// What could not.
        faults: Vec<FileFault>,
        /// The names of rollouts whose files are there, readable or not.
        present: Vec<String>,
    },
    /// A version was tried.
    Checked {
        /// The rollout.
        name: String,
        /// Which trial this was.
        trial: u64,
        /// What came of it: the version, whose module was fetched if it is in an image.
        outcome: Result<Arc<Rollout>, Setback>,
    },
    /// An Envoy has opened a stream.
    Connected {
        /// The stream.
        stream: StreamId,
        /// Who it is.
        node: Node,
    },
    /// It asks for a plugin.
    Subscribed {
        /// The stream.
        stream: StreamId,
        /// The plugin.
        plugin: String,
        /// The generation that it has, by its own word.
        holds: Option<u64>,
    },
    /// It acknowledges what it was sent.
    Acknowledged {
        /// The stream.
        stream: StreamId,
        /// The plugin.
        plugin: String,
        /// The generation.
        generation: u64,
    },
    /// It refuses what it was sent.
    Refused {
        /// The stream.
        stream: StreamId,
        /// The plugin.
        plugin: String,
        /// The generation.
        generation: u64,
        /// What Envoy says.
        reason: String,
    },
    /// A push goes out now.
    Sent {
        /// The stream.
        stream: StreamId,
        /// The plugin.
        plugin: String,
        /// The generation.
        generation: u64,
        /// What the Envoy counted just before, if it could be asked.
        before: Option<Counts>,
        /// Whether it answered the version's probe as the version is to, just before; nothing where that was not
        /// asked, or not answered.
        answered: Option<bool>,
    },
    /// The counters of an Envoy were read, or could not be.
    Seen {
        /// The stream.
        stream: StreamId,
        /// What they say, or why they cannot be read.
        counts: Result<Counts, String>,
    },
    /// An Envoy was probed, or could not be.
    Probed {
        /// The stream.
        stream: StreamId,
        /// The plugin.
        plugin: String,
        /// The generation that it was probed for.
        generation: u64,
        /// What the answers say, or why there are none.
        round: Result<Round, String>,
    },
    /// The stream has ended.
    Disconnected {
        /// The stream.
        stream: StreamId,
    },
    /// Time has passed.
    Tick,
}

/// Why a version is not sent.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Setback {
    /// It is bad.
    Refused(String),
    /// It could not be tried, and may be a little later.
    Later(String),
}

/// Something to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Try a version, and tell with [`Event::Checked`].
    Check {
        /// The version.
        rollout: Arc<Rollout>,
        /// Which trial this is.
        trial: u64,
    },
    /// Send a version on a stream, in place of what was not sent yet.
    Push {
        /// The stream.
        stream: StreamId,
        /// The version.
        rollout: Arc<Rollout>,
        /// The generation that it is sent as.
        generation: u64,
    },
    /// Keep what [`Machine::memory`](crate::Machine::memory) says, for another start of this program.
    Save,
}

/// An operator's wish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Wish {
    /// Give the version of the canary group to the others now.
    Promote,
    /// Go back to the version before.
    Undo,
}

/// Why an operator's wish is not granted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Denial {
    /// There is no such rollout.
    Unknown,
    /// It is not the time for it.
    NotNow(String),
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no rollout of this name"),
            Self::NotNow(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Denial {}

/// What is to be learned of an Envoy.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Watch {
    /// The counters of these plugins are to be read.
    pub plugins: BTreeSet<String>,
    /// And these versions probed.
    pub probes: Vec<Probing>,
    /// So often.
    pub every: Duration,
}
