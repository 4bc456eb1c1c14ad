//! The system's news of files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::FolderError;
use super::ledger::Ledger;

/// What is of interest in which folder. Folders are named as they are without links, so that each is watched
/// once: the system gives news of a folder under one name only.
type Interests = BTreeMap<PathBuf, Names>;

#[derive(Clone, Debug, Eq, PartialEq)]
enum Names {
    All,
    These(BTreeSet<OsString>),
}

impl Names {
    fn hold(&self, name: &OsString) -> bool {
        match self {
            Self::All => true,
            // A volume of Kubernetes is replaced by a link whose name begins so, and so are its files.
            Self::These(names) => {
                names.contains(name) || name.as_encoded_bytes().starts_with(b"..")
            }
        }
    }
}

/// Hears of changes of files.
pub(super) struct Eye {
    watcher: RecommendedWatcher,
    changed: Arc<Notify>,
    interests: Arc<Mutex<Interests>>,
    watched: BTreeMap<PathBuf, Identity>,
}

impl Eye {
    pub(super) fn new(folder: &Path) -> Result<Self, FolderError> {
        let changed = Arc::new(Notify::new());
        let interests: Arc<Mutex<Interests>> = Arc::default();
        let (told, wanted) = (Arc::clone(&changed), Arc::clone(&interests));
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| {
                // Reading a file is an event too, and would come of looking.
                !event.kind.is_access() && is_of_interest(&wanted, &event.paths)
            }) {
                told.notify_one();
            }
        });
        let watcher = watcher.map_err(|source| FolderError::Watch {
            folder: folder.to_owned(),
            source,
        })?;
        Ok(Self {
            watcher,
            changed,
            interests,
            watched: BTreeMap::new(),
        })
    }

    /// Waits until something has changed, since it was waited for last.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Hears of the folder and of all files that are named there from now on. A folder that is another one than
    /// before, under the same name, is watched anew.
    pub(super) fn look_at(&mut self, ledger: &Ledger) {
        let interests = interests(ledger);
        let mut is_new = false;
        self.watched.retain(|folder, identity| {
            let stays = interests.contains_key(folder) && identity_of(folder) == Some(*identity);
            if !stays {
                let _ = self.watcher.unwatch(folder);
            }
            stays
        });
        for folder in interests.keys() {
            // What cannot be watched now is tried again with the next look.
            if !self.watched.contains_key(folder)
                && let Some(identity) = identity_of(folder)
                && self
                    .watcher
                    .watch(folder, RecursiveMode::NonRecursive)
                    .is_ok()
            {
                self.watched.insert(folder.clone(), identity);
                is_new = true;
            }
        }
        *self
            .interests
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = interests;
        if is_new {
            // What changed between the look and this, nobody has heard.
            self.changed.notify_one();
        }
    }
}

/// Whether a folder is the one that it was. The number of an inode is given again, so that the time counts too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Identity {
    number: u64,
    born: Option<SystemTime>,
}

fn identity_of(folder: &Path) -> Option<Identity> {
    let about = fs::metadata(folder).ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&about);
    #[cfg(not(unix))]
    let number = 0;
    Some(Identity {
        number,
        born: about.created().ok(),
    })
}

fn is_of_interest(interests: &Mutex<Interests>, paths: &[PathBuf]) -> bool {
    let interests = interests.lock().unwrap_or_else(PoisonError::into_inner);
    // Without a path the system says that it has lost some.
    paths.is_empty()
        || paths.iter().any(|path| {
            let inside = || Some((interests.get(path.parent()?)?, path.file_name()?));
            interests.contains_key(path)
                || inside().is_none_or(|(names, name)| names.hold(&name.to_owned()))
        })
}

fn interests(ledger: &Ledger) -> Interests {
    let mut interests = Interests::new();
    add(&mut interests, ledger.folder());
    for file in ledger.named() {
        add(&mut interests, file);
    }
    // It is heard of its own end too, and by the entry above of its being made anew.
    if let Ok(folder) = fs::canonicalize(ledger.folder()) {
        interests.insert(folder, Names::All);
    }
    interests
}

/// The file, what it is a link to, and each folder on the way that is a link.
fn add(interests: &mut Interests, path: &Path) {
    let target = fs::canonicalize(path);
    let links = path.ancestors().skip(1);
    let links = links.filter(|folder| folder.is_symlink());
    for path in links.chain([path]).chain(target.as_deref().ok()) {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            continue;
        };
        let here = Path::new(".");
        let folder = if folder == Path::new("") {
            here
        } else {
            folder
        };
        let Ok(folder) = fs::canonicalize(folder) else {
            continue;
        };
        let names = interests
            .entry(folder)
            .or_insert_with(|| Names::These(BTreeSet::new()));
        if let Names::These(names) = names {
            names.insert(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_removed_and_made_anew_is_watched_again() {
        let name = format!("attache-eye-{}", std::process::id());
        let scratch = std::env::temp_dir().join(name);
        let folder = scratch.join("rollouts");
        fs::create_dir_all(&folder).unwrap();
        let ledger = Ledger::new(folder.clone());
        let mut eye = Eye::new(&folder).unwrap();
        eye.look_at(&ledger);
        let watched = fs::canonicalize(&folder).unwrap();
        let parent = watched.parent().unwrap().to_owned();
        assert_eq!(eye.watched.keys().collect::<Vec<_>>(), [&parent, &watched]);
        fs::remove_dir(&folder).unwrap();
        // In its place, so that the number of the inode is not given again.
        fs::write(scratch.join("other"), "").unwrap();
        eye.look_at(&ledger);
        assert_eq!(eye.watched.keys().collect::<Vec<_>>(), [&parent]);
        fs::create_dir(&folder).unwrap();
        eye.look_at(&ledger);
        assert_eq!(eye.watched.get(&watched), identity_of(&watched).as_ref());
        fs::remove_dir_all(&scratch).unwrap();
    }

    #[test]
    fn only_files_that_are_named_are_of_interest() {
        let names = Names::These(BTreeSet::from(["r.wasm".into()]));
        let interests =
            Interests::from([("/rollouts".into(), Names::All), ("/modules".into(), names)]);
        let interests = Mutex::new(interests);
        let is = |path: &str| is_of_interest(&interests, &[path.into()]);
        for path in [
            "/rollouts",
            "/rollouts/a.yaml",
            "/modules/r.wasm",
            "/modules/..data",
        ] {
            assert!(is(path), "{path}");
        }
        assert!(!is("/modules/s.wasm"));
        assert!(is_of_interest(&interests, &[]));
    }
}
