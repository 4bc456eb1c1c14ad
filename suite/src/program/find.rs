use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

const ENDING: &str = ".suite.yaml";

/// Whether a word names a suite.
pub(crate) fn is_suite(path: &Path) -> bool {
    path.to_string_lossy().ends_with(ENDING)
}

/// The suites that the words on the command line name, in order, each once.
pub(crate) fn suites(words: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let here = [PathBuf::from(".")];
    let words = if words.is_empty() { &here } else { words };
    let mut found = Vec::new();
    for word in words {
        let before = found.len();
        if word.is_dir() {
            below(word, &mut found)?;
            if found.len() == before {
                bail!(
                    "there is no file that ends in `{ENDING}` in `{}` or below",
                    word.display()
                );
            }
        } else if word.is_file() {
            found.push(word.clone());
        } else {
            bail!("there is neither a file nor a folder `{}`", word.display());
        }
    }
    let mut known = std::collections::BTreeSet::new();
    found.retain(|path| known.insert(path.clone()));
    Ok(found)
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let cannot = || format!("cannot read the folder `{}`", folder.display());
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        entries.push(entry.with_context(cannot)?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let path = path.strip_prefix("./").map(Path::to_owned).unwrap_or(path);
        // A link to a folder above would never end.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder
            && !name.starts_with('.')
            && !matches!(name.as_str(), "target" | "node_modules")
        {
            below(&path, found)?;
        } else if name.ends_with(ENDING) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}
