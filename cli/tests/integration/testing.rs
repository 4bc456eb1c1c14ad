//! `attache test`, outside of any checkout.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::{folder, outside, said, script};

/// The command with nothing beside it but what a test puts there.
fn alone(folder: &Path) -> Command {
    let copy = folder.join("attache");
    std::fs::copy(env!("CARGO_BIN_EXE_attache"), &copy).unwrap();
    let mut command = Command::new(copy);
    command.current_dir(std::env::temp_dir());
    command.env("PATH", "/usr/bin:/bin");
    command
}

#[test]
fn arguments_and_the_exit_status_are_handed_on() {
    let folder = folder("hands-over");
    script(&folder, "attache-test", "printf '<%s>' \"$@\"; exit 7");
    let said = said(alone(&folder).args(["test", "a b", "--on", "both", "--help"]));
    assert_eq!(said.out, "<test><a b><--on><both><--help>");
    assert_eq!(said.status, Some(7), "{}", said.err);
}

#[test]
fn the_harness_is_told_of_module_configuration_and_request() {
    let folder = folder("serves");
    script(&folder, "attache-test", "printf '<%s>' \"$@\"; exit 1");
    let module = crate::inspecting::module("served");
    let config = folder.join("c.json");
    fs::write(&config, "{}").unwrap();
    let mut command = alone(&folder);
    command.args(["run", &module, "--harness", "--once", "--config"]);
    command.arg(&config).args(["-H", "a: b", "--path", "/x"]);
    command.args(["--upstream", "127.0.0.1:1", "--root-id", "r"]);
    let said = said(command.args(["--cluster", "authz=[::1]:2"]));
    let expected = format!(
        "<serve><--plugin><bare={module}><--config><bare={}><--root-id><bare=r><--upstream><127.0.0.1:1>\
         <--cluster><authz=[::1]:2><--port><0><-X><GET><--path></x><-H><a: b><--once>",
        config.display()
    );
    assert_eq!(said.out, expected, "{}", said.err);
    assert_eq!(said.status, Some(1));
    assert!(
        said.err.contains("the harness does not serve the filters"),
        "{}",
        said.err
    );
}

#[test]
fn without_the_program_it_says_how_to_install_it() {
    let folder = folder("no-program");
    said(alone(&folder).arg("test")).refuses("cargo install --locked --path suite");
}

#[test]
fn a_file_that_changes_is_played_again() {
    let folder = folder("watched-suite");
    script(&folder, "attache-test", "echo \"played $*\"");
    // Past the checkout, whose own program would play.
    let suites = outside("watched-suite");
    fs::create_dir_all(suites.join("target")).unwrap();
    fs::write(suites.join("a.suite.yaml"), "1").unwrap();
    fs::write(suites.join("target/b.suite.yaml"), "1").unwrap();
    let mut child = alone(&folder)
        .args(["test", "--on", "harness", "--watch"])
        .current_dir(&*suites)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut err = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut played = || assert_eq!(out.next().unwrap().unwrap(), "played test --on harness");
    let mut told = |words: &str| {
        let line = err.next().unwrap().unwrap();
        assert!(line.contains(words), "{line}");
    };
    played();
    told("Watching 1 files");
    fs::write(suites.join("a.suite.yaml"), "2").unwrap();
    told("Changed");
    played();
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn words_that_nobody_understands_are_not_watched() {
    let folder = folder("watched-nonsense");
    script(&folder, "attache-test", "exit 2");
    let said = said(alone(&folder).args(["test", "--watch", "--on", "nowhere"]));
    assert_eq!(said.status, Some(2), "{}", said.err);
    assert_eq!(said.err, "");
}
