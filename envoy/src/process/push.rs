use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::admin::AdminError;
use super::failure::explains_plugin;
use super::{Ended, Envoy, LogLine};
use crate::discovered::{Discovered, WriteError};
use crate::plugin::Plugin;

/// What Envoy did with a plugin that was pushed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
#[non_exhaustive]
pub enum Push {
    /// Envoy's main thread configured the plugin and counts it as applied. The
    /// workers take it up on their own, within milliseconds and without a word;
    /// only a request shows that they did.
    Accepted {
        /// What was logged meanwhile.
        log: Vec<LogLine>,
    },
    /// Envoy refused it. The plugin before it goes on serving.
    Refused {
        /// What the filter and its host logged about it.
        log: Vec<LogLine>,
    },
}

/// Why it is not known what became of a plugin that was pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The plugin is not one of those that this Envoy was started with.
    #[error("plugin `{plugin}` cannot be replaced, Envoy discovers {known}")]
    NotDiscovered {
        /// The name of the plugin.
        plugin: String,
        /// The names that can be replaced.
        known: String,
    },
    /// The file could not be written.
    #[error("plugin `{plugin}` cannot be handed over")]
    Write {
        /// The name of the plugin.
        plugin: String,
        /// Why.
        source: WriteError,
    },
    /// Envoy does not say what became of it.
    #[error("it is not known what became of plugin `{plugin}`")]
    Admin {
        /// The name of the plugin.
        plugin: String,
        /// Why.
        source: AdminError,
    },
    /// The log or the state of the process cannot be read.
    #[error("it cannot be seen what became of plugin `{plugin}`")]
    Watch {
        /// The name of the plugin.
        plugin: String,
        /// Why.
        source: io::Error,
    },
    /// Envoy ended meanwhile.
    #[error("Envoy ended with {ended} while it was given plugin `{plugin}`")]
    Exited {
        /// The name of the plugin.
        plugin: String,
        /// How it ended.
        ended: Ended,
    },
    /// Envoy has neither accepted nor refused it in time.
    #[error("Envoy neither accepted nor refused plugin `{plugin}` within {} s", limit.as_secs())]
    Unanswered {
        /// The name of the plugin.
        plugin: String,
        /// How long it was waited.
        limit: Duration,
    },
}

impl Envoy {
    /// Replaces a discovered plugin while Envoy runs, and waits until Envoy has
    /// accepted or refused it.
    ///
    /// Accepted means what [`Push::Accepted`] says, and no more. Not to be
    /// called for one plugin from two threads or processes at once: each would
    /// take the other's outcome for its own.
    ///
    /// # Errors
    ///
    /// [`PushError`], if it is not known what became of it.
    pub fn push(&mut self, plugin: &Plugin, limit: Duration) -> Result<Push, PushError> {
        self.push_by(plugin, limit, Discovered::write)
    }

    /// Replaces a discovered plugin like [`push`](Self::push), and lets it share VMs as
    /// [`Discovered::write_in_place`] does.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_in_place(&mut self, plugin: &Plugin, limit: Duration) -> Result<Push, PushError> {
        self.push_by(plugin, limit, Discovered::write_in_place)
    }

    fn push_by(
        &mut self,
        plugin: &Plugin,
        limit: Duration,
        write: fn(&Discovered, &Plugin) -> Result<PathBuf, WriteError>,
    ) -> Result<Push, PushError> {
        let name = || plugin.name.clone();
        let watch = |source| PushError::Watch {
            plugin: name(),
            source,
        };
        let admin = |source| PushError::Admin {
            plugin: name(),
            source,
        };
        let Some(place) = self
            .discovered
            .iter()
            .find(|place| place.name() == plugin.name)
        else {
            return Err(PushError::NotDiscovered {
                plugin: name(),
                known: self.known_places(),
            });
        };
        let place = place.clone();
        let mut log = self.follow_log().map_err(watch)?;
        let before = self.admin.discovery(&place).map_err(admin)?;
        write(&place, plugin).map_err(|source| PushError::Write {
            plugin: name(),
            source,
        })?;
        let deadline = Instant::now() + limit;
        loop {
            if let Some(ended) = self.ended().map_err(watch)? {
                return Err(PushError::Exited {
                    plugin: name(),
                    ended,
                });
            }
            let now = self.admin.discovery(&place).map_err(admin)?;
            if now.refused() > before.refused() {
                let lines = log.next_lines().map_err(watch)?;
                return Ok(Push::Refused {
                    log: lines.into_iter().filter(explains_plugin).collect(),
                });
            }
            // A success without a reload is Envoy's answer to what it had already.
            if now.success > before.success && now.reload > before.reload {
                return Ok(Push::Accepted {
                    log: log.next_lines().map_err(watch)?,
                });
            }
            if Instant::now() >= deadline {
                return Err(PushError::Unanswered {
                    plugin: name(),
                    limit,
                });
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn known_places(&self) -> String {
        let names: Vec<String> = self
            .discovered
            .iter()
            .map(|place| format!("`{}`", place.name()))
            .collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    }
}
