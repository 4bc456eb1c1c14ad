//! Cargo, run for a guest.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

use serde::Deserialize;

/// The target that guests are built for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The profile that guests are built with, whatever the workspace is: one unit, no unwinding (a panic
/// traps either way), no names. Of the optimisation levels, 2 burns a third less fuel than `z` in
/// auth-scrub for 2 % more bytes, and 3 is no faster.
const PROFILE: [(&str, &str); 6] = [
    ("inherits", "\"release\""),
    ("opt-level", "2"),
    ("lto", "true"),
    ("codegen-units", "1"),
    ("panic", "\"abort\""),
    ("strip", "true"),
];

/// What a coverage, lint or sanitizer run leaves in the environment for its own builds. A guest is
/// built as if that run did not exist, or the tests would not load what is shipped.
const FOREIGN: [&str; 11] = [
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_MAKEFLAGS",
    "CLIPPY_ARGS",
    "LLVM_PROFILE_FILE",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

/// The same, by prefix.
const FOREIGN_PREFIXES: [&str; 2] = ["CARGO_PROFILE_", "CARGO_TARGET_WASM32_"];

/// How a run of cargo ended.
pub(crate) struct Run {
    pub(crate) status: ExitStatus,
    pub(crate) artifacts: Vec<Artifact>,
    /// What it said on standard error.
    pub(crate) said: String,
}

/// One file that cargo made.
#[derive(Debug, Deserialize)]
pub(crate) struct Artifact {
    pub(crate) manifest_path: PathBuf,
    pub(crate) target: Target,
    pub(crate) filenames: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) kind: Vec<String>,
}

/// A package of a workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
    /// What `[package.metadata]` says.
    metadata: Option<serde_json::Value>,
}

/// What a package depends on.
#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// Its folder, where the manifest names one.
    path: Option<PathBuf>,
}

impl Package {
    /// Whether it makes a module and is one to ship; `[package.metadata.attache] fixture = true` marks one
    /// that is for tests only.
    pub(crate) fn is_filter(&self) -> bool {
        let fixture = |metadata: &serde_json::Value| metadata["attache"]["fixture"] == true;
        self.makes_module() && !self.metadata.as_ref().is_some_and(fixture)
    }

    /// Whether it makes a module.
    pub(crate) fn makes_module(&self) -> bool {
        let is_module = |target: &Target| target.kind.iter().any(|kind| kind == "cdylib");
        self.targets.iter().any(is_module)
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact(Artifact),
    #[serde(other)]
    Other,
}

/// Builds `package`, or the package in `directory` without one. What cargo says goes to `output` as
/// it comes.
pub(crate) fn build(
    directory: &Path,
    package: Option<&str>,
    color: bool,
    output: &mut dyn Write,
) -> io::Result<Run> {
    let mut command = command(directory);
    command.args(["rustc", "--profile", "wasm", "--target", TARGET, "--lib"]);
    command.args(["--message-format", "json-render-diagnostics"]);
    command.args(["--color", if color { "always" } else { "never" }]);
    command.arg("--config").arg(remapped(directory));
    for (key, value) in PROFILE {
        command
            .arg("--config")
            .arg(format!("profile.wasm.{key}={value}"));
    }
    if let Some(package) = package {
        command.args(["--package", package]);
    }
    // For the last step only, so that dependencies are shared with other builds: the linker says who
    // refers to whom, and finishing drops what nobody needs.
    command.args(["--", "-C", "link-arg=--emit-relocs"]);
    run(command, output)
}

/// A setting by which no module says where on this machine its sources were: the places that panics
/// name. In a workspace they are relative; these are the others. Cargo leaves this setting out of the
/// names of symbols, so that the bytes are the same wherever the sources are.
fn remapped(directory: &Path) -> String {
    let mut places = Vec::new();
    let packages = packages(directory).ok().and_then(Result::ok);
    let packages = packages.unwrap_or_default();
    for dependency in packages.iter().flat_map(|package| &package.dependencies) {
        if let Some(path) = &dependency.path {
            places.push((path.clone(), format!("/{}", dependency.name)));
        }
    }
    places.sort();
    places.dedup();
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    if let Some(home) = home {
        // Of these folders there is one for each registry, and every place in a dependency would name it.
        let registries = std::fs::read_dir(home.join("registry/src"));
        let registries = registries.into_iter().flatten().flatten();
        let mut registries: Vec<PathBuf> = registries.map(|folder| folder.path()).collect();
        registries.sort();
        // The last that fits is taken.
        places.push((home, "/cargo".to_owned()));
        places.extend(registries.into_iter().map(|it| (it, "/cargo".to_owned())));
    }
    let flags = places
        .iter()
        .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));
    let flags: Vec<String> = flags.map(|flag| format!("{flag:?}")).collect();
    format!("target.{TARGET}.rustflags=[{}]", flags.join(","))
}

/// The packages of the workspace that `directory` is in, or why there are none.
pub(crate) fn packages(directory: &Path) -> io::Result<Result<Vec<Package>, String>> {
    let output = command(directory)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    Ok(Ok(metadata.packages))
}

/// Cargo in `directory`, with the environment of the run that we are part of cleared.
pub(crate) fn command(directory: &Path) -> Command {
    let mut command = Command::new(cargo());
    command.current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if is_foreign(&name) {
            command.env_remove(name);
        }
    }
    command
}

fn cargo() -> OsString {
    // Cargo names itself to what it runs.
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn is_foreign(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        FOREIGN.contains(&name)
            || FOREIGN_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix))
    })
}

fn run(mut command: Command, output: &mut dyn Write) -> io::Result<Run> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().map(BufReader::new);
    let stderr = child.stderr.take().map(BufReader::new);
    let reader = thread::spawn(move || stdout.map_or_else(Vec::new, artifacts));
    let mut said = String::new();
    if let Some(stderr) = stderr {
        for line in stderr.split(b'\n') {
            let line = line?;
            said.push_str(&String::from_utf8_lossy(&line));
            said.push('\n');
            // A closed terminal is no reason to stop the build.
            let _ = output
                .write_all(&line)
                .and_then(|()| output.write_all(b"\n"));
        }
    }
    let status = child.wait()?;
    let artifacts = reader.join().unwrap_or_default();
    Ok(Run {
        status,
        artifacts,
        said,
    })
}

fn artifacts(lines: impl BufRead) -> Vec<Artifact> {
    lines
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| match serde_json::from_str(&line) {
            Ok(Message::CompilerArtifact(artifact)) => Some(artifact),
            // Other messages, and what build scripts print.
            Ok(Message::Other) | Err(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_a_coverage_or_lint_run_is_cleared() {
        for name in [
            "RUSTFLAGS",
            "RUSTC_WORKSPACE_WRAPPER",
            "LLVM_PROFILE_FILE",
            "CARGO_PROFILE_WASM_OPT_LEVEL",
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
        ] {
            assert!(is_foreign(OsStr::new(name)), "{name}");
        }
        for name in [
            "PATH",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "RUSTUP_TOOLCHAIN",
            "CARGO_TERM_COLOR",
        ] {
            assert!(!is_foreign(OsStr::new(name)), "{name}");
        }
    }
}
