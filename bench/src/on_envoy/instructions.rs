//! The same in instructions, as valgrind counts them while it plays Envoy. Two runs differ by some percent
//! for what is not compiled alike each time; what the machine does otherwise does not matter.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use attache_envoy::{Installation, RunFolder, StartOptions};

use super::guests::Modules;
use super::peers::Peers;
use super::table::budgets;
use super::work::{Work, counted};
use super::{Bench, collection, installation};
use crate::report::outcome::{Cell, Found, Table};

/// Requests to each listener before anything counts: until then V8 has compiled all that it will.
const WARM: usize = 800;

/// Turns of a work's requests. What else happens in a turn only adds, so the cheapest counts.
const TURNS: usize = 3;

/// Envoy needs a minute to start so.
const PATIENCE: Duration = Duration::from_secs(600);

/// Counts the works that are short of memory traffic, each in an Envoy of its own: valgrind's address space
/// has room for three modules.
pub(crate) fn run(root: &Path) -> anyhow::Result<Found> {
    let folder = RunFolder::claim(&root.join("target/tmp/bench-instructions"))?;
    let modules = Modules::new(root, &folder);
    let mut works = Vec::from(counted(&modules)?);
    works.extend(collection::works(&modules)?);
    let columns = ["", "instructions added", "times that of ours"];
    let mut found = Found {
        extent: format!("{TURNS} turns of 200 requests, after {WARM} that do not count."),
        ..Found::default()
    };
    for work in works {
        let turns = count(&work, &folder)?;
        let least = |turns: &Vec<f64>| turns.iter().copied().fold(f64::INFINITY, f64::min);
        let counts: Vec<f64> = turns.iter().map(least).collect();
        let mut table = Table::new(work.title, &work.note, &columns);
        table.columns[2] = format!("times that of {}", work.ours);
        let added = |at: usize| (counts[at] - counts[0]) / work.candidates[at].filters.len() as f64;
        let named = |name: &str| work.candidates.iter().position(|it| it.name == name);
        let ours_at = named(work.ours).context("ours is not there")?;
        let ours = added(ours_at);
        for (at, candidate) in work.candidates.iter().enumerate() {
            if at == 0 {
                let name = format!("{}, in all", candidate.name);
                table.row(name, [counts[0].round().into(), "".into()]);
            } else {
                let own = added(at);
                table.row(candidate.name, [own.round().into(), (own / ours).into()]);
            }
        }
        table.budgets = budgets(&work, |at| {
            let value = ours / added(at);
            let copies = |at: usize| work.candidates[at].filters.len() as f64;
            let in_turn = |turn: usize, at: usize| (turns[at][turn] - turns[0][turn]) / copies(at);
            let of = |turn| in_turn(turn, ours_at) / in_turn(turn, at);
            let low = (0..TURNS).map(of).fold(value, f64::min);
            let high = (0..TURNS).map(of).fold(value, f64::max);
            Cell::Median { value, low, high }
        })?;
        found.tables.push(table);
    }
    Ok(found)
}

/// The Envoy as valgrind plays it, which writes its counts to a file.
fn played(folder: &Path, counts: &Path) -> anyhow::Result<Installation> {
    let mut installation = installation()?;
    let script = folder.join("envoy-in-valgrind");
    fs::write(
        &script,
        format!(
            "#!/bin/sh\nexec valgrind -q --tool=callgrind --smc-check=all-non-file \
             --callgrind-out-file='{}' '{}' \"$@\"\n",
            counts.display(),
            installation.path.display()
        ),
    )?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    installation.path = script;
    Ok(installation)
}

/// Instructions a request of each candidate, turn by turn.
fn count(work: &Work, folder: &Path) -> anyhow::Result<Vec<Vec<f64>>> {
    let counts = folder.join(format!("counts-{}", work.title.replace(' ', "-")));
    let options = StartOptions {
        concurrency: 1,
        ready_within: PATIENCE,
        ..StartOptions::default()
    };
    eprintln!("{}: Envoy starts in valgrind", work.title);
    let played = played(folder, &counts)?;
    let mut bench = Bench::start_with(work, Peers::default().http()?, folder, &played, options)?;
    let valgrind = Valgrind::find(&bench.config, counts)?;
    for (client, candidate) in bench.clients.iter_mut().zip(&work.candidates) {
        eprintln!("{}: warming up {}", work.title, candidate.name);
        client.send(WARM)?;
    }
    let mut turns = vec![Vec::with_capacity(TURNS); work.candidates.len()];
    for _ in 0..TURNS {
        for (client, turns) in bench.clients.iter_mut().zip(&mut turns) {
            valgrind.count()?;
            let (sent, _) = client.send(work.requests)?;
            turns.push(valgrind.count()? as f64 / sent as f64);
        }
    }
    bench.envoy.stop()?;
    Ok(turns)
}

/// The process that plays Envoy.
struct Valgrind {
    process: String,
    counts: PathBuf,
}

impl Valgrind {
    /// The one that has `config` among its arguments.
    fn find(config: &Path, counts: PathBuf) -> anyhow::Result<Self> {
        let config = config.as_os_str().as_encoded_bytes();
        let plays = |folder: &Path| {
            let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
            let program = fs::read_link(folder.join("exe")).unwrap_or_default();
            program.to_string_lossy().contains("callgrind")
                && arguments.split(|&byte| byte == 0).any(|it| it == config)
        };
        let mut folders = fs::read_dir("/proc")?.filter_map(|entry| Some(entry.ok()?.path()));
        let folder = folders.find(|folder| plays(folder));
        let name = folder.as_deref().and_then(Path::file_name);
        let process = name.context("valgrind does not run Envoy")?;
        Ok(Self {
            process: process.to_string_lossy().into_owned(),
            counts,
        })
    }

    /// How many instructions there were since this was asked before.
    fn count(&self) -> anyhow::Result<u64> {
        let status = Command::new("vgdb")
            .arg(format!("--pid={}", self.process))
            .args(["dump", "turn"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot run vgdb, which comes with valgrind")?;
        ensure!(status.success(), "valgrind does not answer vgdb");
        // Each dump is a file with the next number.
        let name = self.counts.file_name().context("no name")?;
        let prefix = format!("{}.", name.to_string_lossy());
        let folder = self.counts.parent().context("no folder")?;
        let number = |name: &str| name.strip_prefix(&prefix)?.parse::<u32>().ok();
        let names =
            fs::read_dir(folder)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let last = names.filter_map(|name| number(&name)).max();
        let last = last.context("valgrind has written no counts")?;
        let text = fs::read(folder.join(format!("{prefix}{last}")))?;
        let text = String::from_utf8_lossy(&text);
        let summary = text.lines().find_map(|line| line.strip_prefix("summary: "));
        Ok(summary
            .context("no summary in the counts")?
            .trim()
            .parse()?)
    }
}
