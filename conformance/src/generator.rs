//! Random cases: from a seed, a chain of probes with random scripts, requests and answers.

mod chain;
mod connections;
mod draw;
mod likeness;
mod peers;
mod reload;
mod script;
mod servers;
mod times;

use serde_json::{Value, json};

use self::draw::Draw;
pub use self::likeness::Likeness;
use self::times::Times;
use crate::coverage::{self, Cell};

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
    /// Draws a case that is put together of parts of a suite; the same seed always gives the same one, but
    /// for its times.
    #[must_use]
    pub fn draw_like(like: &Likeness, seed: u64, attempt: u32) -> Self {
        Self {
            seed,
            case: like.draw(seed, attempt),
            crowded: false,
        }
    }

    /// Draws a case; the same seed always gives the same one, but for its times, which each attempt
    /// draws anew.
    ///
    /// Each has one host call in one callback that its seed plants, so that many seeds in a row have all
    /// of them. What differs from run to run on Envoy is not drawn: reading the time or chance, ticking
    /// without an end.
    #[must_use]
    pub fn draw(seed: u64, attempt: u32) -> Self {
        let mut draw = Draw::new(seed);
        let times = Times::new(seed, attempt);
        let planted = Cell::planted(seed);
        let of_tcp = match planted {
            Some(cell) if coverage::is_of_tcp(cell.callback) => true,
            Some(cell) if coverage::is_flow(cell.callback) => false,
            // ABI 0.1.0 cannot resume a connection.
            Some(cell) if coverage::ONLY_0_1_0.contains(&cell.call) => false,
            _ => draw.chance(15),
        };
        let case = if of_tcp {
            tcp(&mut draw, &times, seed, planted)
        } else {
            http(&mut draw, &times, seed, planted)
        };
        Self {
            seed,
            case,
            crowded: false,
        }
    }
}

fn http(draw: &mut Draw, times: &Times, seed: u64, planted: Option<Cell>) -> Value {
    let protocols = peers::protocols(draw);
    let chain = chain::Chain::draw(draw, times, seed, planted, chain::Entry::Http);
    let mut steps = peers::steps(draw, times, &protocols, &chain, planted);
    if chain.reloads {
        reload::insert(draw, &chain, &mut steps);
    }
    let mut case = json!({
        "name": format!("seed {seed}"),
        "plugins": chain.plugins,
        "access_loggers": chain.loggers,
        "steps": steps,
        "protocols": protocols,
    });
    case["clusters"] = servers::clusters(draw, times, &case);
    if draw.chance(6) {
        case["buffer_limit"] = json!(draw.between(1_500, 3_000));
    }
    case
}

fn tcp(draw: &mut Draw, times: &Times, seed: u64, planted: Option<Cell>) -> Value {
    let chain = chain::Chain::draw(draw, times, seed, planted, chain::Entry::Tcp);
    let mut case = json!({
        "name": format!("seed {seed}"),
        "plugins": chain.plugins,
        "access_loggers": chain.loggers,
        "tcp": connections::upstream(draw, planted),
        "steps": connections::steps(draw, times, &chain, planted),
    });
    case["clusters"] = servers::clusters(draw, times, &case);
    case
}

/// The words of scripts.
struct Words(String);

impl Words {
    fn of(scripts: &Value) -> Self {
        Self(scripts.to_string())
    }

    /// Whether a script has this word.
    fn has(&self, word: &str) -> bool {
        self.0.contains(&format!("\"{word}\""))
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

    #[test]
    fn a_plugin_that_comes_later_registers_no_queue_when_it_starts() {
        let cases = (0..1_000).map(|seed| Scenario::draw(seed, 0).case);
        let steps: Vec<serde_json::Value> = cases
            .filter_map(|case| case["steps"].as_array().cloned())
            .flatten()
            .collect();
        let scripts = steps
            .iter()
            .filter_map(|step| step["reload"].get("configuration"));
        let starts: Vec<String> = scripts
            .map(|script| format!("{}{}", script["vm_start"], script["configure"]))
            .collect();
        assert!(starts.len() > 10, "{} reloads", starts.len());
        assert!(
            !starts
                .iter()
                .any(|start| start.contains("register_shared_queue"))
        );
    }
}
