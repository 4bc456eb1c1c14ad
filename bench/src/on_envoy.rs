//! What a filter costs in a real Envoy: the processor time that a request takes more than without it.
//!
//! One Envoy has a listener for each variant. They take turns within a round, so that what the machine
//! does otherwise meets them alike, and what is compared is compared within the round.

mod bootstrap;
mod load;
mod variant;

use std::path::Path;

use anyhow::{Context, ensure};
use attache_envoy::{Environment, Envoy, RunFolder, Selection, StartOptions};

use self::load::Client;
use self::variant::{Variant, variants};
use crate::interval::Median;
use crate::process::Process;

/// Requests of one variant in one round.
const REQUESTS: usize = 3_000;

/// Prints the table of what filters cost.
pub(crate) fn run(root: &Path, rounds: usize) -> anyhow::Result<()> {
    let environment = Environment::current();
    let installation = attache_envoy::find(&Selection::Default, &environment, &mut |progress| {
        eprintln!("{progress:?}");
    })?;
    let folder = RunFolder::claim(&root.join("target/tmp/bench"))?;
    let variants = variants(root, &folder)?;
    let config = folder.join("envoy.json");
    std::fs::write(&config, bootstrap::bootstrap(&variants).to_string())?;
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    let envoy = Envoy::start(&installation, &config, &folder, options)?;
    let process = Process::find(&installation.path, &config)?;
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
    let mut costs: Vec<Vec<f64>> = vec![Vec::new(); variants.len()];
    for round in 0..rounds {
        eprint!("\rround {} of {rounds}", round + 1);
        for (client, costs) in clients.iter_mut().zip(&mut costs) {
            let before = process.time()?;
            let (count, _) = client.send(REQUESTS)?;
            let time = process.time()? - before;
            costs.push(time.as_secs_f64() * 1e6 / count as f64);
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
        pairs.map(|(with, without)| with - without).collect()
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
            let ratios = own.iter().zip(&other).map(|(own, other)| own / other);
            let Median { value, low, high } = Median::of(ratios.collect());
            print!("   {value:.2} ({low:.2} to {high:.2}) of {than}; {budget}");
        }
        println!();
    }
    Ok(())
}
