//! Where the corpus is.

use std::io;
use std::path::{Path, PathBuf};

/// The folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// The files of the corpus, in the order of their names.
///
/// # Errors
///
/// Those of reading the folder `conformance/suites`.
pub fn corpus() -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in repository().join("conformance/suites").read_dir()? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".suite.yaml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
