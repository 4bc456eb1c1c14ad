//! The filters again, whenever a source or a configuration changes.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow, bail};
use attache_envoy::{Envoy, LogLine, Plugin, Push, PushError};

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
    pub(super) serving: Serving,
}

/// What serves.
pub(super) struct Serving {
    /// What Envoy took last as a whole.
    plugins: Vec<Plugin>,
    /// Whether Envoy may serve something else: a part of a change that it did not take back.
    mixed: bool,
}

/// Hands a plugin to Envoy.
type Hand<'a> = dyn FnMut(&Plugin) -> Result<Push, PushError> + 'a;

/// What became of a change.
enum Change {
    /// Envoy took these.
    Taken(Vec<String>),
    /// Envoy refused one of them for the reasons in its log, and was given back what served before.
    Refused {
        log: Vec<LogLine>,
        took_back: anyhow::Result<Vec<String>>,
    },
}

impl Serving {
    pub(super) fn new(plugins: Vec<Plugin>) -> Self {
        Self {
            plugins,
            mixed: false,
        }
    }

    /// Hands over what differs from what serves: all of it, or none where one is not taken, as filters of one
    /// change may need each other.
    fn replace(&mut self, next: Vec<Plugin>, hand: &mut Hand<'_>) -> anyhow::Result<Change> {
        let mut names: Vec<String> = Vec::new();
        for plugin in &next {
            if !self.mixed && self.plugins.contains(plugin) {
                continue;
            }
            let refused = match hand(plugin) {
                Ok(Push::Accepted { .. }) => {
                    names.push(plugin.name.clone());
                    continue;
                }
                Ok(Push::Refused { log }) => Ok(log),
                Ok(other) => Err(anyhow!(
                    "`{}` is handed over, and Envoy says {other:?}",
                    plugin.name
                )),
                Err(error) => Err(error.into()),
            };
            if refused.is_err() {
                // It may be taken yet.
                names.push(plugin.name.clone());
            }
            let took_back = self.take_back(&names, hand);
            return match (refused, took_back) {
                (Ok(log), took_back) => Ok(Change::Refused { log, took_back }),
                (Err(error), Ok(_)) => Err(error),
                (Err(error), Err(more)) => Err(error.context(more)),
            };
        }
        self.plugins = next;
        self.mixed = false;
        Ok(Change::Taken(names))
    }

    /// Hands over again what served before, in the place of these; of all where Envoy serves a mixture.
    fn take_back(&mut self, names: &[String], hand: &mut Hand<'_>) -> anyhow::Result<Vec<String>> {
        let (mut back, mut kept) = (Vec::new(), Vec::new());
        for before in &self.plugins {
            if !self.mixed && !names.contains(&before.name) {
                continue;
            }
            match hand(before) {
                Ok(Push::Accepted { .. }) => back.push(before.name.clone()),
                _ => kept.push(format!("`{}`", before.name)),
            }
        }
        self.mixed = !kept.is_empty();
        if self.mixed {
            bail!(
                "Envoy does not take the {} back that served before",
                kept.join(", ")
            );
        }
        Ok(back)
    }

    /// After a change that came to nothing.
    fn told(&self) -> &'static str {
        match self.mixed {
            false => "what served before",
            true => {
                "perhaps a part of what was new; the next change hands all filters over again, or start anew"
            }
        }
    }
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
                screen.stage("Serving", watched.serving.told());
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
    if next == watched.serving.plugins && !watched.serving.mixed {
        screen.stage(
            "Unchanged",
            "module and configuration are what already serves",
        );
        return Ok(None);
    }
    let mut hand = |plugin: &Plugin| envoy.push(plugin, PUSH_LIMIT);
    let changed = watched.serving.replace(next, &mut hand)?;
    let names = match changed {
        Change::Taken(names) => names,
        Change::Refused { log, took_back } => {
            refused(&log, screen);
            let took_back = took_back?;
            if !took_back.is_empty() {
                screen.stage("Took back", took_back.join(", "));
            }
            return Ok(None);
        }
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plugins(configurations: [&str; 2]) -> Vec<Plugin> {
        let names = ["first", "second"].into_iter().zip(configurations);
        names
            .map(|(name, text)| Plugin::new(name, "m.wasm").configured(text))
            .collect()
    }

    fn silent(plugin: &Plugin) -> PushError {
        PushError::Unanswered {
            plugin: plugin.name.clone(),
            limit: PUSH_LIMIT,
        }
    }

    fn accepted() -> Push {
        Push::Accepted { log: Vec::new() }
    }

    #[test]
    fn what_envoy_took_is_taken_back_where_the_next_one_is_unanswered() {
        let (old, new) = (plugins(["old", "old"]), plugins(["new", "new"]));
        let mut serving = Serving::new(old.clone());
        let mut given = Vec::new();
        let change = serving.replace(new.clone(), &mut |plugin| {
            given.push(plugin.clone());
            match *plugin == new[1] {
                true => Err(silent(plugin)),
                false => Ok(accepted()),
            }
        });
        assert!(change.err().unwrap().is::<PushError>());
        assert_eq!(given, [new, old.clone()].concat());
        assert_eq!(
            (serving.told(), &serving.plugins),
            ("what served before", &old)
        );
    }

    #[test]
    fn what_is_not_taken_back_is_told_and_all_is_handed_over_with_the_next_change() {
        let (old, new) = (plugins(["old", "old"]), plugins(["new", "old"]));
        let mut serving = Serving::new(old.clone());
        let change = serving.replace(new, &mut |plugin| Err(silent(plugin)));
        let told = format!("{:#}", change.err().unwrap());
        assert!(
            told.starts_with("Envoy does not take the `first` back"),
            "{told}"
        );
        assert!(told.contains("neither accepted nor refused"), "{told}");
        assert!(!serving.told().contains("served before"));
        // What served before is no reason to leave anything out.
        let mut given = Vec::new();
        let change = serving.replace(old.clone(), &mut |plugin| {
            given.push(plugin.clone());
            Ok(accepted())
        });
        assert!(matches!(change, Ok(Change::Taken(names)) if names == ["first", "second"]));
        assert_eq!((given, serving.mixed), (old, false));
    }
}
