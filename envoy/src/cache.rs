use std::path::PathBuf;

use crate::environment::Environment;

/// Why there is no folder for what is kept between runs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// No variable says where it is.
    #[error(
        "no cache folder is known, because `HOME` is not set; set `ATTACHE_CACHE` to a folder that may be written"
    )]
    NoHome,
    /// The working directory that a relative folder starts from cannot be read.
    #[error("the cache folder `{}` is relative and the working directory cannot be read", folder.display())]
    WorkingDirectory {
        /// What `ATTACHE_CACHE` says.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The folder for what is kept between runs, whether it exists or not:
/// `ATTACHE_CACHE`; or `$XDG_CACHE_HOME/attache` and `~/.cache/attache`; on
/// macOS `~/Library/Caches/attache`.
///
/// # Errors
///
/// [`CacheError`], if no variable names one.
pub fn cache_folder(environment: &Environment) -> Result<PathBuf, CacheError> {
    if let Some(folder) = environment.get("ATTACHE_CACHE").map(PathBuf::from) {
        return std::path::absolute(&folder)
            .map_err(|source| CacheError::WorkingDirectory { folder, source });
    }
    let home = || {
        environment
            .get("HOME")
            .map(PathBuf::from)
            .ok_or(CacheError::NoHome)
    };
    if cfg!(target_os = "macos") {
        return Ok(home()?.join("Library/Caches/attache"));
    }
    // The XDG base directory specification: a relative value is ignored.
    let xdg = environment
        .get("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute());
    match xdg {
        Some(folder) => Ok(folder.join("attache")),
        None => Ok(home()?.join(".cache/attache")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_can_be_put_anywhere() {
        let environment = Environment::default()
            .with("ATTACHE_CACHE", "/c")
            .with("HOME", "/h");
        assert_eq!(cache_folder(&environment).unwrap(), PathBuf::from("/c"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_cache_follows_xdg_and_then_home() {
        let environment = Environment::default().with("HOME", "/h");
        assert_eq!(
            cache_folder(&environment).unwrap(),
            PathBuf::from("/h/.cache/attache")
        );
        let relative = environment.clone().with("XDG_CACHE_HOME", "x");
        assert_eq!(
            cache_folder(&relative).unwrap(),
            PathBuf::from("/h/.cache/attache")
        );
        let absolute = environment.with("XDG_CACHE_HOME", "/x");
        assert_eq!(
            cache_folder(&absolute).unwrap(),
            PathBuf::from("/x/attache")
        );
    }

    #[test]
    fn without_any_variable_the_message_names_one_to_set() {
        let error = cache_folder(&Environment::default()).unwrap_err();
        assert!(error.to_string().contains("`ATTACHE_CACHE`"), "{error}");
    }
}
