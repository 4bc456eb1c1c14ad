//! The suites of the SDK's examples, `examples/<name>/tests/<name>.suite.yaml`.

use std::path::{Path, PathBuf};

use attache_suite::{TestError, on_both_hosts, on_the_harness};

/// Each example by name, with its suite; one without a suite fails there.
fn suites() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let examples = folder.canonicalize().unwrap().read_dir().unwrap();
    let suite = |example: PathBuf| {
        let name = example.file_name().unwrap().to_string_lossy().into_owned();
        let path = example.join(format!("tests/{name}.suite.yaml"));
        (name, path)
    };
    let paths = examples.map(|entry| entry.unwrap().path());
    let mut suites: Vec<_> = paths.filter(|path| path.is_dir()).map(suite).collect();
    suites.sort();
    suites
}

fn play(play: impl Fn(&str, &Path) -> Result<(), TestError>) {
    let suites = suites();
    let fault = |(name, path): &(String, PathBuf)| {
        let error = play(name, path).err()?;
        Some(format!("{name}: {error:?}"))
    };
    let faults: Vec<String> = suites.iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn the_examples_hold_on_the_harness() {
    play(|_, path| on_the_harness(path));
}

#[test]
#[ignore = "needs Envoy"]
fn the_examples_hold_on_both_hosts() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("examples");
    play(|name, path| on_both_hosts(path, &folder.join(name)));
}
