//! What the files said when they were looked at, and what was taken of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::machine::Event;
use crate::rollout::{ReadModule, Rollout, name_of, read_again};
use crate::status::FileFault;

/// The files of a folder of rollouts.
pub(super) struct Ledger {
    folder: PathBuf,
    files: BTreeMap<PathBuf, File>,
    /// Why the folder itself could not be read.
    fault: Option<FileFault>,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Looked {
    /// All files say what was taken.
    Settled,
    /// Some say something else, which is not taken before it is seen again.
    Unsettled {
        /// Of others something was taken.
        has_taken: bool,
    },
    /// The folder could not be read.
    Failed,
}

/// What a file says at a time, with the module and the suites that it names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
enum Content {
    #[default]
    Absent,
    Fault(FileFault),
    Rollout(Arc<Rollout>),
}

#[derive(Default)]
struct File {
    seen: Content,
    taken: Content,
    /// Not read again for as long as nobody touches it.
    module: Option<ReadModule>,
}

impl Ledger {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            files: BTreeMap::new(),
            fault: None,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Looks at the folder and at all that is named there.
    pub(super) fn look(&mut self) -> Looked {
        let listed = match list(&self.folder) {
            Ok(listed) => listed,
            Err(error) => {
                // A folder that cannot be read for a while is no reason to withdraw anything.
                self.fault = Some(FileFault {
                    file: self.folder.display().to_string(),
                    line: None,
                    column: None,
                    reason: format!("the folder of rollouts cannot be read: {error}"),
                });
                return Looked::Failed;
            }
        };
        self.fault = None;
        for path in &listed {
            self.files.entry(path.clone()).or_default();
        }
        let (mut has_taken, mut is_settled) = (false, true);
        for (path, file) in &mut self.files {
            let content = match listed.contains(path) {
                true => file.read(path),
                false => Content::Absent,
            };
            if content != file.taken {
                if content == file.seen {
                    file.taken = content.clone();
                    has_taken = true;
                } else {
                    is_settled = false;
                }
            }
            file.seen = content;
        }
        self.files.retain(|_, file| !file.is_gone());
        match is_settled {
            true => Looked::Settled,
            false => Looked::Unsettled { has_taken },
        }
    }

    /// The files that were named by what was seen.
    pub(super) fn named(&self) -> impl Iterator<Item = &Path> {
        let contents = self
            .files
            .values()
            .flat_map(|file| [&file.seen, &file.taken]);
        contents.flat_map(|content| {
            let rollout = match content {
                Content::Rollout(rollout) => Some(rollout),
                Content::Absent | Content::Fault(_) => None,
            };
            rollout.into_iter().flat_map(|rollout| {
                let suites = rollout.suites.iter().map(|suite| suite.path.as_path());
                let module = &rollout.module;
                let file = module.image().is_none().then_some(module.path.as_path());
                suites.chain(file)
            })
        })
    }

    /// What was taken.
    pub(super) fn event(&self) -> Event {
        let mut rollouts: Vec<Arc<Rollout>> = Vec::new();
        let mut faults: Vec<FileFault> = self.fault.iter().cloned().collect();
        for file in self.files.values() {
            match &file.taken {
                Content::Absent => {}
                Content::Fault(fault) => faults.push(fault.clone()),
                Content::Rollout(rollout) => rollouts.push(Arc::clone(rollout)),
            }
        }
        Event::Declared {
            rollouts,
            faults,
            present: self.files.keys().map(|path| name_of(path)).collect(),
        }
    }
}

impl File {
    /// Reads it; what it says again is not kept twice.
    fn read(&mut self, path: &Path) -> Content {
        let known = [&self.taken, &self.seen].map(|content| match content {
            Content::Rollout(rollout) => Some(rollout),
            Content::Absent | Content::Fault(_) => None,
        });
        let known: Vec<&Arc<Rollout>> = known.into_iter().flatten().collect();
        match read_again(path, &known, &mut self.module) {
            Ok(rollout) => {
                let same = known.iter().find(|known| known.as_ref() == &rollout);
                Content::Rollout(same.map_or_else(|| Arc::new(rollout), |known| Arc::clone(known)))
            }
            Err(error) => Content::Fault(error.fault()),
        }
    }

    fn is_gone(&self) -> bool {
        self.seen == Content::Absent && self.taken == Content::Absent
    }
}

/// The files of rollouts, readable or not.
fn list(folder: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let yaml = path.extension().is_some_and(|end| end == "yaml");
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if yaml && !hidden {
            files.insert(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
