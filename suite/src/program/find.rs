mod mistaken;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use attache_module::{BuildError, Guest};

pub(super) use self::mistaken::mistaken;

const ENDING: &str = ".suite.yaml";

/// How many names a message lists.
const LISTED: usize = 8;

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
        if word.is_file() {
            found.push(word.clone());
            continue;
        }
        let folder = match word.is_dir() {
            true => word.clone(),
            false => of_package(word)?,
        };
        let before = found.len();
        below(&folder, &mut found)?;
        if found.len() == before {
            bail!(
                "there is no file that ends in `{ENDING}` in `{}` or below (`attache new NAME` makes a \
                 filter with one, and `attache record` makes one of traffic)",
                folder.display()
            );
        }
    }
    let mut known = std::collections::BTreeSet::new();
    found.retain(|path| known.insert(path.clone()));
    Ok(found)
}

/// The folder of the package that a word names.
fn of_package(word: &Path) -> anyhow::Result<PathBuf> {
    let shown = word.display();
    let name = word.to_string_lossy();
    // Whoever copies a place out of a message copies its line, too.
    if let Some((file, _)) = name.split_once(".yaml:") {
        bail!("there is no file `{shown}`; `attache test {file}.yaml` plays the whole of it");
    }
    let is_path = name.contains(['/', '\\', '.', ' ']);
    let guest = match is_path {
        true => None,
        false => match Guest::find(Path::new("."), &name) {
            Ok(guest) => Some(guest),
            Err(error @ BuildError::NoModule { .. }) => return Err(error.into()),
            Err(_) => None,
        },
    };
    if let Some(folder) = guest.as_ref().and_then(Guest::folder) {
        let here = std::env::current_dir().unwrap_or_default();
        return Ok(match folder.strip_prefix(&here) {
            Ok(below) if below.as_os_str().is_empty() => PathBuf::from("."),
            Ok(below) => below.to_owned(),
            Err(_) => folder,
        });
    }
    let what = match is_path {
        true => "neither a file nor a folder",
        false => "no file, no folder and no package",
    };
    let mut suites = Vec::new();
    // Only to tell of; what cannot be read is not there.
    let _ = below(Path::new("."), &mut suites);
    match &suites[..] {
        [] => bail!("there is {what} `{shown}`"),
        suites => bail!(
            "there is {what} `{shown}`; the suites here are: {}",
            listed(suites.iter().map(|path| path.display().to_string()))
        ),
    }
}

/// Names for a message, the first of them where there are many.
pub(super) fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let mut shown: Vec<String> = names.take(LISTED).collect();
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
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
