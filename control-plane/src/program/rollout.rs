//! `attache rollout`: the HTTP API for people.

mod arguments;
mod client;
mod table;

use std::io::IsTerminal;
use std::thread;
use std::time::Duration;

use attache_control_plane::Timestamp;
use attache_control_plane::status::{History, RolloutStatus, Status};
use serde::Serialize;

pub(super) use self::arguments::Rollout;
use self::arguments::Verb;
use self::client::{Client, encoded};
use super::screen::{Paint, print};

/// How often a watch looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) fn rollout(rollout: &Rollout) -> anyhow::Result<()> {
    match &rollout.verb {
        Verb::Status(status) => show(status),
        Verb::History(history) => {
            let client = Client::new(history.api.address.as_deref())?;
            let past: History = client.get(&path(&history.name, "/history"))?;
            answer(history.api.json, &past, || {
                table::past(&past, Paint::of_output())
            })
        }
        Verb::Promote(promote) => change(&promote.name, "/promote", &promote.api),
        Verb::Undo(undo) => change(&undo.name, "/undo", &undo.api),
    }
}

fn path(name: &str, what: &str) -> String {
    format!("/v1/rollouts/{}{what}", encoded(name))
}

fn change(name: &str, what: &str, api: &arguments::Api) -> anyhow::Result<()> {
    let client = Client::new(api.address.as_deref())?;
    let rollout: RolloutStatus = client.post(&path(name, what))?;
    answer(api.json, &rollout, || {
        table::details(&rollout, Timestamp::now(), Paint::of_output())
    })
}

/// Prints an answer, for programs or for people.
fn answer(
    json: bool,
    answer: &impl Serialize,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let text = match json {
        true => serde_json::to_string(answer)? + "\n",
        false => text(),
    };
    Ok(print(&text)?)
}

/// What is shown of all rollouts, or of one.
enum Shown {
    All(Status),
    One(Box<RolloutStatus>, Timestamp),
}

fn show(status: &arguments::Status) -> anyhow::Result<()> {
    let client = Client::new(status.api.address.as_deref())?;
    let look = || -> anyhow::Result<Shown> {
        Ok(match &status.name {
            None => Shown::All(client.get("/v1/rollouts")?),
            Some(name) => Shown::One(client.get(&path(name, ""))?, Timestamp::now()),
        })
    };
    let json = status.api.json;
    if !status.watch {
        return look()?.print(json);
    }
    let redraws = !json && std::io::stdout().is_terminal();
    // A mistake in the address or the name is told at once; later the control plane may come back.
    let mut seen = Some(look()?);
    let mut before = None;
    let mut silent = false;
    loop {
        if let Some(shown) = &seen {
            let now = shown.without_time()?;
            if redraws {
                // The times in it run on: it is drawn again each time.
                print("\x1b[H\x1b[2J")?;
                shown.print(json)?;
            } else if before.as_ref() != Some(&now) {
                if before.is_some() && !json {
                    print("\n")?;
                }
                shown.print(json)?;
            }
            before = Some(now);
        }
        thread::sleep(LOOK_EVERY);
        seen = match look() {
            Ok(shown) => {
                silent = false;
                Some(shown)
            }
            Err(error) => {
                if !silent {
                    super::screen::error(&error);
                }
                silent = true;
                None
            }
        };
    }
}

impl Shown {
    fn print(&self, json: bool) -> anyhow::Result<()> {
        let paint = Paint::of_output();
        match self {
            Self::All(status) => answer(json, status, || table::overview(status, paint)),
            Self::One(rollout, now) => {
                answer(json, rollout, || table::details(rollout, *now, paint))
            }
        }
    }

    /// What has to change before it is news.
    fn without_time(&self) -> serde_json::Result<String> {
        match self {
            Self::All(status) => {
                let mut status = status.clone();
                status.at = Timestamp::default();
                serde_json::to_string(&status)
            }
            Self::One(rollout, _) => serde_json::to_string(rollout),
        }
    }
}
