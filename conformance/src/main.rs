//! The commands of those who work on the corpus.

#![forbid(unsafe_code)]

mod program;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use attache_conformance::{Outcome, Stage, Thoroughness, known_survivors, sample, seed_of};
use attache_harness::mutation::Mutation;
use clap::{Args, Parser, Subcommand};
use program::coverage::Coverage;
use program::generate::Generate;
use program::versions::Versions;

/// Measures that the harness answers as Envoy does.
#[derive(Debug, Parser)]
#[command(name = "attache-conformance")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays the corpus on harnesses that are wrong in one place each, and says which cases notice.
    Mutations(Mutations),
    Generate(Generate),
    Coverage(Coverage),
    Versions(Versions),
}

#[derive(Args, Debug)]
struct Mutations {
    /// Try all of them; 50 are drawn otherwise.
    #[arg(long, conflicts_with = "seed")]
    all: bool,
    /// Draw them by this seed: a number, or a commit.
    #[arg(long, value_parser = read_seed, default_value = "0")]
    seed: u64,
    /// Only those whose ids contain this.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Play these suites; the corpus is played otherwise.
    #[arg(value_name = "SUITE")]
    suites: Vec<PathBuf>,
}

fn read_seed(text: &str) -> Result<u64, String> {
    seed_of(text).ok_or_else(|| "expected a number, or a commit in hexadecimal".to_owned())
}

/// So many are drawn.
const DRAWN: usize = 50;

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Mutations(mutations) => mutations.run(),
        Command::Generate(generate) => generate.run(),
        Command::Coverage(coverage) => coverage.run(),
        Command::Versions(versions) => versions.run(),
    }
}

impl Mutations {
    /// Prints a line for each mutation. Fails where one survives, be it known or not.
    fn run(&self) -> anyhow::Result<ExitCode> {
        let mut mutations = Mutation::all();
        if let Some(part) = &self.only {
            mutations.retain(|mutation| mutation.to_string().contains(part));
        } else if !self.all {
            mutations = sample(mutations, DRAWN, self.seed);
        }
        let stage = match &self.suites[..] {
            [] => Stage::set(),
            suites => Stage::of(suites),
        };
        let stage = stage.context("cannot play the suites")?;
        let outcomes = stage.play(&mutations, Thoroughness::All);
        let known = known_survivors().context("cannot read the known survivors")?;
        print(&stage, &outcomes, &known).context("cannot write")?;
        let survives = |outcome: &Outcome| outcome.noticed.is_empty();
        Ok(match outcomes.iter().any(survives) {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        })
    }
}

fn print(stage: &Stage, outcomes: &[Outcome], known: &BTreeSet<String>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for name in stage.failing() {
        writeln!(out, "{name}: left out, since it fails without a mutation")?;
    }
    for outcome in outcomes {
        writeln!(out, "{outcome}")?;
    }
    let survivors = outcomes.iter().filter(|outcome| outcome.noticed.is_empty());
    let survivors: Vec<String> = survivors
        .map(|outcome| outcome.mutation.to_string())
        .collect();
    let (cases, all) = (stage.cases(), outcomes.len());
    writeln!(
        out,
        "{} of {all} mutations survive {cases} cases",
        survivors.len()
    )?;
    let listed = outcomes
        .iter()
        .filter(|outcome| known.contains(&outcome.mutation.to_string()));
    for outcome in listed.filter(|outcome| !outcome.noticed.is_empty()) {
        writeln!(
            out,
            "{} is listed as a survivor and noticed",
            outcome.mutation
        )?;
    }
    Ok(())
}
