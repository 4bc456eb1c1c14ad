//! The filter again, whenever its source or its configuration changes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use attache_envoy::upstream::Upstream;
use attache_envoy::{LogLine, LogReader, Plugin, Push};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::screen::Screen;
use crate::subject::{Loaded, Subject};

use super::exchange::{Exchanges, Sample};
use super::{Place, Stage, read_configuration, seconds};

/// An editor writes a file in several steps; the last one counts.
const SETTLE: Duration = Duration::from_millis(50);
/// How often Envoy's log is looked at.
const LOOK: Duration = Duration::from_millis(250);
const PUSH_LIMIT: Duration = Duration::from_secs(20);

/// What the filter is made of.
pub(super) struct Watched<'a> {
    pub(super) subject: &'a Subject,
    pub(super) config: Option<&'a Path>,
    pub(super) place: &'a Place,
    pub(super) sample: &'a Sample,
}

/// What to do with a comparison of the filter as it is now.
pub(super) type Show<'a> = dyn FnMut(&Loaded, &Stage, &Exchanges) -> anyhow::Result<()> + 'a;

/// Reloads until Ctrl-C ends the process. Ends by itself only when Envoy does.
pub(super) fn until_interrupted(
    watched: &Watched<'_>,
    stage: &mut Stage,
    upstream: &Upstream,
    (mut loaded, mut plugin): (Loaded, Plugin),
    show: &mut Show<'_>,
    screen: &Screen,
) -> anyhow::Result<()> {
    let (events, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event| {
        // When nobody listens any more, the process is about to end.
        let _ = events.send(event);
    })
    .context("cannot watch files")?;
    let mut files = watch(&mut watcher, &loaded, watched.config)?;
    let mut log = stage
        .envoy
        .follow_log()
        .context("cannot read Envoy's log")?;

    loop {
        let changed = wait(&changes, &files, stage, &mut log, screen)?;
        screen.stage("Changed", changed.display());
        let begun = Instant::now();
        match remake(watched, screen) {
            Ok((made, next)) => {
                // Modules are named after their bytes, so equal plugins have equal modules.
                let unchanged = next == plugin;
                loaded = made;
                if unchanged {
                    screen.stage(
                        "Unchanged",
                        "module and configuration are what already serves",
                    );
                } else {
                    match stage.envoy.push(&next, PUSH_LIMIT)? {
                        Push::Accepted { .. } => {
                            plugin = next;
                            screen.stage(
                                "Reloaded",
                                format_args!("{} after {}", loaded.name, seconds(begun.elapsed())),
                            );
                            let exchanges = watched.sample.exchange(stage, upstream)?;
                            show(&loaded, stage, &exchanges)?;
                        }
                        Push::Refused { log } => refused(&log, screen),
                        _ => {}
                    }
                }
                files = watch(&mut watcher, &loaded, watched.config)?;
                // What was logged while reloading has been told, or is of no interest.
                drop(log.next_lines().context("cannot read Envoy's log")?);
            }
            Err(error) => {
                screen.error(&error);
                screen.stage("Serving", "the filter as it was before");
            }
        }
    }
}

fn remake(watched: &Watched<'_>, screen: &Screen) -> anyhow::Result<(Loaded, Plugin)> {
    let configuration = watched.config.map(read_configuration).transpose()?;
    let loaded = watched.subject.load(screen)?;
    let plugin = watched.place.plugin(&loaded, configuration)?;
    Ok((loaded, plugin))
}

fn refused(log: &[LogLine], screen: &Screen) {
    screen.warn("Envoy refused the new filter; the one before goes on serving");
    let own = |line: &&LogLine| line.message.starts_with("wasm log ");
    let filter_spoke = log.iter().any(|line| own(&line));
    // Envoy repeats itself, once a thread; the filter's own word says most.
    let lines: BTreeSet<String> = log
        .iter()
        .filter(|line| !filter_spoke || own(line))
        .map(ToString::to_string)
        .collect();
    for line in lines {
        screen.stage("Envoy", line);
    }
}

/// Watches the folders of all files: an editor replaces a file, and a watch on the file itself would
/// stay with the old one.
fn watch(
    watcher: &mut RecommendedWatcher,
    loaded: &Loaded,
    config: Option<&Path>,
) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for file in loaded.sources.iter().map(PathBuf::as_path).chain(config) {
        let file = std::path::absolute(file)?;
        if let Some(folder) = file.parent() {
            watcher
                .watch(folder, RecursiveMode::NonRecursive)
                .with_context(|| format!("cannot watch `{}`", folder.display()))?;
        }
        files.insert(file);
    }
    Ok(files)
}

/// Waits for a change of one of `files`, showing what the filter logs meanwhile.
fn wait(
    changes: &Receiver<notify::Result<notify::Event>>,
    files: &BTreeSet<PathBuf>,
    stage: &mut Stage,
    log: &mut LogReader,
    screen: &Screen,
) -> anyhow::Result<PathBuf> {
    let mut changed: Option<PathBuf> = None;
    loop {
        let limit = if changed.is_some() { SETTLE } else { LOOK };
        match changes.recv_timeout(limit) {
            Ok(Ok(event)) => {
                if !matches!(event.kind, EventKind::Access(_)) {
                    let known = |path: &PathBuf| {
                        // A new file beside the sources may be a new module of the crate.
                        files.contains(path)
                            || (path.extension().is_some_and(|ending| ending == "rs")
                                && files.iter().any(|file| file.parent() == path.parent()))
                    };
                    changed = event.paths.into_iter().find(known).or(changed);
                }
            }
            Ok(Err(error)) => screen.warn(format_args!("cannot watch files: {error}")),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(changed) = changed {
                    return Ok(changed);
                }
                for line in log.next_lines().context("cannot read Envoy's log")? {
                    screen.stage("Envoy", line);
                }
                if let Some(ended) = stage.envoy.ended().context("cannot wait for Envoy")? {
                    bail!(
                        "Envoy ended by itself with {ended}; its log is `{}`",
                        stage.envoy.log_path().display()
                    );
                }
            }
            Err(RecvTimeoutError::Disconnected) => bail!("the watch on files ended by itself"),
        }
    }
}
