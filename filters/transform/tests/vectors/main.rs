//! The public vectors of JSON Patch and JMESPath, in the folder that `ATTACHE_TEST_DATA` names.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod jmespath;
mod json_patch;

use std::path::PathBuf;

/// Each file of JSON in a folder of the data; none where the data has no such folder.
fn files(folder: &str) -> Vec<(String, String)> {
    let data = std::env::var_os("ATTACHE_TEST_DATA").expect("ATTACHE_TEST_DATA is set");
    let folder = PathBuf::from(data).join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Vec::new();
    };
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
