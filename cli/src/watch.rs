//! Files that something is made of, and when one of them changes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::screen::Screen;

/// An editor writes a file in several steps; the last one counts.
const SETTLE: Duration = Duration::from_millis(50);
/// How often the one who waits does what else there is to do.
const LOOK: Duration = Duration::from_millis(250);

/// The files that are watched.
pub(crate) struct Watch {
    watcher: RecommendedWatcher,
    changes: Receiver<notify::Result<notify::Event>>,
    files: BTreeSet<PathBuf>,
    /// A change from before the watch began.
    missed: Option<PathBuf>,
}

impl Watch {
    /// Watches nothing yet.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (events, changes) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |event| {
            // When nobody listens any more, the process is about to end.
            let _ = events.send(event);
        })
        .context("cannot watch files")?;
        Ok(Self {
            watcher,
            changes,
            files: BTreeSet::new(),
            missed: None,
        })
    }

    /// Watches these files, by the folders that they are in: an editor replaces a file, and a watch
    /// on the file itself would stay with the old one.
    pub(crate) fn set<'a>(&mut self, files: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
        let mut set = BTreeSet::new();
        for file in files {
            let file = std::path::absolute(file)?;
            let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
                continue;
            };
            // Events name a file by its folder's own name, past symbolic links.
            let folder = fs::canonicalize(folder)
                .with_context(|| format!("cannot watch `{}`", folder.display()))?;
            self.watcher
                .watch(&folder, RecursiveMode::NonRecursive)
                .with_context(|| format!("cannot watch `{}`", folder.display()))?;
            set.insert(folder.join(name));
        }
        self.files = set;
        Ok(())
    }

    /// What was written after `since` has changed already.
    pub(crate) fn look_back(&mut self, since: SystemTime) {
        let written = |file: &&PathBuf| {
            let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
            modified.is_ok_and(|modified| modified > since)
        };
        self.missed = self.files.iter().find(written).cloned();
    }

    /// Waits for a change. `meanwhile` is called now and then.
    pub(crate) fn wait(
        &mut self,
        screen: &Screen,
        meanwhile: &mut dyn FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let mut changed = self.missed.take();
        let mut settled = Instant::now();
        loop {
            let look = Instant::now() + if changed.is_some() { SETTLE } else { LOOK };
            while let Some(left) = look.checked_duration_since(Instant::now()) {
                match self.changes.recv_timeout(left) {
                    Ok(Ok(event)) => {
                        if let Some(file) = self.concerned(event) {
                            changed = Some(file);
                            settled = Instant::now() + SETTLE;
                        }
                    }
                    Ok(Err(error)) => screen.warn(format_args!("cannot watch files: {error}")),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => {
                        bail!("the watch on files ended by itself")
                    }
                }
            }
            if let Some(file) = &changed
                && Instant::now() >= settled
            {
                return Ok(file.clone());
            }
            meanwhile()?;
        }
    }

    /// The file that an event is about, if it is one of ours.
    fn concerned(&self, event: notify::Event) -> Option<PathBuf> {
        if matches!(event.kind, EventKind::Access(_)) {
            return None;
        }
        let ours = |path: &PathBuf| {
            // A new file beside the sources may be a new module of the crate.
            self.files.contains(path)
                || (path.extension().is_some_and(|ending| ending == "rs")
                    && self.files.iter().any(|file| file.parent() == path.parent()))
        };
        event.paths.into_iter().find(ours)
    }
}
