//! `wasm-opt` of Binaryen, where somebody asks for it.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use attache_module::Facts;

/// What Rust's modules use and Envoy's engine has: no more is written, or Envoy could not load it.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Optimises a module in its place.
pub(super) fn optimize(path: &Path, facts: &Facts) -> anyhow::Result<()> {
    let program = program();
    let part = path.with_extension(format!("wasm.{}", std::process::id()));
    let output = Command::new(&program)
        .args(["-O2", "--strip-debug"])
        .args(FEATURES)
        .arg(path)
        .arg("-o")
        .arg(&part)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "there is no `wasm-opt`; it is a program of Binaryen (npm: `npm install -g binaryen`; macOS: \
             `brew install binaryen`; Debian: `apt install binaryen`), and WASM_OPT names one that is not \
             on PATH"
        ),
        other => other.with_context(|| format!("cannot run `{}`", program.display()))?,
    };
    let optimized = match output.status.success() {
        true => checked(&part, facts),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(anyhow::anyhow!(
                "wasm-opt refuses the module: {}",
                said.trim()
            ))
        }
    };
    let written = optimized.and_then(|()| {
        fs::rename(&part, path).with_context(|| format!("cannot write `{}`", path.display()))
    });
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

/// A tool that drops an export or a section makes another module.
fn checked(path: &Path, before: &Facts) -> anyhow::Result<()> {
    let bytes = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let after = Facts::read(&bytes).context("what wasm-opt wrote cannot be loaded")?;
    let exports = |facts: &Facts| {
        let mut exports = facts.exports.clone();
        exports.sort();
        exports
    };
    if exports(&after) != exports(before)
        || after.declarations != before.declarations
        || after.description != before.description
    {
        bail!("wasm-opt took exports or sections away that a proxy needs");
    }
    Ok(())
}

fn program() -> OsString {
    env::var_os("WASM_OPT")
        .filter(|program| !program.is_empty())
        .unwrap_or_else(|| "wasm-opt".into())
}
