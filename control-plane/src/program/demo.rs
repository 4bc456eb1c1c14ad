//! `attache demo`: a filter is reloaded under load.

mod arguments;
mod companions;
mod load;
mod stage;
mod topology;
mod view;

use std::io::IsTerminal;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use attache_control_plane::Timestamp;
use attache_control_plane::status::{Phase, RolloutStatus};

pub(super) use self::arguments::Demo;
use self::load::{Counts, Load};
use self::stage::{NAME, Stage};
use self::view::{Frame, Moment};
use super::screen::{Paint, print};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a version may take until it answers everything.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn demo(demo: &Demo) -> anyhow::Result<()> {
    let stage = Stage::start(demo)?;
    let load = Load::start(stage.listener, demo.rate.get());
    let effect = match demo.once {
        true => Some(change(&stage, &load)),
        false => {
            watch(&stage, &load)?;
            None
        }
    };
    let counts = load.stop();
    stage.end()?;
    let effect = effect.transpose()?;
    let all = counts.answered + counts.lost;
    print(&match (demo.json, &effect) {
        (true, Some(effect)) => effect.json(&counts)?,
        (_, Some(effect)) => effect.text(&counts),
        _ => format!("\n{all} requests, {} failed\n", counts.lost),
    })?;
    match (counts.lost, counts.last_loss) {
        (0, _) => Ok(()),
        (lost, reason) => bail!(
            "{lost} of {all} requests failed, the last one because: {}",
            reason.unwrap_or_default()
        ),
    }
}

/// Shows what happens until Ctrl-C.
fn watch(stage: &Stage, load: &Load) -> anyhow::Result<()> {
    let frame = Frame {
        envoy: format!("{}, two workers", stage.version),
        requests: format!("http://{}/", stage.listener),
        api: format!("http://{}/", stage.api),
        file: shown(&stage.file),
        beside: stage
            .companions
            .iter()
            .map(|one| (one.name, one.told()))
            .collect(),
    };
    let live = std::io::stdout().is_terminal();
    if !live {
        print(&format!("change {}\n", frame.file))?;
    }
    let mut before = String::new();
    stage.runtime.block_on(async {
        let mut end = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            show(stage, load, &frame, live, &mut before)?;
            let pause = tokio::time::sleep(LOOK_EVERY);
            tokio::select! {
                done = &mut end => return done.context("cannot wait for the end"),
                () = pause => {}
            }
        }
    })
}

fn show(
    stage: &Stage,
    load: &Load,
    frame: &Frame,
    live: bool,
    before: &mut String,
) -> anyhow::Result<()> {
    let (counts, recent) = (load.counts(), load.recent());
    let (rollout, history) = (stage.plane.rollout(NAME), stage.plane.history(NAME));
    let faults = stage.plane.status().faults;
    let moment = Moment {
        counts: &counts,
        recent: &recent,
        rollout: rollout.as_ref(),
        history: history.as_ref(),
        faults: &faults,
        now: Timestamp::now(),
    };
    if live {
        let screen = frame.screen(&moment, Paint::of_output());
        return Ok(print(&format!("\x1b[H\x1b[2J{screen}"))?);
    }
    let line = view::line(&moment);
    if line != *before {
        print(&format!("{line}\n"))?;
        *before = line;
    }
    Ok(())
}

/// What came of one change.
struct Effect {
    /// From the change to the first answer of the new version.
    first: Duration,
    /// From the change to the last answer of the old one.
    last: Duration,
    phase: Phase,
}

/// Changes the file, and waits until the new version answers everything.
fn change(stage: &Stage, load: &Load) -> anyhow::Result<Effect> {
    let before = wait(stage, load, "one", |_| true)?;
    let changed = Instant::now();
    stage::change(&stage.file, "two")?;
    let after = wait(stage, load, "two", |rollout| {
        rollout.declared.configuration != before.declared.configuration
    })?;
    let counts = load.counts();
    let of = |word: &str| counts.words.get(word).copied();
    let (Some((first, _)), Some((_, last))) = (of("two"), of("one")) else {
        bail!("a version answered nothing");
    };
    Ok(Effect {
        first: first.saturating_duration_since(changed),
        last: last.saturating_duration_since(changed),
        phase: after.phase,
    })
}

/// Waits until a version serves, and nothing else answers.
fn wait(
    stage: &Stage,
    load: &Load,
    word: &str,
    declared: impl Fn(&RolloutStatus) -> bool,
) -> anyhow::Result<RolloutStatus> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rollout = stage.plane.rollout(NAME);
        let words = load.recent().words;
        let alone = words.len() == 1 && words.contains_key(word);
        match rollout {
            Some(rollout) if alone && declared(&rollout) && serves(&rollout) => return Ok(rollout),
            rollout if Instant::now() > deadline => {
                let (phase, reason) = match rollout {
                    Some(rollout) => (rollout.phase.name(), rollout.reason.unwrap_or_default()),
                    None => (
                        "unknown",
                        "the control plane has not read the file".to_owned(),
                    ),
                };
                bail!(
                    "the version that answers `{word}` took no effect within {} s; it is {phase}: {reason}",
                    PATIENCE.as_secs()
                );
            }
            _ => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn serves(rollout: &RolloutStatus) -> bool {
    let settled = [Phase::Confirmed, Phase::AcknowledgedUnconfirmed].contains(&rollout.phase);
    let serving = rollout.serving.as_ref();
    settled && serving.is_some_and(|it| it.configuration == rollout.declared.configuration)
}

impl Effect {
    fn text(&self, counts: &Counts) -> String {
        format!(
            "the new version is {}: its first answer came {} ms after the change, the last one of the old \
             version {} ms after it\n{} requests, {} failed\n",
            self.phase.name(),
            self.first.as_millis(),
            self.last.as_millis(),
            counts.answered + counts.lost,
            counts.lost,
        )
    }

    fn json(&self, counts: &Counts) -> anyhow::Result<String> {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let line = serde_json::json!({
            "phase": self.phase.name(),
            "milliseconds_to_first": milliseconds(self.first),
            "milliseconds_to_last": milliseconds(self.last),
            "requests": counts.answered + counts.lost,
            "failed": counts.lost,
        });
        Ok(serde_json::to_string(&line)? + "\n")
    }
}

/// A path as short as it can be told from here.
fn shown(path: &std::path::Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(ToOwned::to_owned));
    relative
        .unwrap_or_else(|| path.to_owned())
        .display()
        .to_string()
}
