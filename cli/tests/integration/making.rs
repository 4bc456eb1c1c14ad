//! `attache new`.

use std::fs;
use std::path::Path;

use crate::command::{Outside, Said, attache, folder, outside, repository, said};

/// The command in a folder, with these words behind `new`.
fn new(folder: &Path, words: &[&str]) -> Said {
    said(attache(&["new"]).args(words).current_dir(folder))
}

fn read(folder: &Path, file: &str) -> String {
    fs::read_to_string(folder.join(file)).unwrap()
}

/// A workspace with one member, and what its manifest says beside.
fn workspace(name: &str, more: &str) -> Outside {
    let folder = outside(name);
    fs::create_dir_all(folder.join("first/src")).unwrap();
    let manifest = "[package]\nname = \"first\"\nedition = \"2024\"\n";
    fs::write(folder.join("first/Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("first/src/lib.rs"), "").unwrap();
    fs::write(folder.join("Cargo.toml"), format!("[workspace]\n{more}")).unwrap();
    folder
}

#[test]
fn a_crate_that_stands_alone_has_all_that_it_needs() {
    let folder = outside("alone");
    let said = new(&folder, &["my-filter"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert!(
        said.out.starts_with("Next:\n  cd my-filter\n"),
        "{}",
        said.out
    );
    let made = folder.join("my-filter");
    for file in [
        ".gitignore",
        "README.md",
        "config.json",
        "rust-toolchain.toml",
        "src/lib.rs",
        "tests/harness.rs",
        "tests/my-filter.suite.yaml",
    ] {
        assert!(made.join(file).is_file(), "{file}");
    }
    let manifest = read(&made, "Cargo.toml");
    let sdk = repository().canonicalize().unwrap().join("sdk");
    assert!(
        manifest.contains("[lints.clippy]\nunwrap_used"),
        "{manifest}"
    );
    assert!(
        manifest.contains(&format!("attache = {{ path = {sdk:?} }}")),
        "{manifest}"
    );
}

#[test]
fn a_crate_in_a_workspace_becomes_a_member() {
    let more = "members = [\"first\"]\n[workspace.dependencies]\nserde = \"1\"\n";
    let folder = workspace("becomes-a-member", more);
    let said = new(&folder, &["second"]);
    assert_eq!(said.status, Some(0), "{}", said.err);
    assert!(
        said.err.contains("Adding `second` as member"),
        "{}",
        said.err
    );
    let root = read(&folder, "Cargo.toml");
    assert!(root.contains("\"first\", \"second\""), "{root}");
    let manifest = read(&folder, "second/Cargo.toml");
    assert!(manifest.contains("serde.workspace = true\n"), "{manifest}");
    // One toolchain serves the whole workspace.
    assert!(!folder.join("second/rust-toolchain.toml").exists());
}

#[test]
fn a_member_that_a_pattern_covers_changes_no_list() {
    let folder = workspace("covered", "members = [\"*\"]\n");
    let before = read(&folder, "Cargo.toml");
    assert_eq!(new(&folder, &["second"]).status, Some(0));
    assert_eq!(read(&folder, "Cargo.toml"), before);
}

#[test]
fn the_sdk_comes_from_where_the_command_line_says() {
    let folder = outside("sources");
    for (words, line) in [
        (&["--sdk-version", "1.2.3"][..], "attache = \"1.2.3\"\n"),
        (
            &["--sdk-git", "https://x.y/a"],
            "attache = { git = \"https://x.y/a\" }\n",
        ),
        (
            &["--sdk-git", "https://x.y/a", "--sdk-rev", "abc"],
            "attache-suite = { git = \"https://x.y/a\", rev = \"abc\" }\n",
        ),
    ] {
        let name = format!("filter-{}", line.len());
        let said = new(&folder, &[&[name.as_str()], words].concat());
        assert_eq!(said.status, Some(0), "{}", said.err);
        let manifest = read(&folder, &format!("{name}/Cargo.toml"));
        assert!(manifest.contains(line), "{manifest}");
    }
    let sdk = repository().join("sdk");
    let said = new(&folder, &["by-path", "--sdk-path", sdk.to_str().unwrap()]);
    assert_eq!(said.status, Some(0), "{}", said.err);
}

#[test]
fn in_a_checkout_the_workspace_has_the_sdk() {
    // Only the manifest of the root counts, and what cargo makes of it.
    let folder = workspace(
        "has-the-sdk",
        "members = []\n[workspace.dependencies]\nattache = { path = \"sdk\" }\n",
    );
    assert_eq!(new(&folder, &["mine"]).status, Some(0));
    let manifest = read(&folder, "mine/Cargo.toml");
    assert!(
        manifest.contains("\nattache.workspace = true\n"),
        "{manifest}"
    );
}

#[test]
fn a_bad_name_is_told_a_better_one() {
    let folder = outside("bad-names");
    for (name, message) in [
        (
            "My Filter",
            "error: `My Filter` is not a name for a filter; expected lower-case letters",
        ),
        ("My Filter", "such as `my-filter`"),
        (
            "serde",
            "the name `serde` is taken by a crate that filters are built with; try `my-serde`",
        ),
        (
            "match",
            "cargo does not make the crate: invalid package name `match`: it is a Rust keyword",
        ),
        (
            "..",
            "`..` has no name at its end; expected `attache new NAME`",
        ),
        ("nowhere/my-filter", "there is no folder `"),
    ] {
        new(&folder, &[name]).refuses(message);
    }
    assert_eq!(fs::read_dir(&*folder).unwrap().count(), 0);
}

#[test]
fn what_is_there_is_left_alone() {
    let folder = outside("there");
    fs::create_dir(folder.join("mine")).unwrap();
    new(&folder, &["mine"]).refuses("error: `mine` exists already; choose another name");
    assert_eq!(fs::read_dir(folder.join("mine")).unwrap().count(), 0);
}

#[test]
fn a_workspace_is_left_as_it_was_where_the_new_crate_would_break_it() {
    let folder = workspace("breaks", "members = [\"first\"]\n");
    let before = read(&folder, "Cargo.toml");
    fs::create_dir(folder.join("filters")).unwrap();
    for (place, name, message) in [
        (
            "filters",
            "first",
            "error: the workspace has a package `first` already, in `",
        ),
        ("first", "second", "for a member of the workspace `"),
    ] {
        let here = folder.join(place);
        new(&here, &[name]).refuses(message);
        assert!(!here.join(name).exists(), "{place}");
        assert_eq!(read(&folder, "Cargo.toml"), before, "{place}");
    }

    fs::write(folder.join("Cargo.toml"), before + "members = 1\n").unwrap();
    new(&folder, &["second"]).refuses("error: the workspace here is broken");
    assert!(!folder.join("second").exists());
}

#[test]
fn a_template_that_is_not_there_is_told_the_others() {
    let said = new(
        &outside("no-template"),
        &["mine", "--template", "add-hedaer"],
    );
    assert_eq!(said.status, Some(2));
    for words in [
        "rate-limit, sse, tcp-allow-list",
        "a similar value exists: 'add-header'",
    ] {
        assert!(said.err.contains(words), "{}", said.err);
    }
}

#[test]
fn a_folder_that_is_no_checkout_has_no_sdk() {
    let folder = outside("no-checkout");
    new(&folder, &["mine", "--sdk-path", "."]).refuses("is not a checkout of Attaché");
    new(&folder, &["mine", "--sdk-path", "nowhere"]).refuses("error: cannot find `nowhere`");
    let said = new(&folder, &["mine", "--sdk-rev", "abc"]);
    assert_eq!(said.status, Some(2), "a commit of what?");
}

#[test]
#[ignore = "needs Envoy"]
fn every_template_builds_and_keeps_its_promises() {
    let folder = folder("templates");
    fs::write(
        folder.join("Cargo.toml"),
        "[workspace]\nresolver = \"3\"\nmembers = []\n",
    )
    .unwrap();
    for entry in fs::read_dir(repository().join("examples")).unwrap() {
        let template = entry.unwrap().file_name().into_string().unwrap();
        let made = new(
            &folder,
            &[&format!("my-{template}"), "--template", &template],
        );
        assert_eq!(made.status, Some(0), "{}", made.err);
    }
    fs::copy(repository().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let built = said(attache(&["build"]).current_dir(&folder));
    assert_eq!(built.status, Some(0), "{}", built.err);
    let played = said(attache(&["test"]).current_dir(&folder));
    assert_eq!(played.status, Some(0), "{}{}", played.out, played.err);

    let words = ["run", "--config", "config.json", "--once", "--json"];
    let ran = said(attache(&words).current_dir(folder.join("my-add-header")));
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let line: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let headers = line["through"]["upstream"]["headers"].as_array().unwrap();
    let ours = |header: &serde_json::Value| header[0] == "x-from" && header[1] == "proxy";
    assert!(headers.iter().any(ours), "{}", ran.out);
}
