//! What a filter costs in a real Envoy: the processor time that a request takes more than without it.
//!
//! One Envoy has a listener for each variant. They take short turns within a round, to and fro, so that what
//! the machine does otherwise meets them alike, and what is compared is compared within the round. A chain
//! has a cheap filter several times, so that its cost stands out from Envoy's own.

mod bootstrap;
pub(crate) mod instructions;
mod load;
mod variant;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use attache_envoy::{Environment, Envoy, Installation, RunFolder, Selection, StartOptions};

use self::load::Client;
use self::variant::{Variant, variants};
use crate::interval::Median;
use crate::process::Process;

/// Requests of one variant in one turn. A round has two.
const REQUESTS: usize = 400;

/// An Envoy with a listener for each variant, and who sends requests to each.
struct Bench {
    variants: Vec<Variant>,
    config: PathBuf,
    envoy: Envoy,
    clients: Vec<Client>,
}

impl Bench {
    /// Starts it in `folder`, with a request to each listener answered.
    fn start(
        variants: Vec<Variant>,
        folder: &Path,
        installation: &Installation,
        options: StartOptions,
    ) -> anyhow::Result<Self> {
        let config = folder.join("envoy.json");
        std::fs::write(&config, bootstrap::bootstrap(&variants).to_string())?;
        let envoy = Envoy::start(installation, &config, folder, options)?;
        let mut clients = Vec::new();
        for variant in &variants {
            let address = envoy.listener_address(variant.name)?;
            let mut client = Client::connect(address, &variant.request())?;
            let (_, response) = client
                .send(REQUESTS)
                .with_context(|| format!("{}: no responses", variant.name))?;
            variant
                .check(&response)
                .with_context(|| format!("{}: {response:?}", variant.name))?;
            clients.push(client);
        }
        Ok(Self {
            variants,
            config,
            envoy,
            clients,
        })
    }
}

fn installation() -> anyhow::Result<Installation> {
    let mut tell = |progress| eprintln!("{progress:?}");
    let environment = Environment::current();
    Ok(attache_envoy::find(
        &Selection::Default,
        &environment,
        &mut tell,
    )?)
}

/// Prints the table of what filters cost.
pub(crate) fn run(root: &Path, rounds: usize) -> anyhow::Result<()> {
    let installation = installation()?;
    let folder = RunFolder::claim(&root.join("target/tmp/bench"))?;
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    let Bench {
        variants,
        config,
        envoy,
        mut clients,
    } = Bench::start(variants(root, &folder)?, &folder, &installation, options)?;
    let process = Process::find(&installation.path, &config)?;
    let mut costs: Vec<Vec<f64>> = vec![Vec::new(); variants.len()];
    for round in 0..rounds {
        eprint!("\rround {} of {rounds}", round + 1);
        let mut turn = |at: usize| -> anyhow::Result<f64> {
            let before = process.time()?;
            let (count, _) = clients[at].send(REQUESTS)?;
            let time = process.time()? - before;
            Ok(time.as_secs_f64() * 1e6 / count as f64)
        };
        // What gets slower meanwhile weighs on all alike.
        for (at, costs) in costs.iter_mut().enumerate() {
            costs.push(turn(at)? / 2.0);
        }
        for (at, costs) in costs.iter_mut().enumerate().rev() {
            costs[round] += turn(at)? / 2.0;
        }
    }
    eprintln!();
    envoy.stop()?;
    print(&variants, &costs)
}

/// Each variant less the one without a filter, and its ratio to what it is compared with.
fn print(variants: &[Variant], costs: &[Vec<f64>]) -> anyhow::Result<()> {
    let position = |name: &str| {
        let found = variants.iter().position(|variant| variant.name == name);
        found.with_context(|| format!("no variant `{name}`"))
    };
    let added = |at: usize, without: usize| -> Vec<f64> {
        let pairs = costs[at].iter().zip(&costs[without]);
        let copies = variants[at].copies() as f64;
        pairs
            .map(|(with, without)| (with - without) / copies)
            .collect()
    };
    println!(
        "{:<42} {:>22}   {:<34} budget",
        "CPU a request, us", "added (95 %)", "ratio (95 %)"
    );
    for (at, variant) in variants.iter().enumerate() {
        let Some(without) = variant.without else {
            let Median { value, low, high } = Median::of(costs[at].clone());
            println!("{:<42} {value:>6.2} ({low:.2} to {high:.2})", variant.name);
            continue;
        };
        let without = position(without)?;
        let own = added(at, without);
        let Median { value, low, high } = Median::of(own.clone());
        let time = format!("{value:.2} ({low:.2} to {high:.2})");
        print!("{:<42} {time:>22}", variant.name);
        for (than, budget) in variant.compared {
            let other = added(position(than)?, without);
            ensure!(other.len() == own.len(), "rounds are missing");
            let Median { value, low, high } = Median::of_ratio(&own, &other);
            print!("   {value:.2} ({low:.2} to {high:.2}) of {than}; {budget}");
        }
        println!();
    }
    Ok(())
}
