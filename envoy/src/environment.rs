use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The environment variables that this crate reads, and that the programs it
/// runs are given.
///
/// It is a value, so that a test can say where an index or a cache is without
/// changing the process it runs in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    /// The environment of this process, as it is now.
    #[must_use]
    pub fn current() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
        }
    }

    /// The same environment with one variable set.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The same environment without one variable.
    #[must_use]
    pub fn without(mut self, name: impl AsRef<OsStr>) -> Self {
        self.variables.remove(name.as_ref());
        self
    }

    /// The value of a variable; an empty one counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value)
    }

    /// The first of these variables that is set.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&OsStr> {
        names.iter().find_map(|name| self.get(name))
    }

    /// The first executable file of this name on `PATH`.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(self.get("PATH")?)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .find(|path| is_executable(path))
    }

    /// A command that runs `program` in exactly this environment.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.variables);
        command
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_absent() {
        let environment = Environment::default().with("ENVOY", "").with("HOME", "/h");
        assert_eq!(environment.get("ENVOY"), None);
        assert_eq!(
            environment.first(&["ENVOY", "HOME"]),
            Some(OsStr::new("/h"))
        );
        assert_eq!(environment.without("HOME").get("HOME"), None);
    }

    #[test]
    fn programs_are_found_on_the_path_that_was_given() {
        let environment = Environment::default().with("PATH", "relative:/nowhere:/bin");
        assert_eq!(environment.program("sh"), Some(PathBuf::from("/bin/sh")));
        assert_eq!(environment.program("no-such-program"), None);
        assert_eq!(Environment::default().program("sh"), None);
    }
}
