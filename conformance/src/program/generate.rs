//! `generate`: cases drawn by lot, on both hosts.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use attache_conformance::{
    Cells, Finding, Judged, Likeness, Scenario, play, scenarios, scenarios_like, shrink, suite_text,
};
use attache_envoy::{Environment, RunFolder, Selection};
use attache_suite::{Suite, SuiteError, Target};
use serde_json::Value;

use super::{print, say};

/// So many cases are played before what came of them is looked at; a suite's file has 200,000 values at most.
const BATCH: usize = 200;
/// More than one in so many that are never in time are too many to tell anything.
const LATE_IN: u64 = 10;

/// Draw cases by lot, play them on the harness and on a real Envoy, and make small what differs
#[derive(Debug, clap::Args)]
pub(crate) struct Generate {
    /// How many cases
    #[arg(long, default_value_t = 200)]
    seeds: u64,

    /// The first seed: a number, or a commit
    #[arg(long, value_parser = crate::read_seed, default_value = "0")]
    from: u64,

    /// Draw cases about the plugins of this suite, which may be anybody's, of any language
    ///
    /// The chains, requests, answers and clusters that its cases have are put together anew, in any order: with
    /// other methods, headers and bodies in pieces, over HTTP/1.1 and HTTP/2, on connections that are kept, with
    /// clients, servers and clusters that fail, and now and then with a filter before or behind that makes host
    /// calls by lot. What the suite expects does not matter: a case with the request is enough. Cases in
    /// which things fall together, so that Envoy has them in any order, are left out.
    #[arg(long, value_name = "FILE.suite.yaml")]
    like: Option<PathBuf>,

    /// The Envoy to use: a binary, or a version such as 1.39
    #[arg(long, value_name = "PATH|VERSION")]
    envoy: Option<Selection>,

    /// Where suites of what differs are written
    #[arg(long, default_value = "target/attache/disagreements")]
    out: PathBuf,

    /// Do not make small what differs
    #[arg(long)]
    raw: bool,

    /// Print the table of host calls and callbacks that were reached
    #[arg(long)]
    cells: bool,

    /// How many may differ before that is a failure
    #[arg(long, default_value_t = 0)]
    tolerate: u64,

    /// Begin no further case after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
}

/// Numbers of what came out.
#[derive(Default)]
struct Tally {
    agreed: u64,
    crashed: u64,
    stopped: BTreeMap<String, u64>,
    /// Those that differ for no reason that is known.
    disagreed: u64,
    /// Those that Envoy did not play alike each time.
    unsteady: u64,
    /// Those that differ where a known difference was met, by its name.
    known: BTreeMap<&'static str, u64>,
    /// Those that Envoy never played in time.
    late: u64,
    /// Those that came out alike when they were played again, alone.
    settled: u64,
    /// Those that were not played, since their times fall together and nothing of them can be left out.
    left_out: usize,
    /// Those whose times fall together whatever is drawn.
    crowded: u64,
}

impl Tally {
    fn played(&self) -> u64 {
        let ended = self.agreed + self.crashed + self.disagreed + self.unsteady + self.late;
        ended + self.stopped.values().sum::<u64>() + self.known.values().sum::<u64>()
    }
}

/// Cases by their seeds.
fn drawn(
    like: Option<&Likeness>,
    seeds: &[u64],
    target: &Target,
) -> Result<Vec<Scenario>, SuiteError> {
    match like {
        Some(like) => scenarios_like(like, seeds, target),
        None => scenarios(seeds, target),
    }
}

