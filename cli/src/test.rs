//! `attache test`: the program `attache-test`, once, or again and again.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use attache_module::UNREAD;

use crate::handover::TEST;
use crate::screen::{Screen, shown};
use crate::watch::Watch;

/// The files that a change in calls for another play.
const ENDINGS: [&str; 6] = ["json", "rs", "textpb", "toml", "wasm", "yaml"];

/// What clap exits with for arguments that it cannot read.
const NOT_UNDERSTOOD: u8 = 2;

/// Runs the program with these arguments, and returns its exit status. With `--watch` among them, runs
/// it again and again.
pub(crate) fn test(arguments: &[OsString], screen: &Screen) -> anyhow::Result<u8> {
    let (watch, others): (Vec<OsString>, Vec<OsString>) = arguments
        .iter()
        .cloned()
        .partition(|argument| argument == "--watch");
    // The program has other verbs, and a folder may be called like one of them.
    let others: Vec<OsString> = [OsString::from("test")].into_iter().chain(others).collect();
    if watch.is_empty() {
        return TEST.run(&others, screen);
    }
    let mut watch = Watch::new()?;
    loop {
        let since = SystemTime::now();
        let status = TEST.run(&others, screen)?;
        // No change of a file makes these words good, or brings a reader back.
        if [NOT_UNDERSTOOD, UNREAD].contains(&status) {
            return Ok(status);
        }
        let files = below(Path::new("."));
        watch.set(files.iter().map(PathBuf::as_path))?;
        watch.look_back(since);
        screen.stage("Watching", format_args!("{} files", files.len()));
        let changed = watch.wait(screen, &mut || Ok(()))?;
        screen.stage("Changed", shown(&changed));
    }
}

/// The files of these kinds in a folder and below, but for what is built.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            // A link to a folder above would never end.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let ours = path.extension().and_then(OsStr::to_str);
            if is_folder && !name.starts_with('.') && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if !is_folder && ours.is_some_and(|ending| ENDINGS.contains(&ending)) {
                files.push(path);
            }
        }
    }
    files
}
