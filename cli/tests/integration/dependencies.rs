//! What the workspace depends on.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

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
