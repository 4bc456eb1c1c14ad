//! What outlives this program: the last good versions, in a folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use attache_module::sha256;

use crate::machine::Memory;
use crate::rollout::Module;

/// How the name of a file ends that is not written whole yet.
const UNFINISHED: &str = "new";

/// A folder with the state of a control plane: `state.json`, and modules that are named after the sha256 of
/// their bytes.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    saving: Arc<Mutex<()>>,
}

/// Why the state cannot be read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The state is none.
    #[error("`{}` is no state of a control plane; move it away to begin without", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Store {
    /// The store in this folder, which need not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            saving: Arc::default(),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where modules are for as long as their suites are played.
    pub(crate) fn trials(&self) -> PathBuf {
        self.folder.join("trials")
    }

    fn modules(&self) -> PathBuf {
        self.folder.join("modules")
    }

    /// What was kept last; nothing if nothing was. What a program left that was ended in the middle is removed, and
    /// so are modules that are damaged: they would be taken for kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn load(&self) -> Result<Memory, StoreError> {
        self.forget_leftovers();
        let path = self.folder.join("state.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Memory::default()),
            Err(source) => return Err(StoreError::Read { path, source }),
        };
        let memory: Memory =
            serde_json::from_slice(&text).map_err(|source| StoreError::Syntax { path, source })?;
        Ok(memory.with_modules(|sha256| self.sound(sha256)))
    }

    /// A module whose bytes are those that its name says.
    fn sound(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.module(name);
        let bytes = fs::read(&path).ok()?;
        if sha256(&bytes) == name {
            return Some(bytes);
        }
        let _ = fs::remove_file(path);
        None
    }

    fn forget_leftovers(&self) {
        let _ = fs::remove_dir_all(self.trials());
        let files = [self.folder.clone(), self.modules()];
        let files = files.into_iter().flat_map(fs::read_dir).flatten();
        for file in files.flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|end| end == UNFINISHED) {
                let _ = fs::remove_file(file);
            }
        }
    }

    /// Keeps what there is to be kept when nobody else keeps anything any more, so that the newest wins, in place of what
    /// was kept before. Whoever ends at whatever moment leaves either the one or the
    /// other.
    ///
    /// # Errors
    ///
    /// [`StoreError::Write`]; what was kept before stays.
    pub fn save(&self, memory: impl FnOnce() -> Memory) -> Result<(), StoreError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = &memory();
        let modules: Vec<&Module> = memory.modules().collect();
        for module in &modules {
            let path = self.module(module.sha256());
            let length = u64::try_from(module.bytes().len()).ok();
            if fs::metadata(&path).ok().map(|about| about.len()) != length {
                replace(&path, module.bytes())?;
            }
        }
        let path = self.folder.join("state.json");
        let text = serde_json::to_vec_pretty(memory).map_err(|error| StoreError::Write {
            path: path.clone(),
            source: error.into(),
        })?;
        replace(&path, &text)?;
        self.forget_all_but(&modules);
        Ok(())
    }

    fn module(&self, sha256: &str) -> PathBuf {
        self.modules().join(format!("{sha256}.wasm"))
    }

    /// Modules that nobody needs any more. What cannot be removed now is removed another time.
    fn forget_all_but(&self, modules: &[&Module]) {
        let needed: BTreeSet<PathBuf> = modules
            .iter()
            .map(|module| self.module(module.sha256()))
            .collect();
        for entry in fs::read_dir(self.modules()).into_iter().flatten().flatten() {
            if !needed.contains(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Writes a file beside its place, and moves it there when all of it is on the disk.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let beside = path.with_extension(UNFINISHED);
    let write = || {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| {
        // The file that could not be finished is of no use to anybody.
        let _ = fs::remove_file(&beside);
        StoreError::Write {
            path: path.to_owned(),
            source,
        }
    })
}
