mod error;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

use crate::cargo::{self, Artifact, Package, Run, TARGET};
use crate::facts::Facts;
use crate::finish::finish;

pub use self::error::{BuildError, Said};

/// A crate that becomes a module.
#[derive(Clone, Debug)]
pub struct Guest {
    directory: PathBuf,
    package: Option<String>,
}

/// Where cargo's own words go while it builds.
pub struct Output<'a> {
    /// Whether they may be coloured.
    pub color: bool,
    /// Where to.
    pub writer: &'a mut dyn Write,
}

/// What [`Guest::build`] does beside building; a sentence for people.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The target is missing and rustup is asked for it.
    InstallingTarget {
        /// Its name.
        target: &'static str,
    },
}

/// A module that was built, finished and written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Built {
    /// The name of the file without its ending: the package's name with `-`.
    pub name: String,
    /// The finished module.
    pub bytes: Vec<u8>,
    /// Where it was written.
    pub path: PathBuf,
    /// The `Cargo.toml` of the package.
    pub manifest: PathBuf,
    /// The SHA-256 of the bytes, as 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// What the module says of itself.
    pub facts: Facts,
    /// The size in bytes that the linker left.
    pub linked_size: usize,
    /// The exports that finishing dropped.
    pub dropped_exports: Vec<String>,
    /// The linker's names of its functions, by their numbers; the module itself has none.
    pub names: BTreeMap<u32, String>,
    /// The source files that went into it: of the package and of its path dependencies.
    pub sources: Vec<PathBuf>,
}

impl Built {
    /// Reads the file again, which another tool has changed.
    ///
    /// # Errors
    ///
    /// [`BuildError::File`], and [`BuildError::Finish`] for what is no module any more.
    pub fn read_again(&mut self) -> Result<(), BuildError> {
        let bytes = fs::read(&self.path).map_err(file("read", &self.path))?;
        self.facts = Facts::read(&bytes).map_err(|error| BuildError::Finish {
            name: self.name.clone(),
            source: error.into(),
        })?;
        self.sha256 = sha256(&bytes);
        self.names.clear();
        self.bytes = bytes;
        Ok(())
    }
}

impl Guest {
    /// The package in `directory`, or `package` of the workspace that `directory` is in.
    #[must_use]
    pub fn in_workspace(directory: &Path, package: Option<&str>) -> Self {
        Self {
            directory: directory.to_owned(),
            package: package.map(str::to_owned),
        }
    }

    /// As [`in_workspace`](Self::in_workspace) with a package, which is looked for at once.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoCargo`], [`BuildError::NoManifest`], [`BuildError::Workspace`],
    /// [`BuildError::NoSuchPackage`] and [`BuildError::NoModule`].
    pub fn find(directory: &Path, package: &str) -> Result<Self, BuildError> {
        let packages = packages(directory)?;
        match packages.iter().find(|known| known.name == package) {
            Some(found) => Self::of(directory, found, &packages),
            None => Err(BuildError::NoSuchPackage {
                package: package.to_owned(),
                known: filters(&packages),
            }),
        }
    }

    /// A package, if it makes a module.
    fn of(directory: &Path, package: &Package, all: &[Package]) -> Result<Self, BuildError> {
        if package.makes_module() {
            return Ok(Self::in_workspace(directory, Some(&package.name)));
        }
        Err(BuildError::NoModule {
            package: package.name.clone(),
            manifest: package.manifest_path.clone(),
            known: filters(all),
        })
    }

    /// The packages that are meant where none is named: the one that `directory` is in, or else all
    /// filters of its workspace.
    ///
    /// # Errors
    ///
    /// [`BuildError::NoCargo`], [`BuildError::NoManifest`], [`BuildError::Workspace`],
    /// [`BuildError::NoFilters`] and [`BuildError::NoModule`].
    pub fn all(directory: &Path) -> Result<Vec<Self>, BuildError> {
        let packages = packages(directory)?;
        let here = std::path::absolute(directory).map_err(file("read", directory))?;
        let here = here.canonicalize().map_err(file("read", directory))?;
        let manifests = here.ancestors().map(|folder| folder.join("Cargo.toml"));
        let nearest = manifests.filter(|path| path.is_file()).take(1);
        let own = |manifest: PathBuf| packages.iter().find(|p| p.manifest_path == manifest);
        let guests: Vec<Self> = match nearest.filter_map(own).next() {
            Some(package) => vec![Self::of(directory, package, &packages)?],
            None => packages
                .iter()
                .filter(|package| package.is_filter())
                .map(|package| Self::in_workspace(directory, Some(&package.name)))
                .collect(),
        };
        if guests.is_empty() {
            return Err(BuildError::NoFilters { directory: here });
        }
        Ok(guests)
    }

