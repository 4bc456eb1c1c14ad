//! The demonstration, as somebody runs it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;

use crate::program::Running;
use crate::scratch::Scratch;
use crate::stage::LIMIT;

fn demo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attache-control-plane"));
    // In the checkout, where it builds what it serves.
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["demo", "--folder"])
        .arg(folder.join("demo"));
    command
}

/// Whether a program runs that was started with a path in this folder.
fn runs(folder: &Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let folder = folder.to_str().unwrap();
    let mut lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(folder))
}

#[test]
#[ignore = "needs Envoy"]
fn the_demonstration_changes_a_file_and_no_request_fails() {
    let folder = Scratch::new();
    let output = demo(&folder).args(["--once", "--json"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let said: Value = serde_json::from_slice(&output.stdout).expect(&told);
    assert_eq!(said["phase"], "confirmed", "{said}");
    assert_eq!(said["failed"], 0, "{said} {told}");
    assert!(said["requests"].as_u64().unwrap() > 0, "{said}");
    assert!(output.status.success());
    assert!(!runs(&folder));
}

#[test]
#[ignore = "needs Envoy"]
fn what_is_changed_by_hand_is_shown_and_an_interrupt_ends_everything() {
    let folder = Scratch::new();
    let child = demo(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let output = BufReader::new(running.0.stdout.take().unwrap());
    let (said, lines) = mpsc::channel();
    thread::spawn(move || output.lines().try_for_each(|line| said.send(line.unwrap())));
    let next = || lines.recv_timeout(LIMIT).unwrap();
    let reaches = |wanted: &dyn Fn(&str) -> bool| while !wanted(&next()) {};
    let file = next();
    let file = Path::new(file.strip_prefix("change ").unwrap());
    let shows = |line: &str, word: &str| {
        line.starts_with("confirmed ") && line.contains(&format!("answered: {word}  failed: 0"))
    };
    reaches(&|line| shows(line, "one"));
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, text.replace("value: one", "value: other")).unwrap();
    reaches(&|line| shows(line, "other"));
    fs::write(file, text.replace("groups:", "gruops:")).unwrap();
    reaches(&|line| {
        shows(line, "other") && line.contains("fault: greeting.yaml:") && line.contains("gruops")
    });
    let number = running.0.id().to_string();
    Command::new("kill")
        .args(["-INT", &number])
        .status()
        .unwrap();
    reaches(&|line| line.ends_with(" requests, 0 failed"));
    assert!(running.0.wait().unwrap().success());
    assert!(!runs(&folder));
}
