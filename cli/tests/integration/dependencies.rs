//! What the workspace depends on.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn at_the_root(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    fs::read_to_string(path).unwrap()
}

/// The lines of a section of a manifest, with their names.
fn section<'m>(manifest: &'m str, name: &str) -> Vec<(&'m str, &'m str)> {
    let (_, behind) = manifest.split_once(&format!("[{name}]\n")).unwrap();
    let (section, _) = behind.split_once("\n[").unwrap_or((behind, ""));
    section
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .collect()
}

#[test]
fn each_dependency_says_what_it_saves() {
    let manifest = at_the_root("Cargo.toml");
    let all = section(&manifest, "workspace.dependencies");
    let reasons: Vec<&str> = all
        .iter()
        .filter_map(|(_, line)| Some(line.split_once("# ")?.1))
        .collect();
    assert!(all.len() > 60 && reasons.len() > 50, "{}", all.len());
    // One reason may be that of several, which it names in backticks.
    let others: BTreeSet<&str> = reasons
        .iter()
        .flat_map(|reason| reason.split('`').skip(1).step_by(2))
        .collect();
    let without: Vec<&str> = all
        .iter()
        .filter(|(_, line)| !line.contains("# ") && !line.contains("path = "))
        .filter(|(name, _)| {
            let another = name.strip_suffix("-2").or(name.strip_suffix("-3"));
            !others.contains(another.unwrap_or(name))
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(without.is_empty(), "no reason is given for {without:?}");
}

/// The lines of all sections of dependencies of a manifest that name a version themselves.
fn versions(manifest: &str) -> Vec<&str> {
    let mut versions = Vec::new();
    let mut of_dependencies = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            of_dependencies = line.ends_with("dependencies]");
        } else if of_dependencies && line.contains(" = ") && !line.starts_with('#') {
            let is_ours = line.contains("path = ") && !line.contains("version = ");
            let is_at_the_root = line.contains("workspace = true");
            if !is_ours && !is_at_the_root {
                versions.push(line);
            }
        }
    }
    versions
}

#[test]
fn so_does_each_of_the_bench_and_of_fuzzing() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut manifests: Vec<PathBuf> = ["bench", "bench/dynamic", "fuzz", "fuzz/host"]
        .map(|folder| root.join(folder))
        .into();
    let guests = fs::read_dir(root.join("bench/guests")).unwrap();
    manifests.extend(guests.map(|guest| guest.unwrap().path()));
    let mut all = 0;
    for folder in manifests {
        let path = folder.join("Cargo.toml");
        let manifest = fs::read_to_string(&path).unwrap();
        for line in versions(&manifest) {
            all += 1;
            let reason = line.split_once(" # ").map(|(_, reason)| reason.trim());
            let says_so = reason.is_some_and(|reason| !reason.is_empty());
            assert!(says_so, "{}: no reason for `{line}`", path.display());
        }
    }
    // Five of the bench, three of fuzzing, and the crate that the SDK is compared with.
    assert!(all > 8, "{all}");
}

#[test]
fn neither_openssl_nor_its_kin_is_locked() {
    for lock in ["Cargo.lock", "bench/Cargo.lock", "fuzz/Cargo.lock"] {
        let lock = at_the_root(lock);
        for name in [
            "aws-lc-rs",
            "aws-lc-sys",
            "openssl",
            "openssl-sys",
            "native-tls",
        ] {
            assert!(!lock.contains(&format!("name = \"{name}\"")), "{name}");
        }
    }
}
