//! What is said where something is missing from the machine.

use std::process::Command;

use crate::command::{attache, folder, package, said, script};

/// The real rustc, past rustup.
fn rustc() -> String {
    let mut command = Command::new("rustc");
    let output = command.args(["--print", "sysroot"]).output().unwrap();
    format!(
        "{}/bin/rustc",
        String::from_utf8(output.stdout).unwrap().trim()
    )
}

#[test]
fn without_the_target_and_rustup_both_are_named() {
    let programs = folder("no-rustup");
    script(&programs, "rustc", "echo /nowhere");
    let package = package("targetless-filter", &[]);
    let mut command = attache(&["build", package.to_str().unwrap()]);
    command.env("PATH", programs).env_remove("RUSTC");
    said(&mut command).refuses(
        "error: the target `wasm32-unknown-unknown` is not installed, and there is no rustup",
    );
}

#[test]
fn a_target_that_rustup_cannot_install_has_its_reason() {
    let programs = folder("failing-rustup");
    script(&programs, "rustc", "echo /nowhere");
    script(
        &programs,
        "rustup",
        "echo 'error: no route to host' >&2; exit 1",
    );
    let package = package("offline-filter", &[]);
    let mut command = attache(&["build", package.to_str().unwrap()]);
    command.env("PATH", programs).env_remove("RUSTC");
    let said = said(&mut command);
    said.refuses("Target installing the target wasm32-unknown-unknown with rustup");
    said.refuses("rustup could not install the target `wasm32-unknown-unknown`: error: no route");
}

#[test]
fn without_a_c_compiler_the_package_to_install_is_named() {
    let programs = folder("no-cc");
    let package = package("linkless-filter", &[("build.rs", "fn main() {}\n")]);
    let mut command = attache(&["build", package.to_str().unwrap()]);
    command.env("PATH", programs).env("RUSTC", rustc());
    said(&mut command).refuses("error: there is no C compiler: `cc` was not found");
}

#[test]
fn without_cargo_rustup_is_named() {
    let package = package("cargoless-filter", &[]);
    let mut command = attache(&["build", package.to_str().unwrap()]);
    command.env("CARGO", "/nowhere/cargo");
    let said = said(&mut command);
    said.refuses("error: cannot run cargo (install Rust with rustup, https://rustup.rs)");
    said.refuses("caused by: No such file or directory");
}
