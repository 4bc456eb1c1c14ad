//! What filters cost in a real Envoy: the processor time that a request takes with them and without.
//!
//! One Envoy has a listener without a filter twice, one for each module and one for each filter that they are
//! compared with. They take short turns within a
//! round, to and fro, so that what the machine does otherwise meets them alike. What differs between the
//! two listeners without a filter is what this machine cannot tell from nothing.

mod client;
mod interval;
mod process;
mod report;
mod rival;
mod seen;

use anyhow::{Context, bail};
use attache_envoy::upstream::{Reply, Upstream};
use attache_envoy::{
    Bootstrap, Endpoint, Environment, Envoy, FilterSource, Installation, Listener, ModuleStore,
    Plugin, RunFolder, StartOptions, cache_folder,
};

use self::client::Client;
use self::process::Process;
pub(super) use self::report::Measured;
use self::report::Side;
use self::rival::Kind;
pub(super) use self::rival::Rival;
use self::seen::Seen;
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
    /// What has a listener beside those without a filter, in their order.
    filters: Vec<(String, Kind)>,
}

/// Why processor time cannot be measured on an operating system, and what to do.
pub(super) fn refused_on(system: &str) -> Option<&'static str> {
    (system != "linux").then_some(
        "the processor time of Envoy is read from /proc, which only Linux has: run this in a container or a \
         virtual machine with Linux, or leave --on envoy out, and the cost is counted on the harness, on any machine",
    )
}

/// Measures all subjects in one Envoy.
pub(super) fn measure(
    subjects: &[Subject],
    rivals: Vec<Rival>,
    arguments: &Arguments,
    screen: &Screen,
) -> anyhow::Result<Vec<Measured>> {
    let installation = envoy(arguments.envoy.as_ref(), None, screen)?;
    let folder = cache_folder(&Environment::current())?.join("run/bench");
    let folder = RunFolder::claim(&folder)
        .with_context(|| format!("cannot use the folder `{}`", folder.display()))?;
    let bench = Bench::start(subjects, rivals, &folder, &installation)?;
    screen.stage("Started", format_args!("Envoy {}", installation.version));
    let mut measured = Vec::new();
    for wire in wires() {
        screen.stage(
            "Measuring",
            format_args!(
                "`{}`: {} rounds of {} requests to each listener",
                wire.name,
                arguments.rounds(),
                2 * REQUESTS
            ),
        );
        let turns = bench
            .turns(&wire, arguments.rounds())
            .with_context(|| format!("`{}` did not end well", wire.name))?;
        measured.extend(turns.measured(&bench.filters, &wire, &installation));
    }
    bench.envoy.stop().context("cannot stop Envoy")?;
    Ok(measured)
}

impl Bench {
    fn start(
        subjects: &[Subject],
        rivals: Vec<Rival>,
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
        let module = |subject: &Subject| (subject.name.clone(), Kind::Module);
        let mut filters: Vec<(String, Kind)> = subjects.iter().map(module).collect();
        for (number, rival) in rivals.into_iter().enumerate() {
            let mut listener = Listener::new(format!("{}-{number}", rival.kind.name()));
            listener.filters = vec![rival.source];
            listeners.push(listener);
            filters.push((rival.name, rival.kind));
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
            filters,
        })
    }

    /// Microseconds a request of each listener, round by round.
    fn turns(&self, wire: &Wire, rounds: usize) -> anyhow::Result<Turns> {
        let mut clients = Vec::new();
        let mut seen = Vec::new();
        for name in &self.names {
            let address = self.envoy.listener_address(name)?;
            seen.push(Seen::of(address, wire, &self.upstream)?);
            clients.push(Client::connect(address, wire)?);
        }
        let mut turn = |at: usize| -> anyhow::Result<(f64, u16)> {
            let before = self.process.time()?;
            let (count, status) = clients[at].send(REQUESTS)?;
            let time = self.process.time()?.saturating_sub(before);
            // What it records is of no interest here, and would grow.
            drop(self.upstream.take());
            Ok((time.as_secs_f64() * 1e6 / count as f64, status))
        };
        let mut turns = Turns::new(seen);
        for _ in 0..WARM {
            for at in 0..self.names.len() {
                turn(at)?;
            }
        }
        for _ in 0..rounds {
            let mut round = vec![0.0; self.names.len()];
            // What gets slower meanwhile weighs on all alike.
            let to_and_fro = (0..self.names.len()).chain((0..self.names.len()).rev());
            for at in to_and_fro {
                let (microseconds, status) = turn(at)?;
                round[at] += microseconds / 2.0;
                let first = turns.seen[at].status;
                if status != first {
                    bail!(
                        "the answers are of the statuses {first} and {status}, and their times say nothing together"
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
    /// What each made of the request.
    seen: Vec<Seen>,
}

impl Turns {
    fn new(seen: Vec<Seen>) -> Self {
        Self {
            costs: vec![Vec::new(); seen.len()],
            seen,
        }
    }

    /// Each filter to none, and each module to what came before it and to what is no module.
    fn measured(
        &self,
        filters: &[(String, Kind)],
        wire: &Wire,
        installation: &Installation,
    ) -> Vec<Measured> {
        let first = WITHOUT.len();
        let side = |number: usize| Side {
            name: filters[number].0.clone(),
            kind: filters[number].1,
            microseconds: self.costs[first + number].clone(),
            status: self.seen[first + number].status,
        };
        let all = filters.iter().enumerate();
        all.map(|(number, (_, kind))| {
            let others = (0..filters.len()).filter(|&other| {
                *kind == Kind::Module
                    && other != number
                    && (other < number || filters[other].1 != Kind::Module)
            });
            let to = |other: usize| {
                let seen = &self.seen[first + number];
                (side(other), seen.differences(&self.seen[first + other]))
            };
            Measured {
                with: side(number),
                bench: wire.name,
                envoy: installation.version.to_string(),
                without: self.costs[0].clone(),
                again: self.costs[1].clone(),
                status_without: self.seen[0].status,
                requests: 2 * REQUESTS * self.costs[0].len(),
                others: others.map(to).collect(),
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_no_linux_the_next_step_is_named() {
        assert_eq!(refused_on("linux"), None);
        for system in ["macos", "windows", "freebsd"] {
            let reason = refused_on(system).unwrap();
            assert!(reason.contains("leave --on envoy out"), "{reason}");
            assert!(reason.contains("a container"), "{reason}");
        }
    }
}
