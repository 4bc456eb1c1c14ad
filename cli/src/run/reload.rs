//! The filters again, whenever a source or a configuration changes.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use attache_envoy::{Envoy, LogLine, Plugin, Push};

use crate::screen::{Screen, shown};
use crate::subject::Loaded;
use crate::watch::Watch;

use super::chain::{self, Place, Wanted};
use super::seconds;

/// How long after Envoy's word the comparison waits for the workers.
const TAKEN_UP: Duration = Duration::from_millis(50);
const PUSH_LIMIT: Duration = Duration::from_secs(20);

/// What the filters are made of, and what serves of them.
pub(super) struct Watched<'a> {
    pub(super) wanted: &'a [Wanted],
    pub(super) place: &'a Place,
    pub(super) plugins: Vec<Plugin>,
}

/// What to do with the filters as they are now.
pub(super) type Show<'a> = dyn FnMut(&[Loaded], &Envoy) -> anyhow::Result<()> + 'a;

/// Reloads until Ctrl-C ends the process. Ends by itself only when Envoy does.
pub(super) fn until_interrupted(
    watched: &mut Watched<'_>,
    envoy: &mut Envoy,
    mut files: Watch,
    show: &mut Show<'_>,
    meanwhile: &mut dyn FnMut(&Envoy) -> anyhow::Result<()>,
    screen: &Screen,
) -> anyhow::Result<()> {
    let mut log = envoy.follow_log().context("cannot read Envoy's log")?;
    loop {
        let changed = files.wait(screen, &mut || {
            meanwhile(envoy)?;
            for line in log.next_lines().context("cannot read Envoy's log")? {
                screen.stage("Envoy", line);
            }
            if let Some(ended) = envoy.ended().context("cannot wait for Envoy")? {
                bail!(
                    "Envoy ended by itself with {ended}; its log is `{}`",
                    envoy.log_path().display()
                );
            }
            Ok(())
        })?;
        screen.stage("Changed", shown(&changed));
        match reload(watched, envoy, &mut files, screen) {
            Ok(Some(loaded)) => show(&loaded, envoy)?,
            Ok(None) => {}
            Err(error) => {
                screen.error(error.as_ref());
                screen.stage("Serving", "what served before");
            }
        }
        // What was logged while reloading has been told, or is of no interest.
        drop(log.next_lines().context("cannot read Envoy's log")?);
    }
}

/// Watches what modules are made of, and their configurations. What was written after `since`, when the
/// build began, has changed already.
pub(super) fn watch(
    loaded: &[Loaded],
    wanted: &[Wanted],
    since: SystemTime,
) -> anyhow::Result<Watch> {
    let mut files = Watch::new()?;
    files.set(made_of(loaded, wanted))?;
    // Our own modules, which the build wrote, are watched only where they are the subject.
    files.look_back(since);
    Ok(files)
}

fn made_of<'a>(loaded: &'a [Loaded], wanted: &'a [Wanted]) -> impl Iterator<Item = &'a Path> {
    let sources = loaded.iter().flat_map(|one| &one.sources);
    let configs = wanted.iter().filter_map(|one| one.config.as_deref());
    sources.map(AsRef::as_ref).chain(configs)
}

/// Makes the filters again and hands those that differ to Envoy; `None` where what served goes on serving.
fn reload(
    watched: &mut Watched<'_>,
    envoy: &mut Envoy,
    files: &mut Watch,
    screen: &Screen,
) -> anyhow::Result<Option<Vec<Loaded>>> {
    let begun = Instant::now();
    for one in watched.wanted {
        one.configuration()?;
    }
    let loaded = chain::load(watched.wanted, screen)?;
    files.set(made_of(&loaded, watched.wanted))?;
    let next = watched.place.plugins(&loaded, watched.wanted)?;
    // Modules are named after their bytes, so equal plugins have equal modules.
    if next == watched.plugins {
        screen.stage(
            "Unchanged",
            "module and configuration are what already serves",
        );
        return Ok(None);
    }
    let mut names: Vec<String> = Vec::new();
    for (next, serves) in next.iter().zip(&watched.plugins) {
        if next == serves {
            continue;
        }
        let pushed = envoy.push(next, PUSH_LIMIT)?;
        if matches!(pushed, Push::Accepted { .. }) {
            names.push(next.name.clone());
            continue;
        }
        // All that changed, or nothing: filters of one change may need each other.
        for before in &watched.plugins {
            if names.contains(&before.name)
                && !matches!(envoy.push(before, PUSH_LIMIT)?, Push::Accepted { .. })
            {
                bail!(
                    "Envoy does not take the `{}` back that served before; start anew",
                    before.name
                );
            }
        }
        if let Push::Refused { log } = pushed {
            refused(&log, screen);
        }
        if !names.is_empty() {
            screen.stage("Took back", names.join(", "));
        }
        return Ok(None);
    }
    watched.plugins = next;
    // Workers take the filter up by themselves, within milliseconds.
    thread::sleep(TAKEN_UP);
    let took = seconds(begun.elapsed());
    screen.stage(
        "Reloaded",
        format_args!("{} after {took}", names.join(", ")),
    );
    Ok(Some(loaded))
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
