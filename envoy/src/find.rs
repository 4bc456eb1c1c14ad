use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::cache::CacheError;
use crate::environment::Environment;
use crate::install::{self, InstallError, Progress};
use crate::platform::{Platform, PlatformError};
use crate::program::{self, ProgramError};
use crate::version::{Version, VersionError};

/// Which Envoy is asked for; the argument of `--envoy PATH|VERSION`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Selection {
    /// What `ENVOY` names; without it [`Version::DEFAULT`] or another release
    /// of its line, from `PATH`, from the cache or from the index.
    #[default]
    Default,
    /// This binary and no other.
    Path(PathBuf),
    /// This release, from `PATH`, from the cache or from the index.
    Version(Version),
}

impl Selection {
    /// Reads what names a binary or a release: what begins like a version, as
    /// `1.40` does, is one, everything else is a path.
    ///
    /// # Errors
    ///
    /// [`VersionError::UnknownLine`], if it is a version of which no release is known.
    pub fn read(text: &OsStr) -> Result<Self, VersionError> {
        let version = match text.to_str().map(str::parse::<Version>) {
            Some(Err(VersionError::NotAVersion { .. })) | None => {
                return Ok(Self::Path(text.into()));
            }
            Some(version) => version?,
        };
        Ok(Self::Version(version))
    }
}

impl FromStr for Selection {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text.as_ref())
    }
}

/// Where an Envoy was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// Named by the caller.
    Given,
    /// Named by the environment variable `ENVOY`.
    Variable,
    /// On `PATH`.
    SearchPath,
    /// In the cache, where an earlier run had installed it.
    Cache,
    /// Installed just now.
    Installed,
}

/// An Envoy that answers when it is asked for its version.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Installation {
    /// The binary, as an absolute path.
    pub path: PathBuf,
    /// What it answered.
    pub version: Version,
    /// Where it was found.
    pub origin: Origin,
}

