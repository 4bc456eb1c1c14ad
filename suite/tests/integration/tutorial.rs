//! `docs/tutorial.md`, run as it is written: each command, and each line of its output that is shown.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use attache_envoy::RunFolder;

use crate::both::{self, repository_file};

/// Commands, and the lines that matter of what they print; `…` stands for what differs.
struct Step {
    commands: String,
    shown: Vec<String>,
}

/// The blocks of commands, each with the block of output behind it.
fn steps() -> Vec<Step> {
    let page = repository_file("docs/tutorial.md");
    let mut steps: Vec<Step> = Vec::new();
    // Every second part is a block.
    for block in page.split("```").skip(1).step_by(2) {
        if let Some(commands) = block.strip_prefix("sh\n") {
            steps.push(Step {
                commands: commands.to_owned(),
                shown: Vec::new(),
            });
        } else if let Some(shown) = block.strip_prefix("text\n") {
            let step = steps.last_mut().unwrap();
            step.shown.extend(shown.lines().map(str::to_owned));
        }
    }
    steps
}

/// The folder of the programs, `attache` among them, which is built first.
fn programs() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_attache-test"))
        .parent()
        .unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "-p", "attache-cli", "--bin", "attache"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = cargo
        .current_dir(root)
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    folder.to_owned()
}

/// Whether a line has the parts of another one, between which anything may stand.
fn is_like(line: &str, shown: &str) -> bool {
    let mut rest = line;
    shown.split('…').all(|part| {
        let part = part.trim();
        let found = rest.find(part);
        rest = found.map_or("", |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

/// Runs the steps whose commands are meant, in a folder outside of the checkout.
fn follow(name: &str, meant: impl Fn(&str) -> bool) {
    // Both make a filter of the same name, in one target folder.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let scratch: RunFolder = both::folder(&format!("tutorial-{name}"));
    let outside =
        std::env::temp_dir().join(format!("attache-tutorial-{name}-{}", std::process::id()));
    fs::create_dir_all(&outside).unwrap();
    let path = std::env::join_paths([programs()].into_iter().chain(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    )))
    .unwrap();
    // What the crate depends on is kept from one run of the test to the next.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tutorial-target");
    let mut here = outside.clone();
    for step in steps().into_iter().filter(|step| meant(&step.commands)) {
        let script = format!(
            "{{ {}; }} 2>&1\npwd > '{}'",
            step.commands.trim(),
            scratch.join("here").display()
        );
        let ran = Command::new("sh")
            .args(["-c", &script])
            .current_dir(&here)
            .env("PATH", &path)
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let mut lines = said.lines();
        for shown in &step.shown {
            assert!(
                lines.any(|line| is_like(line, shown)),
                "`{shown}` is not in its place behind\n{}\n{said}",
                step.commands
            );
        }
        here = PathBuf::from(fs::read_to_string(scratch.join("here")).unwrap().trim());
        // The versions that the checkout has, which are there without a network.
        let lock = here.join("Cargo.lock");
        if here != outside && !lock.exists() {
            fs::write(lock, repository_file("Cargo.lock")).unwrap();
            fs::create_dir_all(&target).unwrap();
            std::os::unix::fs::symlink(&target, here.join("target")).unwrap();
        }
    }
    assert_ne!(here, outside, "the tutorial makes a filter");
    fs::remove_dir_all(&outside).unwrap();
}

fn needs_envoy(commands: &str) -> bool {
    commands.contains("attache run") || commands.contains("--on ")
}

#[test]
fn the_tutorial_holds_without_a_proxy() {
    follow("harness", |commands| !needs_envoy(commands));
}

#[test]
#[ignore = "needs Envoy"]
fn the_tutorial_holds_with_envoy() {
    follow("envoy", |commands| !commands.contains("sed -i"));
}

#[test]
fn lines_are_like_what_is_shown_of_them() {
    assert!(is_like("6 passed in 0.31 s", "6 passed in …"));
    assert!(is_like(
        "  hello: proxy_on_x(1, 2)",
        "    hello: proxy_on_x(…"
    ));
    assert!(!is_like("5 passed, 1 failed", "6 passed in …"));
    assert!(!is_like("b a", "a … b"));
}
