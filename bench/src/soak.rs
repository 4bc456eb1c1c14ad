//! Streams by lot through each filter on a real Envoy, while clients and upstream reset at random and
//! configurations are replaced.

mod client;
mod draw;
mod memory;
mod message;
mod subject;
mod tally;
mod upstream;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use attache_envoy::{
    Bootstrap, Discovered, Endpoint, Envoy, FilterSource, Listener, ModuleStore, Plugin, Push,
    RunFolder, StartOptions,
};
use attache_module::Guest;

use self::client::Client;
use self::draw::Lot;
use self::memory::{LIMIT, Memory};
use self::subject::Subject;
use self::tally::{Tally, of};
use crate::on_envoy::installation;
use crate::process::Process;
use crate::report::Extent;
use crate::report::outcome::{Cell, Found, Table};

/// Clients at once.
const CLIENTS: usize = 48;

/// How often the configuration is replaced.
const RELOAD: Duration = Duration::from_millis(1_000);

/// From how many streams on memory is held to its limit: until then the VMs of the first reloads still add to it.
const SETTLED: u64 = 100_000;

const PATIENCE: Duration = Duration::from_secs(30);

/// What one filter came out with.
struct Outcome {
    subject: Subject,
    tally: Arc<Tally>,
    reloads: usize,
    /// Lines of Envoy's log about modules that trapped.
    traps: usize,
    memory: Memory,
    seconds: f64,
}

