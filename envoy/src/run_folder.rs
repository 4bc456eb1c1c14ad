use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Deref;
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A folder for the files of one run, which no other process or thread gets while this value lives.
/// The files stay when it is dropped, for those who want to look.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Held for as long as the folder is in use.
    lock: File,
}

impl RunFolder {
    /// The folder `wanted`, or `wanted-2` and so on where another run has it, emptied of what an
    /// earlier run left. A file `<folder>.lock` beside it says that it is taken.
    ///
    /// # Errors
    ///
    /// If the folder or its lock cannot be made, or `wanted` has no name.
    pub fn claim(wanted: &Path) -> io::Result<Self> {
        let (Some(runs), Some(wanted)) = (wanted.parent(), wanted.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        fs::create_dir_all(runs)?;
        for number in 1_u32.. {
            let mut name = wanted.to_owned();
            if number > 1 {
                name.push(format!("-{number}"));
            }
            let path = runs.join(&name);
            name.push(".lock");
            let lock = File::create(runs.join(name))?;
            match lock.try_lock() {
                Ok(()) => return Self::emptied(path, lock),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    fn emptied(path: PathBuf, lock: File) -> io::Result<Self> {
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&path)?;
        // What filters saw may be in its files.
        #[cfg(unix)]
        fs::set_permissions(&path, PermissionsExt::from_mode(0o700))?;
        Ok(Self { path, lock })
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // Closing is not enough while a process that another thread is starting has the file too.
        let _ = self.lock.unlock();
    }
}

impl Deref for RunFolder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_run_and_is_free_and_empty_after_it() {
        let runs = std::env::temp_dir().join(format!("attache-runs-{}", std::process::id()));
        let wanted = runs.join("below/filter");
        let first = RunFolder::claim(&wanted).unwrap();
        fs::write(first.join("envoy.yaml"), "first").unwrap();
        let second = RunFolder::claim(&wanted).unwrap();
        assert_eq!(&*first, wanted);
        #[cfg(unix)]
        assert_eq!(
            fs::metadata(&*first).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(&*second, runs.join("below/filter-2"));
        assert_eq!(fs::read(first.join("envoy.yaml")).unwrap(), b"first");

        drop(first);
        assert!(wanted.join("envoy.yaml").exists(), "files stay");
        let third = RunFolder::claim(&wanted).unwrap();
        assert_eq!(&*third, wanted);
        assert!(!third.join("envoy.yaml").exists(), "of no earlier run");
        fs::remove_dir_all(&runs).unwrap();
    }

    #[test]
    fn a_folder_has_a_name() {
        let error = RunFolder::claim(Path::new("/")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