    /// The name of the package, where it was named.
    #[must_use]
    pub fn package(&self) -> Option<&str> {
        self.package.as_deref()
    }

    /// The folder of the package, where cargo knows it.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        let Some(name) = &self.package else {
            return Some(self.directory.clone());
        };
        let packages = cargo::packages(&self.directory).ok()?.ok()?;
        let package = packages.iter().find(|package| package.name == *name)?;
        package.manifest_path.parent().map(Path::to_owned)
    }

    /// Builds and finishes the module, and writes it to `attache/<name>.wasm` in cargo's target
    /// folder. Cargo's words are kept for the error; `notify` hears what else is done.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    pub fn build(&self, notify: &mut dyn FnMut(Notice)) -> Result<Built, BuildError> {
        let mut said = Vec::new();
        let output = Output {
            color: false,
            writer: &mut said,
        };
        let built = self.build_showing(output, notify);
        built.map_err(|error| match error {
            BuildError::Compile { what, .. } => BuildError::Compile {
                what,
                said: Said(String::from_utf8_lossy(&said).into_owned()),
            },
            other => other,
        })
    }

    /// As [`build`](Self::build), with cargo's words shown as they come.
    ///
    /// # Errors
    ///
    /// [`BuildError`].
    pub fn build_showing(
        &self,
        output: Output<'_>,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Built, BuildError> {
        self.ensure_target(notify)?;
        let run = cargo::build(
            &self.directory,
            self.package.as_deref(),
            output.color,
            output.writer,
        )
        .map_err(BuildError::NoCargo)?;
        if !run.status.success() {
            return Err(self.explain(&run));
        }
        let (artifact, manifest) = self.artifact(&run)?;
        self.finish(artifact, manifest)
    }

    fn ensure_target(&self, notify: &mut dyn FnMut(Notice)) -> Result<(), BuildError> {
        if self.has_target() {
            return Ok(());
        }
        notify(Notice::InstallingTarget { target: TARGET });
        let rustup = Command::new("rustup")
            .current_dir(&self.directory)
            .args(["target", "add", TARGET])
            .stdin(Stdio::null())
            .output();
        match rustup {
            Err(_) => Err(BuildError::NoTarget),
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(BuildError::TargetNotInstalled {
                said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            }),
        }
    }

    fn has_target(&self) -> bool {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc)
            .current_dir(&self.directory)
            .args(["--print", "target-libdir", "--target", TARGET])
            .stdin(Stdio::null())
            .output();
        match output {
            Ok(output) => {
                let folder = String::from_utf8_lossy(&output.stdout);
                output.status.success() && Path::new(folder.trim()).is_dir()
            }
            // Without rustc the build says so better than this check could.
            Err(_) => true,
        }
    }

    fn explain(&self, run: &Run) -> BuildError {
        let said = &run.said;
        match &self.package {
            Some(package)
                if said.contains("did not match any packages")
                    || said.contains("not found in workspace") =>
            {
                Self::find(&self.directory, package)
                    .err()
                    .unwrap_or_else(|| refusal(said, &self.directory, package))
            }
            Some(package) => refusal(said, &self.directory, &format!("`{package}`")),
            None => {
                let what = format!("the package in {}", self.directory.display());
                refusal(said, &self.directory, &what)
            }
        }
    }

    /// The module among what cargo made; dependencies may be libraries of the same kind.
    fn artifact<'a>(&self, run: &'a Run) -> Result<(&'a Path, &'a Path), BuildError> {
        let last: Option<&Artifact> = run.artifacts.last();
        let wasm = last.and_then(|artifact| {
            let module = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "wasm");
            let is_module = artifact.target.kind.iter().any(|kind| kind == "cdylib");
            let wasm = artifact.filenames.iter().find(module)?;
            is_module.then_some((wasm.as_path(), artifact.manifest_path.as_path()))
        });
        wasm.ok_or_else(|| BuildError::NoModule {
            package: self.package.clone().unwrap_or_default(),
            manifest: last.map_or_else(PathBuf::new, |artifact| artifact.manifest_path.clone()),
            known: Vec::new(),
        })
    }

    fn finish(&self, artifact: &Path, manifest: &Path) -> Result<Built, BuildError> {
        let name = artifact
            .file_stem()
            .map(|stem| stem.to_string_lossy().replace('_', "-"))
            .unwrap_or_default();
        let linked = fs::read(artifact).map_err(file("read", artifact))?;
        let finished = finish(&linked).map_err(|source| BuildError::Finish {
            name: name.clone(),
            source,
        })?;
        // <target folder>/wasm32-unknown-unknown/wasm/<name>.wasm
        let target = artifact.ancestors().nth(3).unwrap_or(&self.directory);
        let path = target.join("attache").join(format!("{name}.wasm"));
        write(&path, &finished.bytes)?;
        Ok(Built {
            sha256: sha256(&finished.bytes),
            sources: sources(&artifact.with_extension("d"))?,
            bytes: finished.bytes,
            path,
            manifest: manifest.to_owned(),
            name,
            facts: finished.facts,
            linked_size: linked.len(),
            dropped_exports: finished.dropped_exports,
            names: finished.names,
        })
    }
}

