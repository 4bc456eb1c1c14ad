//! The modules that are measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use attache_module::{Guest, without_exports};
use serde_json::Value;

/// The callbacks of an HTTP filter, of which a work names those that it needs.
const CALLBACKS: [&str; 20] = [
    "proxy_on_done",
    "proxy_on_downstream_connection_close",
    "proxy_on_downstream_data",
    "proxy_on_foreign_function",
    "proxy_on_grpc_close",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_new_connection",
    "proxy_on_queue_ready",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_body",
    "proxy_on_response_headers",
    "proxy_on_response_trailers",
    "proxy_on_tick",
    "proxy_on_upstream_connection_close",
    "proxy_on_upstream_data",
];

/// Builds modules and puts them into a folder.
pub(crate) struct Modules<'a> {
    root: &'a Path,
    folder: &'a Path,
}

impl<'a> Modules<'a> {
    pub(crate) fn new(root: &'a Path, folder: &'a Path) -> Self {
        Self { root, folder }
    }

    /// A package of the project, as it is shipped.
    pub(crate) fn shipped(&self, package: &str) -> anyhow::Result<PathBuf> {
        self.finished(self.root, package)
    }

    /// A package of the bench, written with the SDK.
    pub(crate) fn sdk(&self, work: &str) -> anyhow::Result<PathBuf> {
        self.finished(&self.root.join("bench"), &format!("sdk-{work}"))
    }

    /// One written against the imports.
    pub(crate) fn raw(&self, work: &str) -> anyhow::Result<PathBuf> {
        let package = format!("raw-{work}");
        self.keep(&package, &self.as_its_users_build(&package)?)
    }

    /// All works as a shared library for Envoy's own process.
    pub(crate) fn dynamic(&self) -> anyhow::Result<PathBuf> {
        let path = self.folder.join("libdynamic.so");
        std::fs::write(&path, self.built("dynamic", None, "so")?)?;
        Ok(path)
    }

    /// One written against the bare crate, as its users build it, and with no more callbacks than `needed`
    /// besides that for request headers.
    pub(crate) fn bare(&self, work: &str, needed: &[&str]) -> anyhow::Result<(PathBuf, PathBuf)> {
        let package = format!("bare-{work}");
        let bytes = self.as_its_users_build(&package)?;
        let unused: Vec<&str> = CALLBACKS
            .into_iter()
            .filter(|callback| !needed.contains(callback))
            .collect();
        let pruned = without_exports(&bytes, &unused)?;
        Ok((
            self.keep(&package, &bytes)?,
            self.keep(&format!("{package}-pruned"), &pruned)?,
        ))
    }

    fn finished(&self, workspace: &Path, package: &str) -> anyhow::Result<PathBuf> {
        let mut notice = |notice| eprintln!("{notice}");
        let built = Guest::in_workspace(workspace, Some(package)).build(&mut notice)?;
        self.keep(package, &built.bytes)
    }

    /// Writes a module where nothing replaces it while Envoy runs.
    pub(crate) fn keep(&self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(format!("{name}.wasm"));
        std::fs::write(&path, bytes)?;
        Ok(path)
    }

    /// The module of a package that is built without the project's own tools: cargo's release profile.
    fn as_its_users_build(&self, package: &str) -> anyhow::Result<Vec<u8>> {
        self.built(package, Some("wasm32-unknown-unknown"), "wasm")
    }

    /// What cargo makes of a package of the bench for a target, or for this machine: the file with this ending.
    fn built(&self, package: &str, target: Option<&str>, ending: &str) -> anyhow::Result<Vec<u8>> {
        let output = Command::new("cargo")
            .current_dir(self.root.join("bench"))
            .args(["build", "--release", "--package", package])
            .args(["--message-format", "json"])
            .args(target.map(|target| format!("--target={target}")))
            .output()
            .context("cannot run cargo")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "cargo cannot build {package}:\n{said}"
        );
        let messages = String::from_utf8(output.stdout)?;
        let module = messages.lines().rev().find_map(|line| {
            let message: Value = serde_json::from_str(line).ok()?;
            let files = message["filenames"].as_array()?;
            let mut paths = files.iter().filter_map(Value::as_str).map(PathBuf::from);
            paths.rfind(|path| path.extension().is_some_and(|e| e == ending))
        });
        let module = module.with_context(|| format!("cargo made no .{ending} of {package}"))?;
        Ok(std::fs::read(module)?)
    }
}
