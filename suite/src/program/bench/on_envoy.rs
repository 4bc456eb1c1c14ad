//! What filters cost in a real Envoy: the processor time that a request takes with them and without.
//!
//! One Envoy has a listener without a filter twice and one for each filter. They take short turns within a
//! round, to and fro, so that what the machine does otherwise meets them alike. What differs between the
//! two listeners without a filter is what this machine cannot tell from nothing.

mod client;
mod interval;
mod process;
mod report;

use anyhow::{Context, bail};
use attache_envoy::upstream::{Reply, Upstream};
use attache_envoy::{
    Bootstrap, Endpoint, Environment, Envoy, FilterSource, Installation, Listener, ModuleStore,
    Plugin, RunFolder, StartOptions, cache_folder,
};

use self::client::Client;
use self::process::Process;
pub(super) use self::report::Measured;
use super::Screen;
use super::arguments::Arguments;
use super::requests::{Wire, wires};
use super::subject::Subject;
use crate::program::envoy::envoy;

/// Requests of one listener in one turn. A round has two.
const REQUESTS: usize = 160;

/// Turns before anything counts: V8 compiles what it meets again.
const WARM: usize = 4;

/// The listeners without a filter.
const WITHOUT: [&str; 2] = ["without", "again"];

/// An Envoy with a listener for each of what is measured.
struct Bench {
    envoy: Envoy,
    process: Process,
    upstream: Upstream,
    names: Vec<String>,
}

/// Measures all subjects in one Envoy.
pub(super) fn measure(
    subjects: &[Subject],
    arguments: &Arguments,
    screen: &Screen,
) -> anyhow::Result<Vec<Measured>> {
    if !cfg!(target_os = "linux") {
        bail!(
            "the time that Envoy takes is read from /proc, which only Linux has; without --on envoy the \
             cost is counted, on any machine"
        );
    }
    let installation = envoy(arguments.envoy.as_ref(), None, screen)?;
    let folder = cache_folder(&Environment::current())?.join("run/bench");
    let folder = RunFolder::claim(&folder)
        .with_context(|| format!("cannot use the folder `{}`", folder.display()))?;
    let bench = Bench::start(subjects, &folder, &installation)?;
    screen.stage("Started", format_args!("Envoy {}", installation.version));
    let mut measured = Vec::new();
    for wire in wires() {
        screen.stage(
            "Measuring",
            format_args!(
                "`{}`: {} rounds of {} requests to each listener",
                wire.name,
                arguments.rounds,
                2 * REQUESTS
            ),
        );
        let turns = bench
            .turns(&wire, arguments.rounds)
            .with_context(|| format!("`{}` did not end well", wire.name))?;
        measured.extend(turns.measured(subjects, &wire, &installation));
    }
    bench.envoy.stop().context("cannot stop Envoy")?;
    Ok(measured)
}

impl Bench {
    fn start(
        subjects: &[Subject],
        folder: &RunFolder,
        installation: &Installation,
    ) -> anyhow::Result<Self> {
        let upstream = Upstream::start(|_| {
            Reply::new(200)
                .header("content-type", "application/json")
                .header("server", "upstream/1.0")
                .body("x".repeat(1 << 10))
        })?;
        let store = ModuleStore::new(folder.join("modules"));
        let mut listeners: Vec<Listener> = WITHOUT.map(Listener::new).into();
        for (number, subject) in subjects.iter().enumerate() {
            let mut plugin = Plugin::new(&subject.name, store.keep(&subject.bytes)?);
            plugin.vm_id = format!("{}-{number}", subject.name);
            plugin.root_id.clone_from(&subject.root_id);
            plugin.configuration.clone_from(&subject.configuration);
            plugin.allow_on_headers_stop_iteration = subject.holds_headers;
            let mut listener = Listener::new(format!("filter-{number}"));
            listener.filters = vec![FilterSource::Static(plugin)];
            listeners.push(listener);
        }
        let names = listeners.iter().map(|it| it.name.clone()).collect();
        let bootstrap = Bootstrap::new(Endpoint::from(upstream.address()), listeners);
        let config = bootstrap.write(&folder.join("envoy.yaml"))?;
        let options = StartOptions {
            concurrency: 1,
            ..StartOptions::default()
        };
        let envoy = Envoy::start(installation, &config, folder, options).context(
            "Envoy does not start with the filters; if one needs a configuration, give it one with --config FILE",
        )?;
        let process = Process::find(&installation.path, &config)?;
        Ok(Self {
            envoy,
            process,
            upstream,
            names,
        })
    }

    /// Microseconds a request of each listener, round by round.
    fn turns(&self, wire: &Wire, rounds: usize) -> anyhow::Result<Turns> {
        let mut clients = Vec::new();
        for name in &self.names {
            clients.push(Client::connect(self.envoy.listener_address(name)?, wire)?);
        }
        let mut turn = |at: usize| -> anyhow::Result<(f64, u16)> {
            let before = self.process.time()?;
            let (count, status) = clients[at].send(REQUESTS)?;
            let time = self.process.time()?.saturating_sub(before);
            // What it records is of no interest here, and would grow.
            drop(self.upstream.take());
            Ok((time.as_secs_f64() * 1e6 / count as f64, status))
        };
        let mut turns = Turns::new(self.names.len());
        for _ in 0..WARM {
            for at in 0..self.names.len() {
                turns.statuses[at] = turn(at)?.1;
            }
        }
        for _ in 0..rounds {
            let mut round = vec![0.0; self.names.len()];
            // What gets slower meanwhile weighs on all alike.
            let to_and_fro = (0..self.names.len()).chain((0..self.names.len()).rev());
            for at in to_and_fro {
                let (microseconds, status) = turn(at)?;
                round[at] += microseconds / 2.0;
                if status != turns.statuses[at] {
                    bail!(
                        "the answers are of the statuses {} and {status}, and their times say nothing together",
                        turns.statuses[at]
                    );
                }
            }
            for (costs, cost) in turns.costs.iter_mut().zip(round) {
                costs.push(cost);
            }
        }
        Ok(turns)
    }
}

/// What turns took.
struct Turns {
    /// For each listener, round by round.
    costs: Vec<Vec<f64>>,
    statuses: Vec<u16>,
}

impl Turns {
    fn new(listeners: usize) -> Self {
        Self {
            costs: vec![Vec::new(); listeners],
            statuses: vec![0; listeners],
        }
    }

    fn measured(
        &self,
        subjects: &[Subject],
        wire: &Wire,
        installation: &Installation,
    ) -> Vec<Measured> {
        let first = WITHOUT.len();
        subjects
            .iter()
            .enumerate()
            .map(|(number, subject)| Measured {
                subject: subject.name.clone(),
                bench: wire.name,
                envoy: installation.version.to_string(),
                without: self.costs[0].clone(),
                again: self.costs[1].clone(),
                with: self.costs[first + number].clone(),
                status_without: self.statuses[0],
                status: self.statuses[first + number],
                requests: 2 * REQUESTS * self.costs[0].len(),
            })
            .collect()
    }
}
