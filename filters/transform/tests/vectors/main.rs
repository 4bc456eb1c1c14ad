//! The public vectors of JSON Patch, in the folder that `ATTACHE_TEST_DATA` names, and of JMESPath, in the one
//! that `.ci/jmespath` prints.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod jmespath;
mod json_patch;

use std::path::{Path, PathBuf};

/// Each file of JSON in a folder.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).expect("the folder of the vectors can be read");
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("the file can be read");
        (path.display().to_string(), text)
    };
    paths.into_iter().map(read).collect()
}
