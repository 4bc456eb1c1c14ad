//! `attache test`, outside of any checkout.

use std::path::Path;
use std::process::Command;

use crate::command::{folder, said, script};

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
    assert_eq!(said.out, "<a b><--on><both><--help>");
    assert_eq!(said.status, Some(7), "{}", said.err);
}

#[test]
fn without_the_program_it_says_how_to_install_it() {
    let folder = folder("no-program");
    said(alone(&folder).arg("test")).refuses("cargo install --locked --path suite");
}
