//! The manifest of a new crate, and what others say that it depends on.

use std::path::Path;

use super::sdk::Sdk;
use super::template::Template;

/// The manifest of this repository: versions and lints stand there, once.
const OURS: &str = include_str!("../../../Cargo.toml");

/// What a new crate's manifest says. `workspace` is the manifest of the workspace that it is in.
pub(super) fn text(
    name: &str,
    template: &Template,
    sdk: &Sdk,
    folder: &Path,
    workspace: Option<&str>,
) -> String {
    let about = template.about();
    let edition = ours("workspace.package", "edition");
    let rust_version = ours("workspace.package", "rust-version");
    let dependency = |package: &str| {
        if package.starts_with("attache") {
            return sdk.line(package, folder, workspace);
        }
        match workspace {
            Some(text) if has_dependency(text, package) => format!("{package}.workspace = true"),
            _ => format!("{package} = {}", ours("workspace.dependencies", package)),
        }
    };
    let mut lines = vec![
        "[package]".to_owned(),
        format!("name = \"{name}\""),
        "version = \"0.1.0\"".to_owned(),
        format!("description = {:?}", sentence(about)),
        format!("edition = {edition}"),
        format!("rust-version = {rust_version}"),
        "publish = false".to_owned(),
        String::new(),
        "[lib]".to_owned(),
        "crate-type = [\"cdylib\", \"rlib\"]".to_owned(),
        String::new(),
        "[dependencies]".to_owned(),
    ];
    lines.extend(template.dependencies().map(dependency));
    lines.push(String::new());
    lines.push("[dev-dependencies]".to_owned());
    lines.extend(["attache-harness", "attache-suite"].map(dependency));
    lines.push(String::new());
    if workspace.is_some_and(|text| {
        text.lines()
            .any(|line| line.starts_with("[workspace.lints"))
    }) {
        lines.push("[lints]\nworkspace = true".to_owned());
    } else {
        lines.push(lints());
    }
    lines.join("\n") + "\n"
}

/// A filter that panics costs a worker its VM: the lints keep it from what panics.
fn lints() -> String {
    let mut lines = Vec::new();
    for tool in ["rust", "clippy"] {
        lines.push(format!("[lints.{tool}]"));
        lines.extend(
            table(OURS, &format!("workspace.lints.{tool}"))
                .filter(|line| !line.is_empty())
                .map(str::to_owned),
        );
        lines.push(String::new());
    }
    lines.pop();
    lines.join("\n")
}

/// What our own manifest says of a key, without the comment behind it.
fn ours(name: &str, key: &str) -> &'static str {
    table(OURS, name)
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
        .map(|value| value.split(" #").next().unwrap_or(value).trim_end())
        .next()
        .unwrap_or("\"*\"")
}

/// The lines of a table of a manifest.
pub(super) fn table<'a>(manifest: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let header = format!("[{name}]");
    manifest
        .lines()
        .map(str::trim)
        .skip_while(move |line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Whether the manifest of a workspace names a package for its members.
pub(super) fn has_dependency(manifest: &str, package: &str) -> bool {
    let own = format!("[workspace.dependencies.{package}]");
    table(manifest, "workspace.dependencies")
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .any(|key| key.trim_matches('"') == package)
        || manifest.lines().any(|line| line.trim() == own)
}

/// Whether a manifest makes a workspace.
pub(super) fn is_workspace(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    lines.any(|line| line == "[workspace]" || line.starts_with("[workspace."))
}

fn sentence(about: &str) -> String {
    let mut letters = about.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_known() {
        for template in &super::super::template::TEMPLATES {
            let sdk = Sdk::Version("1.2.3".to_owned());
            let text = text("x", template, &sdk, Path::new("/w/x"), None);
            assert!(!text.contains("\"*\""), "{text}");
            assert!(text.contains("\nattache = \"1.2.3\"\nserde = "), "{text}");
            assert!(text.contains("\nunwrap_used = "), "{text}");
            assert!(!text.contains('#'), "{text}");
        }
    }

    #[test]
    fn a_workspace_is_told_from_a_package() {
        assert!(is_workspace("[workspace]\n"));
        assert!(is_workspace("[workspace.dependencies]\n"));
        assert!(!is_workspace("[package]\nname = \"workspace\"\n"));
    }

    #[test]
    fn what_a_workspace_has_is_taken_from_it() {
        let root = "[workspace]\n[workspace.dependencies]\nserde = \"1\"\n\
                    [workspace.lints.clippy]\ntodo = \"warn\"\n";
        let template = &super::super::template::TEMPLATES[0];
        let sdk = Sdk::Path("/w/attache".into());
        let text = text("x", template, &sdk, Path::new("/w/x"), Some(root));
        assert!(text.contains("serde.workspace = true\n"), "{text}");
        assert!(
            text.contains("attache = { path = \"../attache/sdk\" }\n"),
            "{text}"
        );
        assert!(text.ends_with("[lints]\nworkspace = true\n"), "{text}");
    }
}
