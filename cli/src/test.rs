//! `attache test`: hands over to the program `attache-test`, as git and cargo do.
//!
//! The command compiles and starts fast because it knows nothing of wasmtime; the program does.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::checkout;
use crate::screen::Screen;

const PROGRAM: &str = "attache-test";

/// Runs the program with these arguments, and returns its exit status.
pub(crate) fn test(arguments: &[OsString], screen: &Screen) -> anyhow::Result<u8> {
    let here = env::current_dir().context("cannot tell which folder this is")?;
    let mut command = match checkout::around(&here) {
        Some(checkout) => from_checkout(&checkout, screen),
        None => match installed() {
            Some(program) => Command::new(program),
            None => bail!(
                "`attache test` needs the program `{PROGRAM}`, which is neither beside this one nor \
                 on PATH; in a checkout of Attaché, `cargo install --locked --path suite` installs it"
            ),
        },
    };
    let status = command
        .args(arguments)
        .status()
        .with_context(|| format!("cannot run `{}`", command.get_program().display()))?;
    // Whoever ended it by a signal knows already.
    Ok(status
        .code()
        .and_then(|code| code.try_into().ok())
        .unwrap_or(130))
}

/// Cargo builds the program when its sources are newer, and then runs it.
fn from_checkout(checkout: &Path, screen: &Screen) -> Command {
    let manifest = checkout.join("Cargo.toml");
    let built = |folder: &str| checkout.join("target").join(folder).join(PROGRAM).exists();
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--package", "attache-suite", "--bin", PROGRAM]);
    command.arg("--manifest-path").arg(manifest);
    if built("debug") || env::var_os("CARGO_TARGET_DIR").is_some() {
        command.arg("--quiet");
    } else {
        screen.stage(
            "Preparing",
            format_args!("{PROGRAM}, once; this takes some minutes"),
        );
    }
    command.arg("--");
    command
}

/// The program beside this one, or on the search path.
fn installed() -> Option<PathBuf> {
    let name = format!("{PROGRAM}{}", env::consts::EXE_SUFFIX);
    let beside = env::current_exe().ok()?.with_file_name(&name);
    let path = env::var_os("PATH").unwrap_or_default();
    [beside]
        .into_iter()
        .chain(env::split_paths(&path).map(|folder| folder.join(&name)))
        .find(|candidate| candidate.is_file())
}
