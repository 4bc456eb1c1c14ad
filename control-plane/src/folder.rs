//! The folder of rollouts: read when it begins, and again when a file in it or a module changes.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::machine::Event;
use crate::plane::Plane;
use crate::rollout::{Rollout, name_of, read};
use crate::status::FileFault;

/// Files are often written in several steps; what comes so soon after is one change.
const SETTLED: Duration = Duration::from_millis(10);
/// Where the system tells nothing of a change, as on some network file systems, it is seen after this.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(5);

/// The folder cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It cannot be read.
    #[error("cannot read the folder of rollouts `{}`", folder.display())]
    Read {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system cannot tell of changes.
    #[error("cannot watch the folder of rollouts `{}`", folder.display())]
    Watch {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: notify::Error,
    },
}

/// Reads the folder, tells the plane, and goes on to do so whenever something changes.
///
/// # Errors
///
/// [`FolderError`], at the beginning only; later the plane shows what is wrong.
pub async fn watch(folder: PathBuf, plane: Arc<Plane>) -> Result<(), FolderError> {
    let mut eye = Eye::new(&folder)?;
    let first = scan(&folder).map_err(|source| FolderError::Read {
        folder: folder.clone(),
        source,
    })?;
    eye.look_at(first.modules());
    plane.tell(first.into_event());
    loop {
        // Either is a reason to look.
        let _ = timeout(LOOKED_AT_EVERY, eye.changed.notified()).await;
        sleep(SETTLED).await;
        let place = folder.clone();
        let scanned = tokio::task::spawn_blocking(move || scan(&place)).await;
        // A folder that cannot be read for a while is no reason to withdraw anything.
        if let Ok(Ok(scanned)) = scanned {
            eye.look_at(scanned.modules());
            plane.tell(scanned.into_event());
        }
    }
}

/// The system's news of files.
struct Eye {
    watcher: RecommendedWatcher,
    changed: Arc<Notify>,
    folders: BTreeSet<PathBuf>,
}

impl Eye {
    fn new(folder: &Path) -> Result<Self, FolderError> {
        let changed = Arc::new(Notify::new());
        let told = Arc::clone(&changed);
        let fault = |source| FolderError::Watch {
            folder: folder.to_owned(),
            source,
        };
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event too, and would come of looking.
            if event.map_or(true, |event| !event.kind.is_access()) {
                told.notify_one();
            }
        });
        let mut watcher = watcher.map_err(fault)?;
        watcher
            .watch(folder, RecursiveMode::NonRecursive)
            .map_err(fault)?;
        Ok(Self {
            watcher,
            changed,
            folders: BTreeSet::from([folder.to_owned()]),
        })
    }

    /// Hears of these files too, by their folders: a file that is replaced is another one.
    fn look_at(&mut self, files: impl Iterator<Item = PathBuf>) {
        for file in files {
            let Some(folder) = file.parent().map(Path::to_owned) else {
                continue;
            };
            if !self.folders.contains(&folder)
                && self
                    .watcher
                    .watch(&folder, RecursiveMode::NonRecursive)
                    .is_ok()
            {
                self.folders.insert(folder);
            }
        }
    }
}

/// What the folder holds.
struct Scanned {
    rollouts: Vec<Arc<Rollout>>,
    faults: Vec<FileFault>,
    present: Vec<String>,
}

impl Scanned {
    fn modules(&self) -> impl Iterator<Item = PathBuf> {
        self.rollouts
            .iter()
            .map(|rollout| rollout.module.path.clone())
    }

    fn into_event(self) -> Event {
        Event::Declared {
            rollouts: self.rollouts,
            faults: self.faults,
            present: self.present,
        }
    }
}

fn scan(folder: &Path) -> io::Result<Scanned> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let yaml = path.extension().is_some_and(|end| end == "yaml");
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if yaml && !hidden {
            files.push(path);
        }
    }
    files.sort();
    let mut scanned = Scanned {
        rollouts: Vec::new(),
        faults: Vec::new(),
        present: files.iter().map(|path| name_of(path)).collect(),
    };
    for path in files {
        match read(&path) {
            Ok(rollout) => scanned.add(rollout),
            Err(error) => scanned.faults.push(error.fault()),
        }
    }
    Ok(scanned)
}

impl Scanned {
    fn add(&mut self, rollout: Rollout) {
        match self.rollouts.iter().find(|other| other.meets(&rollout)) {
            None => self.rollouts.push(Arc::new(rollout)),
            Some(other) => self.faults.push(FileFault {
                file: rollout.file.display().to_string(),
                line: None,
                column: None,
                reason: format!(
                    "plugin `{}` is declared by `{}` already, for a group of this one; \
                     name groups that do not overlap",
                    rollout.plugin,
                    other.file.display()
                ),
            }),
        }
    }
}