impl Generate {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let begun = Instant::now();
        let selection = self.envoy.clone().unwrap_or(Selection::Default);
        let installation = attache_envoy::find(&selection, &Environment::current(), &mut |_| ())
            .context("there is no Envoy to compare with")?;
        let scratch = std::env::temp_dir().join("attache-conformance");
        let folder = RunFolder::claim(&scratch)
            .with_context(|| format!("cannot use the folder `{}`", scratch.display()))?;
        let target = Target::Both {
            installation,
            folder: folder.to_path_buf(),
        };
        let like = self.like.as_ref().map(Suite::load).transpose()?;
        let like = like.map(|suite| Likeness::of(&suite));
        let draw = |seeds: &[u64]| drawn(like.as_ref(), seeds, &target);
        let first = self.from;
        let mut seeds = (0..self.seeds).map(|number| first.wrapping_add(number));
        let mut next = || -> Vec<u64> {
            let late = |seconds| begun.elapsed() >= Duration::from_secs(seconds);
            match self.seconds.is_some_and(late) {
                true => Vec::new(),
                false => seeds.by_ref().take(BATCH).collect(),
            }
        };
        let (mut tally, mut cells) = (Tally::default(), Cells::default());
        let mut drawn = draw(&next())?;
        while !drawn.is_empty() {
            let mut batch = drawn;
            if like.is_some() {
                let all = batch.len();
                batch.retain(|one| !one.crowded);
                tally.left_out += all - batch.len();
            }
            tally.crowded += batch.iter().map(|one| u64::from(one.crowded)).sum::<u64>();
            say(format_args!(
                "{} cases are drawn, {} s",
                batch.len(),
                begun.elapsed().as_secs()
            ));
            let cases: Vec<Value> = batch.iter().map(|scenario| scenario.case.clone()).collect();
            // A real Envoy waits more than it works: the next cases are drawn meanwhile.
            let numbers = next();
            let (outcomes, following) = thread::scope(|scope| {
                let following = scope.spawn(|| draw(&numbers));
                (play(&cases, &target), following.join())
            });
            drawn = following.unwrap_or_else(|panic| resume_unwind(panic))?;
            let outcomes = outcomes?;
            for (scenario, judged) in batch.iter().zip(outcomes) {
                self.count(scenario, judged, &mut tally, &mut cells, &target)?;
            }
            say(format_args!(
                "{} cases in {} s: {} differ",
                tally.played(),
                begun.elapsed().as_secs(),
                tally.disagreed
            ));
        }
        if self.cells {
            print(&cells);
        }
        for (reason, count) in &tally.stopped {
            say(format_args!("{count} cases were stopped: {reason}"));
        }
        for (known, count) in &tally.known {
            print(format_args!("{count} differ as known: {known}"));
        }
        print(format_args!(
            "{} agree, {} crash Envoy as predicted, {} stopped, {} differ, {} come in any order on Envoy; {} were \
             played again until they agreed, {} never in time, {} are crowded; seeds from {first}, {} s",
            tally.agreed,
            tally.crashed,
            tally.stopped.values().sum::<u64>(),
            tally.disagreed,
            tally.unsteady,
            tally.settled,
            tally.late,
            tally.crowded,
            begun.elapsed().as_secs()
        ));
        if tally.left_out > 0 {
            print(format_args!("{} were left out", tally.left_out));
        }
        let too_late = tally.late > tally.played() / LATE_IN;
        if too_late {
            say(format_args!("the machine is too busy to tell what differs"));
        }
        let nothing = tally.played() == 0;
        if nothing {
            say(format_args!("no case was played, so nothing is known"));
        }
        let unproven = tally.disagreed + tally.unsteady + tally.crowded;
        let failed = unproven > self.tolerate || too_late || nothing;
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    /// Counts what came of a case, and reports what differs without a reason that is known.
    fn count(
        &self,
        scenario: &Scenario,
        judged: Judged,
        tally: &mut Tally,
        cells: &mut Cells,
        target: &Target,
    ) -> anyhow::Result<()> {
        let seed = scenario.seed;
        match judged.finding {
            Finding::Agreed(log) => {
                tally.agreed += 1;
                tally.settled += u64::from(judged.plays > 1);
                cells.add(&log);
            }
            Finding::Crashed(_) => tally.crashed += 1,
            Finding::Stopped(reason) => *tally.stopped.entry(reason).or_default() += 1,
            Finding::Disagreed(_) | Finding::Unsteady(_) if !judged.known.is_empty() => {
                for known in judged.known {
                    *tally.known.entry(known.name()).or_default() += 1;
                }
            }
            Finding::Disagreed(difference) => {
                tally.disagreed += 1;
                self.report(scenario, &difference, target)?;
            }
            Finding::Unsteady(difference) => {
                tally.unsteady += 1;
                let (path, plays) = (self.write(seed, &scenario.case)?, judged.plays);
                let path = path.display();
                say(format_args!(
                    "seed {seed}: in any order on Envoy, in {plays} plays\n{path}\n{difference}"
                ));
            }
            Finding::Late(difference) => {
                tally.late += 1;
                let path = self.write(scenario.seed, &scenario.case)?;
                let path = path.display();
                say(format_args!(
                    "seed {seed}: never in time\n{path}\n{difference}"
                ));
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes a suite of a case.
    fn write(&self, seed: u64, case: &Value) -> anyhow::Result<PathBuf> {
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot make the folder `{}`", self.out.display()))?;
        let path = self.out.join(format!("seed-{seed}.suite.yaml"));
        let text = suite_text::text_of(case, "harness and Envoy differ");
        std::fs::write(&path, text)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        Ok(path)
    }

    /// Writes a suite of what differs, as small as it can be made.
    fn report(&self, scenario: &Scenario, difference: &str, target: &Target) -> anyhow::Result<()> {
        let seed = scenario.seed;
        say(format_args!("seed {seed}: the hosts differ"));
        let small = if self.raw {
            scenario.case.clone()
        } else {
            shrink(&scenario.case, target, &mut |_| ())?
        };
        let path = self.write(seed, &small)?;
        let shown = if self.raw {
            difference.to_owned()
        } else {
            let outcome = play(std::slice::from_ref(&small), target)?;
            match outcome.first().map(|judged| &judged.finding) {
                Some(Finding::Disagreed(small)) => small.clone(),
                _ => format!("(only before it was made small)\n{difference}"),
            }
        };
        print(format_args!("{}\n{shown}", path.display()));
        Ok(())
    }
}
