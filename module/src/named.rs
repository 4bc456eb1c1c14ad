//! What a word on a command line names, and the configuration that stands beside it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::guest::{BuildError, Guest};

/// A module, or a crate that becomes one.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a module is there, or it has to be built"
)]
pub enum Named {
    /// A crate to build.
    Guest(Guest),
    /// A module that somebody else built.
    File(PathBuf),
}

/// Why a word names nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The file of a module is missing.
    #[error("there is no file `{}` (`attache build` writes modules to `target/attache/`)", path.display())]
    NoFile {
        /// Which.
        path: PathBuf,
    },
    /// There is something of that name, or nothing, and it is no module and no package.
    #[error(
        "`{word}` is neither a folder with a `Cargo.toml` nor a file that ends in `.wasm`{}",
        hint(word)
    )]
    Neither {
        /// The word.
        word: String,
    },
    /// A folder that is no package's, where no package has that name either.
    #[error(
        "`{word}` is a folder without a `Cargo.toml`, and no package has that name; {}",
        of_workspace(known)
    )]
    Folder {
        /// The word.
        word: String,
        /// The filters that could be meant.
        known: Vec<String>,
    },
    /// Several filters could be meant.
    #[error("which filter is meant? Name one of: {}", known.join(", "))]
    Several {
        /// Their names.
        known: Vec<String>,
    },
    /// The package is none, or no filter.
    #[error(transparent)]
    Package(#[from] BuildError),
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// It stands on the command line itself.
    #[error(
        "`{text}` is a configuration, and `--config` takes the file of one; write it into a file, and name that: `--config config.json`"
    )]
    NoPath {
        /// What was given, as far as it fits.
        text: String,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Named {
    /// What a word names, seen from the folder that we are in: a file that ends in `.wasm`, or begins as modules
    /// do, is a module, a folder is a package's, and any other word is the name of a package.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn find(word: &str) -> Result<Self, NameError> {
        let path = Path::new(word);
        if is_module(path) {
            return Ok(Self::File(path.to_owned()));
        }
        if path.extension().is_some_and(|ending| ending == "wasm") {
            let path = path.to_owned();
            return Err(NameError::NoFile { path });
        }
        if path.join("Cargo.toml").is_file() {
            return Self::here(path).map(Self::Guest);
        }
        let neither = || NameError::Neither {
            word: word.to_owned(),
        };
        if word.contains(['/', '\\']) || word.is_empty() || path.is_file() {
            return Err(neither());
        }
        match Guest::find(Path::new("."), word) {
            Ok(guest) => Ok(Self::Guest(guest)),
            Err(BuildError::NoSuchPackage { known, .. }) if path.is_dir() => {
                Err(NameError::Folder {
                    word: word.to_owned(),
                    known,
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The package that a folder is in; in a workspace with one filter, that one.
    ///
    /// # Errors
    ///
    /// [`NameError::Several`] and [`NameError::Package`].
    pub fn here(folder: &Path) -> Result<Guest, NameError> {
        let mut guests = Guest::all(folder)?;
        match guests.pop() {
            Some(guest) if guests.is_empty() => Ok(guest),
            last => {
                let all = guests.iter().chain(&last);
                let known = all.filter_map(Guest::package).map(str::to_owned).collect();
                Err(NameError::Several { known })
            }
        }
    }
}

/// The text of the file that is given as a configuration. The last line break is the editor's, and left out of what is
/// not JSON: it would stand in headers and names.
///
/// # Errors
///
/// [`ConfigurationError`].
pub fn configuration(path: &Path) -> Result<String, ConfigurationError> {
    let text = path.to_string_lossy();
    if text.trim_start().starts_with(['{', '[']) && !path.exists() {
        let mut shown: String = text.chars().take(40).collect();
        if shown.len() < text.len() {
            shown.push('…');
        }
        return Err(ConfigurationError::NoPath { text: shown });
    }
    let mut text = fs::read_to_string(path).map_err(|source| ConfigurationError::Read {
        path: path.to_owned(),
        source,
    })?;
    if !text.trim_start().starts_with(['{', '[']) && text.ends_with('\n') {
        text.truncate(text.len() - if text.ends_with("\r\n") { 2 } else { 1 });
    }
    Ok(text)
}

/// Whether a file is to be taken for a module, by its name or by how it begins.
#[must_use]
pub fn is_module(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let mut start = [0; 4];
    let named = path.extension().is_some_and(|ending| ending == "wasm");
    named
        || fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
            && start == *b"\0asm"
}

/// What was probably meant by a file that is no module.
fn hint(word: &str) -> String {
    let path = Path::new(word);
    let ending = path.extension().and_then(|ending| ending.to_str());
    if !path.is_file() {
        return match path.is_dir() {
            true => String::new(),
            false => "; there is nothing of that name".to_owned(),
        };
    }
    let package = || {
        let absolute = std::path::absolute(path).ok()?;
        let mut folders = absolute.ancestors().skip(1);
        let folder = folders.find(|folder| folder.join("Cargo.toml").is_file())?;
        let here = std::env::current_dir().ok()?;
        let shown = folder.strip_prefix(&here).unwrap_or(folder);
        Some(match shown.as_os_str().is_empty() {
            true => ".".to_owned(),
            false => shown.display().to_string(),
        })
    };
    match ending {
        _ if word.ends_with(".suite.yaml") => {
            format!("; it is a suite, which `attache test {word}` plays")
        }
        Some("rs" | "toml") => package().map_or_else(String::new, |folder| {
            format!("; it is a file of the package in `{folder}`: name that")
        }),
        Some("json") => "; a configuration goes behind `--config`".to_owned(),
        Some("yaml" | "yml") => {
            "; a bootstrap of Envoy's goes behind `attache run --bootstrap`".to_owned()
        }
        _ => String::new(),
    }
}

/// The filters that could be meant.
fn of_workspace(known: &[String]) -> String {
    match known {
        [] => "this workspace has no filters (`attache new NAME` makes one)".to_owned(),
        known => format!("the filters here are: {}", known.join(", ")),
    }
}
