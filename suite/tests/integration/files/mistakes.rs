//! What a newcomer does first with `attache test`, and what the program says to it.

use std::fs;

use super::program::{folder, program};
use super::suite;
use crate::both::module;

#[test]
fn what_is_no_suite_is_told_what_it_is_and_who_takes_it() {
    let folder = folder("mistaken");
    for (file, text, words) in [
        (
            "x.wasm",
            "\0asm\x01\0\0\0",
            "`attache test FILE.suite.yaml --plugin x.wasm` holds it to one",
        ),
        (
            "envoy.yaml",
            "static_resources:\n  listeners: []\n",
            "`attache run FILTER --bootstrap envoy.yaml` starts it",
        ),
        (
            "envoy.json",
            "{\"static_resources\": {}}",
            "`attache check envoy.json` says what is wrong with it",
        ),
        (
            "plugin.yaml",
            "apiVersion: v1\nkind: WasmPlugin\n",
            "is a manifest of Kubernetes'",
        ),
        (
            "shop.har",
            "{\"log\": {\"entries\": []}}",
            "`attache record shop.har -o NAME.suite.yaml` makes one of it",
        ),
        (
            "config.json",
            "{\"request\": []}",
            "`config.json` is no suite; if it is a configuration, it stands in the suite",
        ),
        ("lib.rs", "fn f() {}", "whose tests `cargo test` runs"),
        (
            "Cargo.toml",
            "[package]",
            "`attache test FOLDER` plays the suites of a package",
        ),
    ] {
        fs::write(folder.join(file), text).unwrap();
        let (status, out, err) = program(&folder, &["test", file]);
        assert_eq!(status, Some(1), "{err}");
        assert!(out.starts_with("0 passed, 1 suite could not be"), "{out}");
        assert!(err.contains(words), "{file}: {err}");
    }
    // What looks like a suite is read as one, and told its line.
    fs::write(folder.join("s.yaml"), "version: \"1\"\ncase: []\n").unwrap();
    let (_, _, err) = program(&folder, &["test", "s.yaml"]);
    assert!(err.contains("s.yaml:2:1: case: "), "{err}");
}

#[test]
fn a_package_stands_for_its_suites() {
    let folder = folder("package-for-suites");
    let (status, out, err) = program(&folder, &["auth-scrub", "--filter", "bearer"]);
    assert_eq!(status, Some(0), "{err}");
    assert!(out.contains("filters/auth-scrub/tests/"), "{out}");
    let (status, _, err) = program(&folder, &["attache-module"]);
    assert_eq!(status, Some(1));
    assert!(err.contains("`attache-module` makes no module"), "{err}");
}

#[test]
fn a_word_that_names_nothing_is_told_what_there_is() {
    let folder = folder("names-nothing");
    fs::write(folder.join("a.suite.yaml"), suite("request: {}")).unwrap();
    for (words, reason) in [
        (
            &["a.suite.yml"][..],
            "neither a file nor a folder `a.suite.yml`; the suites here are: a.suite.yaml",
        ),
        (
            &["a.suite.yaml:3:1"],
            "`attache test a.suite.yaml` plays the whole of it",
        ),
        (&["--plugin", "nowhere"], "there is no package `nowhere`"),
        (
            &["--plugin", "a.suite.yaml"],
            "it is a suite, which `attache test a.suite.yaml` plays",
        ),
        (
            &["--plugin", "below"],
            "`below` is a folder without a `Cargo.toml`, and no package has that name",
        ),
        (
            &["--plugin", "text.wasm"],
            "not a WebAssembly module: it begins with `no modul`",
        ),
        (
            &["--plugin", "auth-scrub", "--config", "{\"rules\": []}"],
            "`{\"rules\": []}` is a configuration, and `--config` takes the file of one",
        ),
        (
            &["--plugin", "auth-scrub", "--config", "none.json"],
            "cannot read the configuration `none.json`",
        ),
        (
            &["--filter", "moon"],
            "in a.suite.yaml they are listed by `attache test` without --filter",
        ),
    ] {
        fs::write(folder.join("text.wasm"), "no module").unwrap();
        let (status, _, err) = program(&folder, words);
        assert_eq!(status, Some(1), "{words:?}: {err}");
        assert!(err.contains(reason), "{words:?}: {err}");
    }
    let (status, _, err) = program(&folder, &["--config", "a.json"]);
    assert_eq!(status, Some(2), "{err}");
    assert!(
        err.contains("the plugins of a suite have theirs in the file"),
        "{err}"
    );
}

#[test]
fn a_package_is_built_to_be_held_to_a_suite() {
    let folder = folder("package-held");
    let here = format!("module: {}", module("auth-scrub").display());
    let text = suite("request: {}").replace(&here, "module: its-own.wasm");
    fs::write(folder.join("its-own.wasm"), "").unwrap();
    fs::write(folder.join("s.suite.yaml"), text).unwrap();
    let words = ["s.suite.yaml", "--plugin", "auth-scrub"];
    let (status, out, err) = program(&folder, &words);
    assert_eq!(status, Some(0), "{out}{err}");
}
