//! Random cases: from a seed, a chain of probes with random scripts, requests and answers.

mod chain;
mod draw;
mod peers;
mod script;
mod times;

use serde_json::{Value, json};

use self::draw::Draw;
use self::times::Times;

/// A case of a suite, drawn by lot.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it was drawn by.
    pub seed: u64,
    /// The case as a suite file has it.
    pub case: Value,
    /// Whether things fall together in it whatever times are drawn, so that Envoy has them in any order.
    pub crowded: bool,
}

impl Scenario {
    /// Draws a case; the same seed always gives the same one, but for its times, which each attempt
    /// draws anew.
    ///
    /// What differs from run to run on Envoy is not drawn: reading the time or chance, ticking without an
    /// end.
    #[must_use]
    pub fn draw(seed: u64, attempt: u32) -> Self {
        let mut draw = Draw::new(seed);
        let times = Times::new(seed, attempt);
        let protocols = peers::protocols(&mut draw);
        let plugins = chain::plugins(&mut draw, &times, seed);
        let clusters = peers::clusters(&mut draw, &times, &plugins);
        let steps = peers::steps(&mut draw, &times, &protocols, &plugins);
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
        Self {
            seed,
            case,
            crowded: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite_text::suite_of;

    #[test]
    fn a_seed_always_draws_the_same_case() {
        for seed in 0..20 {
            assert_eq!(Scenario::draw(seed, 0).case, Scenario::draw(seed, 0).case);
        }
        assert_ne!(Scenario::draw(1, 0).case, Scenario::draw(2, 0).case);
    }

    #[test]
    fn every_case_is_one_that_a_suite_can_hold() {
        for seed in 0..300 {
            let case = Scenario::draw(seed, 0).case;
            suite_of([&case]).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
}
