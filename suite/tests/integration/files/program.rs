//! What the program says, and how it exits.

use std::path::Path;
use std::process::Command;

use attache_envoy::RunFolder;

use super::{sharing, suite};
use crate::both::{self, module};

fn folder(name: &str) -> RunFolder {
    let folder = both::folder(name);
    std::fs::create_dir_all(folder.join("below")).unwrap();
    folder
}

/// Status, standard output and standard error of the program.
fn program(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_attache-test"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_program_finds_suites_plays_them_and_says_how_it_went() {
    let folder = folder("program");
    let good = suite("request: {}\nexpect: {response: {status: 200}}");
    std::fs::write(folder.join("below/good.suite.yaml"), &good).unwrap();
    let (status, out, err) = program(&folder, &[]);
    assert_eq!(status, Some(0), "{err}");
    assert!(
        out.starts_with("below/good.suite.yaml\n  ok     a case\n1 passed in "),
        "{out}"
    );
    assert!(!out.contains('\x1b'));

    let bad = suite("request: {}\nexpect: {response: {status: 201}}");
    std::fs::write(folder.join("bad.suite.yaml"), bad).unwrap();
    std::fs::write(folder.join("worse.suite.yaml"), "version: 1\n").unwrap();
    let (status, out, err) = program(&folder, &["."]);
    assert_eq!(status, Some(1));
    assert!(
        out.contains("1 passed, 1 failed, 1 suite could not be played in "),
        "{out}"
    );
    assert!(
        err.contains("error: worse.suite.yaml:1:10: version: "),
        "{err}"
    );

    let (status, out, _) = program(&folder, &["bad.suite.yaml", "--json"]);
    assert_eq!(status, Some(1));
    let line: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&line["case"], &line["on"]),
        (&"a case".into(), &"harness".into())
    );
    assert_eq!(line["verdict"], "failed");
    assert_eq!(line["differences"][0]["key"], "expect.response.status");

    let (status, out, _) = program(&folder, &["bad.suite.yaml", "--bless"]);
    assert_eq!(status, Some(0));
    assert!(out.contains("0 passed, 1 blessed in "), "{out}");
    let text = std::fs::read_to_string(folder.join("bad.suite.yaml")).unwrap();
    assert_eq!(text, good);

    std::fs::write(folder.join("bad.suite.yaml"), sharing()).unwrap();
    let (status, out, err) = program(&folder, &["bad.suite.yaml", "--bless"]);
    assert_eq!(status, Some(1));
    assert!(out.contains("0 passed, 2 failed in "), "{out}");
    assert!(err.contains("left for you: a case too: expect."), "{err}");
}

#[test]
fn the_program_says_that_it_installs_the_target() {
    let folder = folder("program-target");
    let text = suite("request: {}");
    let module = format!("module: {}", module("auth-scrub").display());
    let text = text.replace(&module, "package: auth-scrub");
    std::fs::write(folder.join("s.suite.yaml"), text).unwrap();
    // A compiler that knows no target, and no rustup to fetch one.
    let output = Command::new(env!("CARGO_BIN_EXE_attache-test"))
        .current_dir(&*folder)
        .env("RUSTC", "/bin/echo")
        .env("PATH", folder.join("below"))
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let [building, target, error] = ["Building auth-scrub", "Target ", "error: cannot build"]
        .map(|part| err.find(part).unwrap_or_else(|| panic!("no {part}: {err}")));
    assert!(building < target && target < error, "{err}");
    assert!(err.contains("wasm32-unknown-unknown"), "{err}");
}

#[test]
fn what_the_program_cannot_do_it_says() {
    let folder = folder("program-refuses");
    for (arguments, status, reason) in [
        (
            &["nowhere"][..],
            1,
            "error: there is neither a file nor a folder `nowhere`",
        ),
        (
            &["below"],
            1,
            "error: there is no file that ends in `.suite.yaml` in `below` or below",
        ),
        (
            &["--on", "moon"],
            2,
            "possible values: harness, envoy, both",
        ),
    ] {
        let (code, out, err) = program(&folder, arguments);
        assert_eq!(code, Some(status), "{err}");
        assert!(err.contains(reason), "{err}");
        assert_eq!(out, "");
    }
    std::fs::write(folder.join("s.suite.yaml"), suite("request: {}")).unwrap();
    let (code, _, err) = program(&folder, &["--filter", "moon"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("no case has `moon` in its name"), "{err}");
}
