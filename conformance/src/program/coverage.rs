use std::process::ExitCode;

use attache_conformance::SEEDS;

use super::{print, say};

/// Draw cases by lot, play none, and say which host calls they make in which callbacks. Fails for a cell that is
/// empty without a reason, and for a reason that no cell needs
#[derive(Debug, clap::Args)]
pub(crate) struct Coverage {
    /// How many cases
    #[arg(long, default_value_t = SEEDS)]
    seeds: u64,

    /// The first seed: a number, or a commit
    #[arg(long, value_parser = crate::read_seed, default_value = "0")]
    from: u64,
}

impl Coverage {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let first = self.from;
        let seeds = (0..self.seeds).map(|number| first.wrapping_add(number));
        let coverage = attache_conformance::Coverage::of(seeds);
        print(&coverage);
        let (empty, needless) = (coverage.empty(), coverage.needless());
        for cell in &empty {
            say(format_args!("never drawn, and there is no reason: {cell}"));
        }
        for reason in &needless {
            say(format_args!(
                "a reason that no empty cell needs: {}",
                reason.text
            ));
        }
        Ok(match empty.is_empty() && needless.is_empty() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}
