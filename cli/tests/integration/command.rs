//! How the command is run in these tests.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The command, in the root of the repository.
pub(crate) fn attache(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attache"));
    command.args(arguments).current_dir(repository());
    command.env_remove("COLUMNS");
    command
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder of this test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A folder of a test's own that is in no workspace, and gone with the test.
pub(crate) struct Outside(PathBuf);

pub(crate) fn outside(name: &str) -> Outside {
    let folder = std::env::temp_dir().canonicalize().unwrap();
    let folder = folder.join(format!("attache-cli-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    Outside(folder)
}

impl std::ops::Deref for Outside {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a command printed.
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn said(command: &mut Command) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Said {
        status: status.code(),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

impl Said {
    /// Checks that the command failed and said `message` on standard error and nothing else.
    #[track_caller]
    pub(crate) fn refuses(&self, message: &str) {
        assert_eq!(self.status, Some(1), "{}", self.err);
        assert!(self.err.contains(message), "{}", self.err);
        assert!(self.err.contains("error: "), "{}", self.err);
        assert_eq!(self.out, "");
    }
}

/// A package that becomes a module without dependencies.
pub(crate) fn package(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = folder(name);
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[workspace]\n[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [lib]\ncrate-type = [\"cdylib\"]\n"
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    let source = "#[unsafe(no_mangle)] extern \"C\" fn proxy_abi_version_0_2_1() {}\n";
    std::fs::write(folder.join("src/lib.rs"), source).unwrap();
    for (file, text) in files {
        std::fs::write(folder.join(file), text).unwrap();
    }
    folder
}

/// An executable script in `folder`.
pub(crate) fn script(folder: &Path, name: impl AsRef<OsStr>, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name.as_ref());
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
