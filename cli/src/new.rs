//! `attache new`: a filter's crate that builds, passes its tests and runs.

mod manifest;
mod name;
mod sdk;
mod template;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, bail};

use crate::arguments::New;
use crate::screen::{Screen, Tone};

use self::sdk::Sdk;
pub(crate) use self::template::{TEMPLATES, Template, find};

const TOOLCHAIN: &str = include_str!("../../rust-toolchain.toml");

/// `attache new`
pub(crate) fn new(arguments: &New, screen: &Screen) -> anyhow::Result<()> {
    let folder = std::path::absolute(&arguments.path)
        .with_context(|| format!("`{}` is not a path", arguments.path.display()))?;
    let name = match arguments.path.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => bail!(
            "`{}` has no name at its end; expected `attache new NAME`",
            arguments.path.display()
        ),
    };
    name::check(&name)?;
    if folder.exists() {
        bail!(
            "`{}` exists already; choose another name",
            arguments.path.display()
        );
    }
    let parent = folder.parent().unwrap_or(&folder);
    if !parent.is_dir() {
        bail!("there is no folder `{}` for it", parent.display());
    }
    // As cargo names it, behind links.
    let folder = parent.canonicalize()?.join(&name);
    let workspace = workspace(&folder)?;
    let root = workspace.as_ref().map(|(_, text)| text.as_str());
    let sdk = Sdk::new(&arguments.sdk, &folder, root)?;
    let template = arguments.template;

    create(&folder, screen)?;
    let text = manifest::text(&name, template, &sdk, &folder, root);
    write(&folder.join("Cargo.toml"), &text)?;
    write(&folder.join(".gitignore"), "/target\n")?;
    if root.is_none() {
        write(&folder.join("rust-toolchain.toml"), TOOLCHAIN)?;
    }
    for (path, text) in template.files(&name) {
        write(&folder.join(path), &text)?;
    }
    screen.stage(
        "Created",
        format_args!("`{name}`, from the template `{}`", template.name),
    );
    if let Some((root, _)) = workspace {
        check_membership(&folder, &root, screen)?;
    }
    screen.print(&next(arguments, template, screen))?;
    Ok(())
}

/// The manifest of the workspace that a folder will be in, and its text.
fn workspace(folder: &Path) -> anyhow::Result<Option<(PathBuf, String)>> {
    for above in folder.ancestors().skip(1) {
        let path = above.join("Cargo.toml");
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        if manifest::is_workspace(&text) {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

/// Cargo makes the folder, and enters it in the workspace and in the version control that are there.
fn create(folder: &Path, screen: &Screen) -> anyhow::Result<()> {
    let parent = folder.parent().unwrap_or(folder);
    let output = cargo(parent, &["new", "--lib"], Some(folder))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let error = said.lines().find_map(|line| line.strip_prefix("error: "));
        bail!("cargo does not make the crate: {}", error.unwrap_or(&said));
    }
    for line in said.lines() {
        if let Some(what) = line.trim_start().strip_prefix("Adding ") {
            screen.stage("Adding", what);
        }
    }
    Ok(())
}

/// A crate in a workspace's folder that is no member of it does not build.
fn check_membership(folder: &Path, root: &Path, screen: &Screen) -> anyhow::Result<()> {
    let output = cargo(
        folder,
        &["metadata", "--no-deps", "--format-version", "1"],
        None,
    )?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        screen.warn(format_args!(
            "cargo does not take it for a member of the workspace; look at `members` and `exclude` in \
             `{}`:\n{}",
            root.display(),
            said.trim()
        ));
    }
    Ok(())
}

fn cargo(directory: &Path, words: &[&str], path: Option<&Path>) -> anyhow::Result<Output> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(directory).args(words).args(path);
    command.env("CARGO_TERM_COLOR", "never");
    command
        .output()
        .context("cannot run cargo (install Rust with rustup, https://rustup.rs)")
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let cannot = || format!("cannot write `{}`", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(cannot)?;
    }
    fs::write(path, text).with_context(cannot)
}

/// What to do next.
fn next(arguments: &New, template: &Template, screen: &Screen) -> String {
    let mut lines = vec![format!("cd {}", arguments.path.display())];
    let mut add = |command: &str, what: &str| lines.push(format!("{command:<38}{what}"));
    add("attache test", "plays its suite, without a proxy");
    if template.runs() {
        add(
            "attache run . --config config.json",
            "runs it in a real Envoy",
        );
    }
    add("attache build", "builds the module to ship");
    add("cargo test", "its tests; the first time builds the harness");
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("{}\n{lines}", screen.tint(Tone::Strong, "Next:"))
}