/// A row of the table: its name, and a filter's figure, if it has one.
struct Row(&'static str, fn(&Outcome) -> Option<f64>);

const COUNTS: [Row; 9] = [
    Row("streams", |it| count(&it.tally.streams)),
    Row("answered, each byte as it should be", |it| {
        count(&it.tally.answered)
    }),
    Row("reset by the client", |it| count(&it.tally.client_resets)),
    Row("reset by the upstream, and ended as it should be", |it| {
        count(&it.tally.upstream_resets)
    }),
    Row("sent whole with a secret", |it| {
        it.secret(&it.tally.secrets)
    }),
    Row("searched for secrets at the upstream", |it| {
        it.secret(&it.tally.searched)
    }),
    Row("of these, cut in the body", |it| it.secret(&it.tally.cut)),
    Row("reloads of the configuration", |it| {
        it.filter(it.reloads as f64)
    }),
    Row("seconds", |it| Some(it.seconds.round())),
];

/// Rows that have to be 0.
const FAULTS: [Row; 7] = [
    Row("lost", |it| count(&it.tally.lost)),
    Row("unmeant", |it| count(&it.tally.unmeant)),
    Row("wrong, back to the client", |it| {
        count(&it.tally.wrong_answers)
    }),
    Row("wrong, after a reset by the upstream", |it| {
        count(&it.tally.wrong_resets)
    }),
    Row("wrong, at the upstream", |it| {
        count(&it.tally.wrong_requests)
    }),
    Row("leaks", |it| it.secret(&it.tally.leaks)),
    Row("traps", |it| it.filter(it.traps as f64)),
];

fn count(count: &AtomicU64) -> Option<f64> {
    Some(of(count) as f64)
}

impl Outcome {
    /// A count about secrets, of a filter that is sent some.
    fn secret(&self, number: &AtomicU64) -> Option<f64> {
        count(number).filter(|_| self.subject.hides())
    }

    /// A figure that only a filter has.
    fn filter(&self, figure: f64) -> Option<f64> {
        (self.subject != Subject::Nothing).then_some(figure)
    }

    /// What is not as it should be.
    fn faults(&self) -> impl Iterator<Item = String> {
        let name = self.subject.name();
        let wrong = FAULTS.iter().filter_map(move |Row(row, figure)| {
            let figure = figure(self).filter(|it| *it != 0.0)?;
            Some(format!("{name}: {row}: {figure}"))
        });
        let growth = self.memory.growth();
        let judged = self.subject != Subject::Nothing && of(&self.tally.streams) >= SETTLED;
        // What is no number is no sign that all is well.
        let grows = judged && (growth.is_nan() || growth > LIMIT);
        let grows = grows.then(|| {
            format!("{name}: memory grows by {growth:.1} % over the second half, more than {LIMIT}")
        });
        let unseen = self.subject.hides() && of(&self.tally.searched) == 0;
        let unseen = unseen.then(|| format!("{name}: no request was searched for secrets"));
        wrong.chain(grows).chain(unseen)
    }
}

/// Runs all filters.
pub(crate) fn run(root: &Path, extent: Extent) -> anyhow::Result<Found> {
    let mut columns = vec![""];
    columns.extend(Subject::ALL.map(Subject::name));
    let mut table = Table::new(
        "What became of the streams",
        "Of those that the upstream has reset, the client gets a 503 where nothing of an answer was out, and a 502 where \
         a part of its head was, both with Envoy's own words; else its stream is reset too, and what came before has to be a 200 \
         and the beginning of the answer. `lost` has no answer, or a part of one that nobody cut, and `unmeant` has a 5xx \
         though neither side had reset anything; `wrong` came to the upstream or back otherwise than byte for byte as it \
         should; `leaks` are requests that came to the upstream with a secret. Each request is searched as soon as its \
         headers have come, whether its body comes whole or not. `traps` are lines in Envoy's log about a module that \
         trapped. From `lost` on, the command fails where a figure is not 0.",
        &columns,
    );
    let note = format!(
        "After each tenth of the streams. Old VMs of a reload go as soon as their last stream has ended. The last line is that \
         of the second half, along the line that fits a hundred looks best; from {SETTLED} streams on the command fails where a \
         filter's is above {LIMIT} %."
    );
    let mut memory = Table::new("Resident memory of Envoy, MiB", &note, &columns);
    let mut all = Vec::new();
    for subject in Subject::ALL {
        all.push(soak(root, subject, extent.streams)?);
    }
    for Row(name, figure) in COUNTS.iter().chain(&FAULTS) {
        let cell = |outcome| figure(outcome).map_or("-".into(), Cell::from);
        table.row(*name, all.iter().map(cell).collect::<Vec<_>>());
    }
    for tenth in 1..=10 {
        let cells: Vec<Cell> = all.iter().map(|it| it.memory.after(tenth).into()).collect();
        memory.row(format!("{} %", tenth * 10), cells);
    }
    let growth = all.iter().map(|it| it.memory.growth().into());
    memory.row("growth, %", growth.collect::<Vec<Cell>>());
    let faults: Vec<String> = all.iter().flat_map(Outcome::faults).collect();
    ensure!(faults.is_empty(), "{}", faults.join("; "));
    Ok(Found {
        extent: format!(
            "{} streams through each filter, {CLIENTS} clients at once.",
            extent.streams
        ),
        tables: vec![table, memory],
        plots: Vec::new(),
    })
}

fn soak(root: &Path, subject: Subject, streams: usize) -> anyhow::Result<Outcome> {
    let name = subject.name();
    let folder = RunFolder::claim(&root.join("target/tmp/soak"))?;
    let mut listener = Listener::new("soak");
    let plugins = plugins(root, subject, &folder)?;
    if let Some(first) = plugins.first() {
        let place = Discovered::new(name, folder.join("plugins"));
        place.write(first)?;
        listener.filters = vec![FilterSource::Discovered(place)];
    }
    let tally = Arc::new(Tally::default());
    let upstream = upstream::start(&tally)?;
    let bootstrap = Bootstrap::new(Endpoint::from(upstream), vec![listener]);
    let config = bootstrap.write(&folder.join("envoy.yaml"))?;
    let installation = installation()?;
    let options = StartOptions {
        discovered: bootstrap.discovered(),
        ..StartOptions::default()
    };
    let mut envoy = Envoy::start(&installation, &config, &folder, options)?;
    let process = Process::find(&installation.path, &config)?;
    let address = envoy.listener_address("soak")?;
    let begun = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = Client {
                address,
                subject,
                lot: Lot::new(number as u64),
                tally: Arc::clone(&tally),
            };
            thread::spawn(move || client.run(streams.div_ceil(CLIENTS)))
        })
        .collect();
    let mut memory = Memory::over(streams);
    let mut reloads = 0;
    let mut reloaded = Instant::now();
    while clients.iter().any(|client| !client.is_finished()) {
        let done = of(&tally.streams) as usize;
        if memory.look(&process, done)? {
            eprint!("\r{name}: {done} of {streams} streams, {reloads} reloads");
        }
        if reloaded.elapsed() >= RELOAD && !plugins.is_empty() {
            reloaded = Instant::now();
            reloads += 1;
            let push = envoy.push(&plugins[reloads % 2], PATIENCE)?;
            ensure!(matches!(push, Push::Accepted { .. }), "{name}: {push:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    eprintln!();
    let seconds = begun.elapsed().as_secs_f64();
    for client in clients {
        let ended = client.join();
        ended.map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    memory.look(&process, of(&tally.streams) as usize)?;
    ensure!(envoy.ended()?.is_none(), "{name}: Envoy has ended");
    let log = std::fs::read_to_string(envoy.log_path()).context("no log")?;
    let traps = log
        .lines()
        .filter(|line| line.contains("panicked") || line.contains("Function: proxy_"))
        .count();
    envoy.stop()?;
    Ok(Outcome {
        subject,
        tally,
        reloads,
        traps,
        memory,
        seconds,
    })
}

/// The plugin of a filter with either configuration.
fn plugins(root: &Path, subject: Subject, folder: &Path) -> anyhow::Result<Vec<Plugin>> {
    let configurations = subject.configurations();
    if configurations.is_empty() {
        return Ok(Vec::new());
    }
    let name = subject.name();
    let built = Guest::in_workspace(root, Some(name)).build(&mut |it| eprintln!("{it}"))?;
    let module = ModuleStore::new(folder.join("modules")).keep(&built.bytes)?;
    let plugin = |configuration: &&str| {
        let mut plugin = Plugin::new(name, &module).configured(*configuration);
        plugin.allow_on_headers_stop_iteration = true;
        plugin
    };
    Ok(configurations.iter().map(plugin).collect())
}