/// The packages of the workspace around a folder.
fn packages(directory: &Path) -> Result<Vec<Package>, BuildError> {
    let packages = cargo::packages(directory).map_err(BuildError::NoCargo)?;
    packages.map_err(|said| match refusal(&said, directory, "") {
        BuildError::Compile { .. } => BuildError::Workspace {
            directory: std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned()),
            said: Said(said),
        },
        other => other,
    })
}

/// The names of those that are filters.
fn filters(packages: &[Package]) -> Vec<String> {
    let filters = packages.iter().filter(|package| package.is_filter());
    filters.map(|package| package.name.clone()).collect()
}

/// Why cargo failed, from what it said. Its own words are not repeated where they were shown.
fn refusal(said: &str, directory: &Path, what: &str) -> BuildError {
    if said.contains("linker `cc` not found") {
        return BuildError::NoCompiler;
    }
    if said.contains("could not find `Cargo.toml`") {
        return BuildError::NoManifest {
            directory: std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned()),
        };
    }
    BuildError::Compile {
        what: what.to_owned(),
        said: Said(String::new()),
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstallingTarget { target } => {
                write!(formatter, "installing the target {target} with rustup")
            }
        }
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Output")
            .field("color", &self.color)
            .finish_non_exhaustive()
    }
}

/// Writes the module; not at all when the file is what it should be, so that nobody who watches it is woken.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(file("write", folder))?;
    write_whole(path, bytes).map_err(file("write", path))
}

/// Writes a file beside its place and moves it there, so that nobody reads half of it.
///
/// # Errors
///
/// What the system says. The file that could not be finished is gone then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Two threads may write the same file.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}-{number}.part", std::process::id()));
    let beside = PathBuf::from(beside);
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What was begun may be there or not.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// The sources in cargo's dependency file: `<module>: <source> <source>…`, blanks escaped.
fn sources(list: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let text = fs::read_to_string(list).map_err(file("read", list))?;
    let line = text.lines().next().unwrap_or_default();
    let files = line.split_once(": ").map_or("", |(_, files)| files);
    Ok(files
        .replace("\\ ", "\0")
        .split(' ')
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(name.replace('\0', " ")))
        .collect())
}

fn file(action: &'static str, path: &Path) -> impl Fn(io::Error) -> BuildError {
    move |source| BuildError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

/// The SHA-256 of bytes, as 64 lower-case hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn threads_that_write_the_same_module_do_not_take_each_others_files() {
        let folder = std::env::temp_dir().join(format!("attache-guest-{}", std::process::id()));
        let bytes = vec![7; 1 << 20];
        let outcomes: Vec<_> = (0..10)
            .flat_map(|round| {
                let path = folder.join(format!("{round}.wasm"));
                let start = Barrier::new(4);
                thread::scope(|scope| {
                    let write = || {
                        start.wait();
                        write(&path, &bytes)
                    };
                    let writers = [(); 4].map(|()| scope.spawn(write));
                    writers.map(|writer| writer.join().unwrap())
                })
            })
            .collect();
        let left = fs::read_dir(&folder).unwrap().count();
        fs::remove_dir_all(&folder).unwrap();
        for outcome in outcomes {
            outcome.unwrap();
        }
        assert_eq!(left, 10, "nothing is left but the modules");
    }
}
