//! The filter again, whenever its source or its configuration changes.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use attache_envoy::upstream::Upstream;
use attache_envoy::{LogLine, Plugin, Push};

use crate::screen::{Screen, shown};
use crate::subject::{Loaded, Subject};
use crate::watch::Watch;

use super::exchange::{Exchanges, Sample};
use super::{Place, Stage, read_configuration, seconds};

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
    echo: Option<&Upstream>,
    mut files: Watch,
    mut plugin: Plugin,
    show: &mut Show<'_>,
    screen: &Screen,
) -> anyhow::Result<()> {
    let mut log = stage
        .envoy
        .follow_log()
        .context("cannot read Envoy's log")?;
    loop {
        let changed = files.wait(screen, &mut || {
            for line in log.next_lines().context("cannot read Envoy's log")? {
                screen.stage("Envoy", line);
            }
            if let Some(ended) = stage.envoy.ended().context("cannot wait for Envoy")? {
                bail!(
                    "Envoy ended by itself with {ended}; its log is `{}`",
                    stage.envoy.log_path().display()
                );
            }
            Ok(())
        })?;
        screen.stage("Changed", shown(&changed));
        match reload(watched, stage, &mut files, &mut plugin, screen) {
            Ok(Some(loaded)) => {
                let compared = watched.sample.exchange(stage, echo);
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

/// Watches what a module is made of, and its configuration. What was written after `since`, when the
/// build began, has changed already.
pub(super) fn watch(
    loaded: &Loaded,
    config: Option<&Path>,
    since: SystemTime,
) -> anyhow::Result<Watch> {
    let mut files = Watch::new()?;
    files.set(made_of(loaded, config))?;
    // Our own module, which the build wrote, is watched only where it is the subject.
    files.look_back(since);
    Ok(files)
}

fn made_of<'a>(loaded: &'a Loaded, config: Option<&'a Path>) -> impl Iterator<Item = &'a Path> {
    let sources = loaded.sources.iter().map(AsRef::as_ref);
    sources.chain(config)
}

/// Makes the filter again and hands it to Envoy; `None` where the one before goes on serving.
fn reload(
    watched: &Watched<'_>,
    stage: &mut Stage,
    files: &mut Watch,
    plugin: &mut Plugin,
    screen: &Screen,
) -> anyhow::Result<Option<Loaded>> {
    let begun = Instant::now();
    let configuration = watched.config.map(read_configuration).transpose()?;
    let loaded = watched.subject.load(screen)?;
    files.set(made_of(&loaded, watched.config))?;
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
