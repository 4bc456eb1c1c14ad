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
use serde_json::Value;

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
        bail!(
            "there is no folder `{0}` for it; `mkdir -p {0}` makes it",
            parent.display()
        );
    }
    // As cargo names it, behind links.
    let folder = parent.canonicalize()?.join(&name);
    let workspace = workspace(&folder)?;
    let root = workspace.as_ref().map(|(_, text)| text.as_str());
    if workspace.is_some() {
        check_name_is_free(parent, &name)?;
    }
    let sdk = Sdk::new(&arguments.sdk, &folder, root)?;
    let template = arguments.template;

    create(&folder, screen)?;
    if let Some((root, before)) = &workspace
        && let Err(error) = check_membership(&folder, root)
    {
        // As it was: a workspace with half a member builds nothing.
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove `{}`", folder.display()))?;
        write(root, before)?;
        return Err(error);
    }
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

/// Why cargo failed: its error, and what it was caused by in the end.
fn reason(said: &str) -> String {
    let Some(error) = said.lines().find_map(|line| line.strip_prefix("error: ")) else {
        return said.to_owned();
    };
    let causes = said.split_once("Caused by:").map(|(_, causes)| causes);
    let cause = causes.and_then(|causes| causes.lines().rfind(|line| !line.trim().is_empty()));
    cause.map_or_else(
        || error.to_owned(),
        |cause| format!("{error}: {}", cause.trim()),
    )
}

/// Cargo makes the folder, and enters it in the workspace and in the version control that are there.
fn create(folder: &Path, screen: &Screen) -> anyhow::Result<()> {
    let parent = folder.parent().unwrap_or(folder);
    let output = cargo(parent, &["new", "--lib"], Some(folder))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("cargo does not make the crate: {}", reason(&said));
    }
    for line in said.lines() {
        if let Some(what) = line.trim_start().strip_prefix("Adding ") {
            screen.stage("Adding", what);
        }
    }
    Ok(())
}

/// Two packages of one name make a workspace that cargo does not read.
fn check_name_is_free(folder: &Path, name: &str) -> anyhow::Result<()> {
    match metadata(folder)? {
        Err(said) => bail!(
            "the workspace here is broken, and a new member would not mend it; cargo says:\n{}",
            said.trim()
        ),
        Ok(workspace) => {
            let packages = workspace["packages"].as_array();
            let mut packages = packages.into_iter().flatten();
            let taken = packages.find(|package| package["name"] == name);
            match taken.and_then(|package| package["manifest_path"].as_str()) {
                Some(manifest) => bail!(
                    "the workspace has a package `{name}` already, in `{}`; choose another name",
                    Path::new(manifest).parent().unwrap_or(folder).display()
                ),
                None => Ok(()),
            }
        }
    }
}

/// A crate in a workspace's folder that is no member of it does not build.
fn check_membership(folder: &Path, root: &Path) -> anyhow::Result<()> {
    let is_member = metadata(folder)?.is_ok_and(|workspace| {
        let its_root = workspace["workspace_root"].as_str();
        its_root.map(Path::new) == root.parent()
    });
    if is_member {
        return Ok(());
    }
    bail!(
        "cargo does not take `{}` for a member of the workspace `{}`, and nothing was made; choose another \
         folder, or look at `members` and `exclude` there",
        folder.display(),
        root.display()
    )
}

/// What cargo knows of the workspace around a folder, or what it says against it.
fn metadata(folder: &Path) -> anyhow::Result<Result<Value, String>> {
    let words = ["metadata", "--no-deps", "--format-version", "1"];
    let output = cargo(folder, &words, None)?;
    Ok(match output.status.success() {
        true => Ok(
            serde_json::from_slice(&output.stdout).context("cargo does not say what is here")?
        ),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_says_is_told_with_its_last_cause() {
        let full = "    Creating library `a` package\nerror: failed to create package `a` at `/x/a`\n\n\
                    Caused by:\n  could not write\n\nCaused by:\n  No space left on device\n";
        let told = "failed to create package `a` at `/x/a`: No space left on device";
        assert_eq!(reason(full), told);
        assert_eq!(reason("error: no name\nhelp: take one\n"), "no name");
        assert_eq!(reason("killed"), "killed");
    }
}