/// Why no Envoy can be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// `ENVOY` holds a version of which no release is known.
    #[error("`ENVOY` names no Envoy that can be installed")]
    Variable(#[source] VersionError),
    /// A binary that was named is not there.
    #[error(
        "{} names `{}`, which is not a file; name an Envoy binary or a version such as `1.40`",
        said(*origin),
        path.display()
    )]
    NotThere {
        /// Who named it.
        origin: Origin,
        /// What was named.
        path: PathBuf,
    },
    /// A binary that was named, or is in the cache, does not say its version.
    #[error("`{} --version` has no answer{}", path.display(), advice(*origin))]
    NoAnswer {
        /// Where it was found.
        origin: Origin,
        /// The binary.
        path: PathBuf,
        /// What happened instead.
        source: ProgramError,
    },
    /// There is no folder to look for installed ones, or to install one.
    #[error("Envoy cannot be kept")]
    Cache(#[from] CacheError),
    /// There is none, and none is published for this platform.
    #[error("Envoy cannot be installed")]
    Platform(#[from] PlatformError),
    /// There is none, and installing one failed.
    #[error("Envoy cannot be installed")]
    Install(#[from] InstallError),
}

/// Finds the Envoy that is asked for, and installs it if there is none.
///
/// The order for [`Selection::Default`] is: the environment variable `ENVOY` (a
/// path or a version), `envoy` on `PATH` if it is a release of the default line,
/// the cache, the index. An Envoy of another version on `PATH` is passed over,
/// and `progress` is told.
///
/// # Errors
///
/// [`FindError`]: a named binary is not there or is no Envoy, or none could be
/// installed.
pub fn find(
    selection: &Selection,
    environment: &Environment,
    progress: &mut dyn FnMut(Progress),
) -> Result<Installation, FindError> {
    let (selection, origin) = match (selection, environment.get("ENVOY")) {
        (Selection::Default, Some(text)) => (
            Selection::read(text).map_err(FindError::Variable)?,
            Origin::Variable,
        ),
        _ => (selection.clone(), Origin::Given),
    };
    match selection {
        Selection::Path(path) => named(&path, origin, environment),
        Selection::Version(version) => {
            release(version, |found| found == version, environment, progress)
        }
        Selection::Default => {
            let version = Version::DEFAULT;
            release(
                version,
                |found| found.is_same_line(version),
                environment,
                progress,
            )
        }
    }
}

fn named(
    path: &Path,
    origin: Origin,
    environment: &Environment,
) -> Result<Installation, FindError> {
    let not_there = || FindError::NotThere {
        origin,
        path: path.to_owned(),
    };
    let found = if path.is_file() {
        std::path::absolute(path).map_err(|_| not_there())?
    } else {
        // A bare name such as `envoy` is looked up as a shell would.
        path.to_str()
            .filter(|name| !name.contains('/'))
            .and_then(|name| environment.program(name))
            .ok_or_else(not_there)?
    };
    probe(&found, origin, environment).map_err(|source| FindError::NoAnswer {
        origin,
        path: found,
        source,
    })
}

fn release(
    wanted: Version,
    fits: impl Fn(Version) -> bool,
    environment: &Environment,
    progress: &mut dyn FnMut(Progress),
) -> Result<Installation, FindError> {
    if let Some(path) = environment.program("envoy") {
        // Nobody named this one, so a fault of it is told and does not stop.
        match probe(&path, Origin::SearchPath, environment) {
            Ok(found) if fits(found.version) => return Ok(found),
            Ok(found) => progress(Progress::PassedOver {
                path,
                reason: format!("it is version `{}`, wanted is `{wanted}`", found.version),
            }),
            Err(error) => progress(Progress::PassedOver {
                path,
                reason: error.to_string(),
            }),
        }
    }
    let platform = Platform::detect(environment)?;
    let cached = install::installed_path(wanted, platform, environment)?;
    let (path, origin) = if cached.is_file() {
        (cached, Origin::Cache)
    } else {
        (
            install::install(wanted, platform, environment, progress)?,
            Origin::Installed,
        )
    };
    probe(&path, origin, environment).map_err(|source| FindError::NoAnswer {
        origin,
        path,
        source,
    })
}

/// Asks a binary for its version.
fn probe(
    path: &Path,
    origin: Origin,
    environment: &Environment,
) -> Result<Installation, ProgramError> {
    let mut command = environment.command(path);
    command.arg("--version");
    let output = program::run(command, Duration::from_secs(20))?;
    if !output.status.success() {
        let stderr = program::last_lines(&output.stderr, 2);
        return Err(ProgramError::Failed {
            status: output.status,
            stderr,
        });
    }
    let Some(version) = Version::from_answer(&output.stdout) else {
        let answer = output.stdout.trim().chars().take(80).collect();
        return Err(ProgramError::Answer { answer });
    };
    Ok(Installation {
        path: path.to_owned(),
        version,
        origin,
    })
}

fn said(origin: Origin) -> &'static str {
    match origin {
        Origin::Variable => "`ENVOY`",
        _ => "the selection",
    }
}

fn advice(origin: Origin) -> &'static str {
    match origin {
        Origin::Cache | Origin::Installed => "; remove its folder to have it installed again",
        _ => "; name an Envoy binary or a version such as `1.40`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_version_is_one_and_the_rest_is_a_path() {
        let read = |text: &str| text.parse::<Selection>().unwrap();
        assert_eq!(read("1.40"), Selection::Version(Version::DEFAULT));
        assert_eq!(read("v1.38.0"), Selection::Version(Version::new(1, 38, 0)));
        assert_eq!(read("./envoy"), Selection::Path("./envoy".into()));
        assert_eq!(read("1.40/envoy"), Selection::Path("1.40/envoy".into()));
    }

    #[test]
    fn an_unknown_line_is_refused_rather_than_taken_for_a_path() {
        assert!(matches!(
            "1.12".parse::<Selection>(),
            Err(VersionError::UnknownLine { .. })
        ));
    }
}
