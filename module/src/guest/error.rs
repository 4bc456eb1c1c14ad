use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::cargo::TARGET;
use crate::finish::FinishError;

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No cargo.
    #[error("cannot run cargo (install Rust with rustup, https://rustup.rs)")]
    NoCargo(#[source] io::Error),
    /// The workspace has no package of that name.
    #[error("there is no package `{package}` in this workspace; {}", filters(.known))]
    NoSuchPackage {
        /// The name.
        package: String,
        /// The packages that are filters.
        known: Vec<String>,
    },
    /// No package of the workspace makes a module.
    #[error(
        "no package in {} makes a filter (`attache new NAME` makes one, and a filter is a package \
         with the crate type `cdylib`)",
        .directory.display()
    )]
    NoFilters {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// There is no manifest.
    #[error(
        "no `Cargo.toml` in {} or above it (go into a checkout, or name the folder of a package)",
        .directory.display()
    )]
    NoManifest {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The target is missing, and so is the program that could fetch it.
    #[error(
        "the target `{TARGET}` is not installed, and there is no rustup to install it \
         (install Rust with rustup, https://rustup.rs, or your distribution's package of the \
         standard library for {TARGET})"
    )]
    NoTarget,
    /// Rustup could not install the target.
    #[error("rustup could not install the target `{TARGET}`: {said}")]
    TargetNotInstalled {
        /// Its last words.
        said: String,
    },
    /// Build scripts and macros need a linker for this machine.
    #[error(
        "there is no C compiler: `cc` was not found, and Rust links build scripts and macros with \
         it (Debian: `apt install gcc`; Fedora: `dnf install gcc`; macOS: `xcode-select --install`)"
    )]
    NoCompiler,
    /// Cargo said why.
    #[error("cargo could not build {}{}", .what, .said)]
    Compile {
        /// The package.
        what: String,
        /// What cargo said, where it was not shown as it came; with a line feed before it.
        said: Said,
    },
    /// The package makes no module.
    #[error(
        "`{package}` makes no module: its library lacks the crate type `cdylib` \
         (add `crate-type = [\"cdylib\", \"rlib\"]` under `[lib]` in {})",
        .manifest.display()
    )]
    NoModule {
        /// The package.
        package: String,
        /// Its manifest.
        manifest: PathBuf,
    },
    /// The module is not one to ship.
    #[error("cannot finish `{name}`")]
    Finish {
        /// The module's name.
        name: String,
        /// Why.
        source: FinishError,
    },
    /// A file could not be read or written.
    #[error("cannot {} {}", .action, .path.display())]
    File {
        /// What was tried: `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn filters(known: &[String]) -> String {
    match known {
        [] => "it has no filters (a filter is a package with the crate type `cdylib`)".to_owned(),
        known => format!("its filters are: {}", known.join(", ")),
    }
}

/// What a program said, kept for a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said(pub String);

impl fmt::Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.trim_end() {
            "" => Ok(()),
            said => write!(formatter, "\n{said}"),
        }
    }
}
