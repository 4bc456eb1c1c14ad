//! What is counted.

use anyhow::{Context, bail};
use attache_harness::{Cost, Exchange, Host, HostError, Outcome, PhaseCost};
use attache_suite::CaseCost;
use serde_json::{Value, json};

use super::requests::{SCENARIOS, Scenario};
use super::subject::Subject;

/// How many requests go before the count: a guest's first ones pay for what it makes once.
const WARM: usize = 100;
/// How many are counted, to find the one in the middle. An odd number has one.
const COUNTED: usize = 51;
/// How many more requests memory is watched over.
const WATCHED: usize = 1_000;

/// The name of what starting costs, among the names of requests.
pub(super) const START: &str = "start";

/// What one thing costs.
#[derive(Debug)]
pub(super) struct Measurement {
    /// What was measured: the module's name, or the suite.
    pub(super) subject: String,
    /// Which request or case.
    pub(super) bench: String,
    /// How the request ended: its status, or a word.
    pub(super) ended: Option<String>,
    pub(super) phases: Vec<PhaseCost>,
    /// Bytes of linear memory, once started.
    pub(super) memory: Option<u64>,
    /// Bytes that memory grew by over 1,000 requests.
    pub(super) growth: Option<i64>,
}

/// Measures the start of a module, and each request of the set.
pub(super) fn all(subject: &Subject) -> anyhow::Result<Vec<Measurement>> {
    let started = start(subject);
    let mut host = match subject.configuration.is_some() {
        true => started?,
        false => started.context(
            "it does not start; if it needs a configuration, give it one with --config FILE",
        )?,
    };
    let mut measured = vec![Measurement {
        subject: subject.name.clone(),
        bench: START.to_owned(),
        ended: None,
        phases: host.take_phases(),
        memory: host.memory(&subject.name).map(|bytes| bytes as u64),
        growth: None,
    }];
    for scenario in &SCENARIOS {
        let name = scenario.name;
        measured.push(of(scenario, subject).with_context(|| format!("`{name}` did not end well"))?);
    }
    Ok(measured)
}

fn start(subject: &Subject) -> Result<Host, HostError> {
    Host::builder()
        .plugin(subject.plugin())
        .count_phases()
        .start()
}

fn of(scenario: &Scenario, subject: &Subject) -> anyhow::Result<Measurement> {
    let mut host = start(subject)?;
    let answer = (scenario.answer)();
    host.upstream(move |_| answer.clone());
    for _ in 0..WARM {
        check(&host.send((scenario.request)())?)?;
    }
    host.take_phases();
    let mut counted = Vec::new();
    let mut ended = None;
    for _ in 0..COUNTED {
        ended = Some(how(&host.send((scenario.request)())?));
        counted.push(host.take_phases());
    }
    let growth = host.growth(WATCHED, |_| (scenario.request)())?;
    counted.sort_by_key(|phases| total(phases).0.fuel);
    Ok(Measurement {
        subject: subject.name.clone(),
        bench: scenario.name.to_owned(),
        ended,
        phases: counted.swap_remove(COUNTED / 2),
        memory: None,
        growth: Some(growth.memory),
    })
}

/// A VM that has trapped answers without being asked, and all would be counted as nothing.
fn check(exchange: &Exchange) -> anyhow::Result<()> {
    let log: Vec<String> = exchange.log().iter().map(ToString::to_string).collect();
    let trapped = |line: &String| line.contains("Function: ") && line.contains(" failed: ");
    if !log.iter().any(trapped) {
        return Ok(());
    }
    bail!(
        "the module traps, and has no cost to count:\n{}\n{}",
        log.join("\n"),
        attache_module::trap_advice(&log.concat()).unwrap_or(
            "`attache run FILTER --harness` shows what it does to a request; a suite of it gives it what it needs"
        )
    );
}

fn how(exchange: &Exchange) -> String {
    match (exchange.outcome(), exchange.try_response()) {
        (Outcome::Completed, Some(response)) => response.status().to_string(),
        (outcome, _) => outcome.to_string(),
    }
}

/// The sum of all callbacks, and of what memory grew by in them.
pub(super) fn total(phases: &[PhaseCost]) -> (Cost, u64) {
    let mut sum = Cost::default();
    for phase in phases {
        sum.fuel += phase.cost.fuel;
        sum.host_calls += phase.cost.host_calls;
        sum.crossings += phase.cost.crossings;
        sum.bytes_copied += phase.cost.bytes_copied;
    }
    (sum, phases.iter().map(|phase| phase.memory).sum())
}

impl Measurement {
    pub(super) fn of_case(subject: &str, case: CaseCost) -> Self {
        Self {
            subject: subject.to_owned(),
            bench: case.name,
            ended: None,
            phases: case.steps,
            memory: None,
            growth: None,
        }
    }

    /// The figures that are compared, less being better.
    pub(super) fn figures(&self) -> Vec<(&'static str, u64)> {
        let (cost, _) = total(&self.phases);
        let mut figures = vec![
            ("fuel", cost.fuel),
            ("host_calls", cost.host_calls),
            ("crossings", cost.crossings),
            ("bytes_copied", cost.bytes_copied),
        ];
        figures.extend(self.memory.map(|bytes| ("memory", bytes)));
        let growth = self.growth.map(|bytes| bytes.max(0).unsigned_abs());
        figures.extend(growth.map(|bytes| ("growth", bytes)));
        figures
    }

    pub(super) fn to_json(&self) -> Value {
        let mut line = json!({ "subject": self.subject, "bench": self.bench });
        if let Some(ended) = &self.ended {
            line["ended"] = ended.as_str().into();
        }
        for (name, value) in self.figures() {
            line[name] = value.into();
        }
        let phase = |phase: &PhaseCost| {
            json!({
                "plugin": phase.plugin,
                "callback": phase.callback,
                "calls": phase.calls,
                "fuel": phase.cost.fuel,
                "host_calls": phase.cost.host_calls,
                "crossings": phase.cost.crossings,
                "bytes_copied": phase.cost.bytes_copied,
                "grown": phase.memory,
            })
        };
        line["phases"] = self.phases.iter().map(phase).collect();
        line
    }
}
