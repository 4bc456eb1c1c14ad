//! The filter again, whenever its source or its configuration changes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use attache_envoy::upstream::Upstream;
use attache_envoy::{LogLine, LogReader, Plugin, Push};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::screen::{Screen, shown};
use crate::subject::{Loaded, Subject};

use super::exchange::{Exchanges, Sample};
use super::{Place, Stage, read_configuration, seconds};

/// An editor writes a file in several steps; the last one counts.
const SETTLE: Duration = Duration::from_millis(50);
/// How often Envoy's log is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long after Envoy's word the comparison waits for the workers.
const TAKEN_UP: Duration = Duration::from_millis(50);
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
    mut files: Files,
    mut plugin: Plugin,
    show: &mut Show<'_>,
    screen: &Screen,
) -> anyhow::Result<()> {
    let mut log = stage
        .envoy
        .follow_log()
        .context("cannot read Envoy's log")?;
    loop {
        let changed = files.wait(stage, &mut log, screen)?;
        screen.stage("Changed", shown(&changed));
        match reload(watched, stage, &mut files, &mut plugin, screen) {
            Ok(Some(loaded)) => {
                let compared = watched.sample.exchange(stage, upstream);
                match compared {
                    Ok(exchanges) => show(&loaded, stage, &exchanges)?,
                    Err(error) => screen.error(&error),
                }
            }
            Ok(None) => {}
            Err(error) => {
                screen.error(&error);
                screen.stage("Serving", "the filter as it was before");
            }
        }
        // What was logged while reloading has been told, or is of no interest.
        drop(log.next_lines().context("cannot read Envoy's log")?);
    }
}

/// Makes the filter again and hands it to Envoy; `None` where the one before goes on serving.
fn reload(
    watched: &Watched<'_>,
    stage: &mut Stage,
    files: &mut Files,
    plugin: &mut Plugin,
    screen: &Screen,
) -> anyhow::Result<Option<Loaded>> {
    let begun = Instant::now();
    let configuration = watched.config.map(read_configuration).transpose()?;
    let loaded = watched.subject.load(screen)?;
    files.watch(&loaded, watched.config)?;
    let next = watched.place.plugin(&loaded, configuration)?;
    // Modules are named after their bytes, so equal plugins have equal modules.
    if next == *plugin {
        screen.stage(
            "Unchanged",
            "module and configuration are what already serves",
        );
        return Ok(None);
    }
    match stage.envoy.push(&next, PUSH_LIMIT)? {
        Push::Accepted { .. } => {
            *plugin = next;
            // Workers take the filter up by themselves, within milliseconds.
            thread::sleep(TAKEN_UP);
            let took = seconds(begun.elapsed());
            screen.stage("Reloaded", format_args!("{} after {took}", loaded.name));
            Ok(Some(loaded))
        }
        Push::Refused { log } => {
            refused(&log, screen);
            Ok(None)
        }
        _ => Ok(None),
    }
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

/// The files that a change in calls for another build.
pub(super) struct Files {
    watcher: RecommendedWatcher,
    changes: Receiver<notify::Result<notify::Event>>,
    files: BTreeSet<PathBuf>,
    /// A change from before the watch began.
    missed: Option<PathBuf>,
}

impl Files {
    /// Watches what `loaded` is made of. What was written after `since`, when the build began, has
    /// changed already.
    pub(super) fn new(
        loaded: &Loaded,
        config: Option<&Path>,
        since: SystemTime,
    ) -> anyhow::Result<Self> {
        let (events, changes) = mpsc::channel();
        let watcher = notify::recommended_watcher(move |event| {
            // When nobody listens any more, the process is about to end.
            let _ = events.send(event);
        })
        .context("cannot watch files")?;
        let mut files = Self {
            watcher,
            changes,
            files: BTreeSet::new(),
            missed: None,
        };
        files.watch(loaded, config)?;
        let written = |file: &&PathBuf| {
            let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
            modified.is_ok_and(|modified| modified > since)
        };
        // Our own module, which the build wrote, is watched only where it is the subject.
        files.missed = files.files.iter().find(written).cloned();
        Ok(files)
    }

    /// Watches the folders of all files: an editor replaces a file, and a watch on the file itself
    /// would stay with the old one.
    fn watch(&mut self, loaded: &Loaded, config: Option<&Path>) -> anyhow::Result<()> {
        let mut files = BTreeSet::new();
        for file in loaded.sources.iter().map(PathBuf::as_path).chain(config) {
            let file = std::path::absolute(file)?;
            let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
                continue;
            };
            // Events name a file by its folder's own name, past symbolic links.
            let folder = fs::canonicalize(folder)
                .with_context(|| format!("cannot watch `{}`", folder.display()))?;
            self.watcher
                .watch(&folder, RecursiveMode::NonRecursive)
                .with_context(|| format!("cannot watch `{}`", folder.display()))?;
            files.insert(folder.join(name));
        }
        self.files = files;
        Ok(())
    }

    /// Waits for a change, showing what the filter logs meanwhile.
    fn wait(
        &mut self,
        stage: &mut Stage,
        log: &mut LogReader,
        screen: &Screen,
    ) -> anyhow::Result<PathBuf> {
        let mut changed = self.missed.take();
        let mut settled = Instant::now();
        loop {
            let look = Instant::now() + if changed.is_some() { SETTLE } else { LOOK };
            while let Some(left) = look.checked_duration_since(Instant::now()) {
                match self.changes.recv_timeout(left) {
                    Ok(Ok(event)) => {
                        if let Some(file) = self.concerned(event) {
                            changed = Some(file);
                            settled = Instant::now() + SETTLE;
                        }
                    }
                    Ok(Err(error)) => screen.warn(format_args!("cannot watch files: {error}")),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => {
                        bail!("the watch on files ended by itself")
                    }
                }
            }
            if let Some(file) = &changed
                && Instant::now() >= settled
            {
                return Ok(file.clone());
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
    }

    /// The file that an event is about, if it is one of ours.
    fn concerned(&self, event: notify::Event) -> Option<PathBuf> {
        if matches!(event.kind, EventKind::Access(_)) {
            return None;
        }
        let ours = |path: &PathBuf| {
            // A new file beside the sources may be a new module of the crate.
            self.files.contains(path)
                || (path.extension().is_some_and(|ending| ending == "rs")
                    && self.files.iter().any(|file| file.parent() == path.parent()))
        };
        event.paths.into_iter().find(ours)
    }
}
