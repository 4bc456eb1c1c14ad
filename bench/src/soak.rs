//! Streams by lot through each filter on a real Envoy, while clients and upstream reset at random and
//! configurations are replaced.

mod client;
mod draw;
mod message;
mod subject;
mod tally;
mod upstream;

use std::path::Path;
use std::sync::Arc;
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

const PATIENCE: Duration = Duration::from_secs(30);

/// What one filter came out with.
struct Outcome {
    tally: Arc<Tally>,
    reloads: usize,
    /// Lines of Envoy's log about modules that trapped.
    traps: usize,
    /// Resident memory in MiB after each tenth of the streams.
    memory: Vec<f64>,
    seconds: f64,
}

/// Runs all filters.
pub(crate) fn run(root: &Path, extent: Extent) -> anyhow::Result<Found> {
    let mut table = Table::new(
        "What became of the streams",
        "`lost` has no answer, `unmeant` has a 5xx, though neither side had reset anything; `wrong` came to the upstream or back \
         otherwise than byte for byte as it should; `leaks` are requests that came to the upstream with a secret. All four \
         should be 0, and so should lines in Envoy's log about a module that trapped.",
        &["", "auth-scrub", "metrics", "transform"],
    );
    let mut memory = Table::new(
        "Resident memory of Envoy, MiB",
        "After each tenth of the streams. Old VMs of a reload go as soon as their last stream has ended.",
        &["", "auth-scrub", "metrics", "transform"],
    );
    let mut all = Vec::new();
    for subject in Subject::ALL {
        all.push(soak(root, subject, extent.streams)?);
    }
    let mut row = |name: &str, figure: fn(&Outcome) -> f64| {
        let cells: Vec<Cell> = all.iter().map(|outcome| figure(outcome).into()).collect();
        table.row(name, cells);
    };
    row("streams", |it| of(&it.tally.streams) as f64);
    row("answered, each byte as it should be", |it| {
        of(&it.tally.answered) as f64
    });
    row("reset by the client", |it| {
        of(&it.tally.client_resets) as f64
    });
    row("reset by the upstream", |it| {
        of(&it.tally.upstream_resets) as f64
    });
    row("reloads of the configuration", |it| it.reloads as f64);
    row("seconds", |it| it.seconds.round());
    row("lost", |it| of(&it.tally.lost) as f64);
    row("unmeant", |it| of(&it.tally.unmeant) as f64);
    row("wrong, back to the client", |it| {
        of(&it.tally.wrong_answers) as f64
    });
    row("wrong, at the upstream", |it| {
        of(&it.tally.wrong_requests) as f64
    });
    row("leaks", |it| of(&it.tally.leaks) as f64);
    row("traps", |it| it.traps as f64);
    for tenth in 0..10 {
        let cells: Vec<Cell> = all.iter().map(|it| it.memory[tenth].into()).collect();
        memory.row(format!("{} %", (tenth + 1) * 10), cells);
    }
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
    let name = subject.package();
    let built = Guest::in_workspace(root, Some(name)).build(&mut |it| eprintln!("{it}"))?;
    let folder = RunFolder::claim(&root.join("target/tmp/soak"))?;
    let module = ModuleStore::new(folder.join("modules")).keep(&built.bytes)?;
    let plugins = subject.configurations().map(|configuration| {
        let mut plugin = Plugin::new(name, &module).configured(configuration);
        plugin.allow_on_headers_stop_iteration = true;
        plugin
    });
    let place = Discovered::new(name, folder.join("plugins"));
    place.write(&plugins[0])?;
    let mut listener = Listener::new("soak");
    listener.filters = vec![FilterSource::Discovered(place)];
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
    let mut memory = Vec::new();
    let mut reloads = 0;
    let mut reloaded = Instant::now();
    while clients.iter().any(|client| !client.is_finished()) {
        let done = of(&tally.streams) as usize;
        while memory.len() < 9 && done >= streams / 10 * (memory.len() + 1) {
            memory.push(process.memory()? as f64 / f64::from(1 << 20));
            eprint!("\r{name}: {done} of {streams} streams, {reloads} reloads");
        }
        if reloaded.elapsed() >= RELOAD {
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
    let last = process.memory()? as f64 / f64::from(1 << 20);
    memory.resize(10, last);
    ensure!(envoy.ended()?.is_none(), "{name}: Envoy has ended");
    let log = std::fs::read_to_string(envoy.log_path()).context("no log")?;
    let traps = log
        .lines()
        .filter(|line| line.contains("panicked") || line.contains("Function: proxy_"))
        .count();
    envoy.stop()?;
    Ok(Outcome {
        tally,
        reloads,
        traps,
        memory,
        seconds,
    })
}
