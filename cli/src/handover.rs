//! Verbs that other programs do: `attache` hands over to them, as git and cargo do.
//!
//! The command compiles and starts fast because it knows nothing of wasmtime or of images; the programs do.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::checkout;
use crate::screen::Screen;

/// A program that stands beside this one.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    name: &'static str,
    /// The package that it is built from, and its folder in a checkout.
    package: &'static str,
    folder: &'static str,
    /// How long the first build takes.
    first: &'static str,
}

/// Plays suites, makes them of traffic, counts what filters cost, and serves filters without an Envoy.
pub(crate) const TEST: Program = Program {
    name: "attache-test",
    package: "attache-suite",
    folder: "suite",
    first: "some minutes",
};

/// Makes images, and the manifests that load them.
pub(crate) const IMAGE: Program = Program {
    name: "attache-image",
    package: "attache-package",
    folder: "package",
    first: "two minutes",
};

/// Reloads filters in running Envoys.
pub(crate) const CONTROL_PLANE: Program = Program {
    name: "attache-control-plane",
    package: "attache-control-plane",
    folder: "control-plane",
    first: "some minutes",
};

impl Program {
    /// Runs the program with these arguments, and returns its exit status.
    pub(crate) fn run(self, arguments: &[OsString], screen: &Screen) -> anyhow::Result<u8> {
        self.run_with(arguments, Stdio::inherit(), screen)
    }

    /// The same, and what the program prints is not shown, as it is no result of ours.
    pub(crate) fn run_for_us(self, arguments: &[OsString], screen: &Screen) -> anyhow::Result<u8> {
        self.run_with(arguments, Stdio::null(), screen)
    }

    /// Becomes the program, so that whoever ends this command ends it; or says why it cannot.
    #[cfg(unix)]
    pub(crate) fn become_it(self, arguments: &[OsString], screen: &Screen) -> anyhow::Result<u8> {
        use std::os::unix::process::CommandExt;

        let mut command = self.command(arguments, screen)?;
        let error = command.exec();
        Err(error).with_context(|| format!("cannot run `{}`", command.get_program().display()))
    }

    #[cfg(not(unix))]
    pub(crate) fn become_it(self, arguments: &[OsString], screen: &Screen) -> anyhow::Result<u8> {
        self.run(arguments, screen)
    }

    fn run_with(
        self,
        arguments: &[OsString],
        output: Stdio,
        screen: &Screen,
    ) -> anyhow::Result<u8> {
        let mut command = self.command(arguments, screen)?;
        let status = command
            .stdout(output)
            .status()
            .with_context(|| format!("cannot run `{}`", command.get_program().display()))?;
        // Whoever ended it by a signal knows already.
        Ok(status
            .code()
            .and_then(|code| code.try_into().ok())
            .unwrap_or(130))
    }

    fn command(self, arguments: &[OsString], screen: &Screen) -> anyhow::Result<Command> {
        let here = env::current_dir().context("cannot tell which folder this is")?;
        let name = self.name;
        let mut command = match checkout::around(&here) {
            Some(checkout) => self.built_in(&checkout, screen),
            None => match self.installed() {
                Some(program) => Command::new(program),
                None => bail!(
                    "this needs the program `{name}`, which is neither beside `attache` nor on PATH; \
                     in a checkout of Attaché, `cargo install --locked --path {}` installs it",
                    self.folder
                ),
            },
        };
        // The program may need another one, which this command finds, as cargo's do by `CARGO`.
        if let Ok(this) = env::current_exe() {
            command.env("ATTACHE", this);
        }
        command.args(arguments);
        Ok(command)
    }

    /// Cargo builds the program when its sources are newer, and then runs it.
    fn built_in(self, checkout: &Path, screen: &Screen) -> Command {
        let manifest = checkout.join("Cargo.toml");
        let built = checkout.join("target/debug").join(self.name).exists();
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["run", "--package", self.package, "--bin", self.name]);
        command.arg("--manifest-path").arg(manifest);
        if built || env::var_os("CARGO_TARGET_DIR").is_some() {
            command.arg("--quiet");
        } else {
            screen.stage(
                "Preparing",
                format_args!("{}, once; this takes {}", self.name, self.first),
            );
        }
        command.arg("--");
        command
    }

    /// The program beside this one, or on the search path.
    fn installed(self) -> Option<PathBuf> {
        let name = format!("{}{}", self.name, env::consts::EXE_SUFFIX);
        let beside = env::current_exe().ok()?.with_file_name(&name);
        let path = env::var_os("PATH").unwrap_or_default();
        [beside]
            .into_iter()
            .chain(env::split_paths(&path).map(|folder| folder.join(&name)))
            .find(|candidate| candidate.is_file())
    }
}
