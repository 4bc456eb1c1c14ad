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
    #[error("there is no package `{package}` in this workspace; {}{}", filters(.known), meant(.package, .known))]
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
    /// Cargo cannot read the manifests.
    #[error("cargo cannot read the workspace around {}{}", .directory.display(), .said)]
    Workspace {
        /// Where it was looked for.
        directory: PathBuf,
        /// What cargo said, with a line feed before it.
        said: Said,
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
        "`{package}` makes no module: it has no library of the crate type `cdylib`{} \
         (to make it a filter, add `crate-type = [\"cdylib\", \"rlib\"]` under `[lib]` in {})",
        others(.known), .manifest.display()
    )]
    NoModule {
        /// The package.
        package: String,
        /// Its manifest.
        manifest: PathBuf,
        /// The packages of its workspace that are filters.
        known: Vec<String>,
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

fn others(known: &[String]) -> String {
    match known {
        [] => String::new(),
        known => format!("; the filters of its workspace are: {}", known.join(", ")),
    }
}

/// The one of the known that the word is nearly.
fn meant(word: &str, known: &[String]) -> String {
    let nearest = known
        .iter()
        .map(|name| (distance(word, name), name))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((1..=2, name)) if known.len() > 1 => format!("; did you mean `{name}`?"),
        _ => String::new(),
    }
}

/// How many letters have to be put in, left out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], line + 1);
        for (at, known) in other.iter().enumerate() {
            let replaced = before + usize::from(letter != *known);
            before = row[at + 1];
            row[at + 1] = replaced.min(before + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_nearly_a_name_is_told_the_name() {
        let known = ["auth-scrub", "metrics"].map(str::to_owned);
        assert_eq!(meant("auth-scrup", &known), "; did you mean `auth-scrub`?");
        assert_eq!(meant("metric", &known), "; did you mean `metrics`?");
        assert_eq!(meant("transform", &known), "");
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
