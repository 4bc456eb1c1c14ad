//! Random cases: from a seed, a chain of probes with random scripts, requests and answers.

mod chain;
mod draw;
mod peers;
mod script;

use serde_json::{Value, json};

use self::draw::Draw;

/// A case of a suite, drawn by lot.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it was drawn by.
    pub seed: u64,
    /// The case as a suite file has it.
    pub case: Value,
}

impl Scenario {
    /// Draws a case; the same seed always gives the same one.
    ///
    /// What differs from run to run on Envoy is not drawn: reading the time or chance, racing an answer of
    /// a cluster against one of the upstream, ticking without an end.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let protocols = peers::protocols(&mut draw);
        let plugins = chain::plugins(&mut draw, seed);
        let clusters = peers::clusters(&mut draw, &plugins);
        let steps = peers::steps(&mut draw, &protocols, &plugins);
        let mut case = json!({
            "name": format!("seed {seed}"),
            "plugins": plugins,
            "steps": steps,
            "protocols": protocols,
            "clusters": clusters,
        });
        if draw.chance(6) {
            case["buffer_limit"] = json!(draw.between(1_500, 3_000));
        }
        Self { seed, case }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite_text::suite_of;

    #[test]
    fn a_seed_always_draws_the_same_case() {
        for seed in 0..20 {
            assert_eq!(Scenario::draw(seed).case, Scenario::draw(seed).case);
        }
        assert_ne!(Scenario::draw(1).case, Scenario::draw(2).case);
    }

    #[test]
    fn every_case_is_one_that_a_suite_can_hold() {
        for seed in 0..300 {
            let case = Scenario::draw(seed).case;
            suite_of([&case]).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
}
