//! Building a package of the workspace, once a process.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use attache_module::{BuildError, Guest, Notice};

/// What became of a package: its module, or why there is none.
type Built = Result<Arc<Vec<u8>>, Arc<BuildError>>;

/// A package, by the folder from which the workspace is found, and its name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Package {
    pub(crate) directory: PathBuf,
    pub(crate) name: String,
}

impl Package {
    /// Builds the package, or takes what another test of this process has built. Who asks while a
    /// build runs waits for it. Between processes cargo's own lock does the same.
    pub(crate) fn build(&self) -> Built {
        static BUILDS: OnceLock<Mutex<HashMap<Package, Arc<OnceLock<Built>>>>> = OnceLock::new();
        let mut builds = BUILDS
            .get_or_init(Mutex::default)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let build = builds.entry(self.clone()).or_default().clone();
        drop(builds);
        build
            .get_or_init(|| {
                let guest = Guest::find(&self.directory, &self.name)?;
                Ok(Arc::new(guest.build(&mut tell)?.bytes))
            })
            .clone()
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a test that installs something says so"
)]
fn tell(notice: Notice) {
    eprintln!("{notice}");
}
