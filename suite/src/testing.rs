//! Suites as tests of `cargo test`.

use std::path::{Path, PathBuf};

use attache_envoy::{Environment, FindError, RunFolder, Selection};

use crate::report::FailedSuite;
use crate::suite::{Suite, SuiteError, Target};

/// Why a test of a suite fails; `Debug` prints it as a person reads it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum TestError {
    /// The suite cannot be played.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// There is no Envoy.
    #[error("there is no Envoy to play the suite on")]
    Envoy(#[from] FindError),
    /// There is no folder for Envoy's files.
    #[error("cannot use the folder `{}`", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Cases failed.
    #[error(transparent)]
    Failed(#[from] FailedSuite),
}

impl std::fmt::Debug for TestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Plays a suite on the harness. [`suite!`](crate::suite!) makes a test of it.
///
/// # Errors
///
/// [`TestError::Suite`] and [`TestError::Failed`].
pub fn on_the_harness(path: &Path) -> Result<(), TestError> {
    Suite::load(path)?.run_on(&Target::Harness)?.into_result()?;
    Ok(())
}

/// Plays a suite on the harness and on a real Envoy, with Envoy's files in `folder`, which is
/// emptied first, or beside it in `folder-2` and so on where another test run has it.
/// [`suite!`](crate::suite!) makes a test of it.
///
/// # Errors
///
/// [`TestError`].
pub fn on_both_hosts(path: &Path, folder: &Path) -> Result<(), TestError> {
    let suite = Suite::load(path)?;
    let selection = suite.envoy().map_or(Selection::Default, Selection::Version);
    let installation = attache_envoy::find(&selection, &Environment::current(), &mut |_| ())?;
    let run = RunFolder::claim(folder).map_err(|source| TestError::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    let target = Target::Both {
        installation,
        folder: run.to_path_buf(),
    };
    suite.run_on(&target)?.into_result()?;
    Ok(())
}

/// Makes two tests of a suite file, whose path is relative to the package: one on the harness, and
/// one, ignored because it needs Envoy, on both hosts.
///
/// ```no_run
/// attache_suite::suite!("tests/auth-scrub.suite.yaml");
/// ```
#[macro_export]
macro_rules! suite {
    ($path:literal) => {
        #[test]
        fn the_suite_holds_on_the_harness() -> Result<(), $crate::TestError> {
            let package = ::std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            $crate::on_the_harness(&package.join($path))
        }

        #[test]
        #[ignore = "needs Envoy"]
        fn the_suite_holds_on_both_hosts() -> Result<(), $crate::TestError> {
            let package = ::std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
            let folder = ::std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
            $crate::on_both_hosts(&package.join($path), &folder.join($path))
        }
    };
}
