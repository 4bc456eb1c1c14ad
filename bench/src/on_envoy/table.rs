//! What a work took, as a table.

use anyhow::{Context, ensure};

use super::work::Work;
use crate::interval::Median;
use crate::report::outcome::{Budget, Cell, Table};

/// What one candidate took, in microseconds a request, round by round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costs {
    /// Of Envoy's process.
    pub(crate) processor: Vec<f64>,
    /// Of the servers that are asked.
    pub(crate) servers: Vec<f64>,
    /// From the request to its answer, of a connection with one at a time: of the one without a filter in all,
    /// of others what they take more than that one in the same turn.
    pub(crate) latency: Vec<f64>,
}

/// What the SDK may take at most of what others take.
const BUDGETS: [(&str, f64); 2] = [("bare proxy-wasm", 0.90), ("bare proxy-wasm, pruned", 1.15)];

/// The works for which that was promised.
const PROMISED: [&str; 2] = [
    "Two header operations",
    "Two header operations, and a response with a body",
];

/// What became of the budgets of a work, where `takes` says how much of another candidate ours takes.
pub(crate) fn budgets(work: &Work, takes: impl Fn(usize) -> Cell) -> anyhow::Result<Vec<Budget>> {
    if !PROMISED.contains(&work.title) {
        return Ok(Vec::new());
    }
    let budget = |(of, at_most): (&str, f64)| {
        let at = work.candidates.iter().position(|it| it.name == of);
        Ok(Budget {
            ours: work.ours.to_owned(),
            of: of.to_owned(),
            at_most,
            takes: takes(at.with_context(|| format!("no `{of}`"))?),
        })
    };
    BUDGETS.into_iter().map(budget).collect()
}

/// Each candidate less the one without a filter.
pub(crate) fn table(work: &Work, costs: &[Costs]) -> anyhow::Result<Table> {
    let without = costs.first().context("nothing was measured")?;
    let copies = |at: usize| work.candidates[at].filters.len() as f64;
    let added = |at: usize, of: fn(&Costs) -> &Vec<f64>| -> anyhow::Result<Vec<f64>> {
        let (own, without) = (of(&costs[at]), of(without));
        ensure!(own.len() == without.len(), "rounds are missing");
        let copies = copies(at);
        let pairs = own.iter().zip(without);
        Ok(pairs
            .map(|(own, without)| (own - without) / copies)
            .collect())
    };
    let ours = work
        .candidates
        .iter()
        .position(|candidate| candidate.name == work.ours)
        .with_context(|| format!("no `{}`", work.ours))?;
    let ours_added = added(ours, |costs| &costs.processor)?;
    let columns = [
        "",
        "CPU added, µs",
        "the same, of ours",
        "latency added, µs",
        "CPU of servers, µs",
    ];
    let mut table = Table::new(work.title, &work.note, &columns);
    table.columns[2] = format!("times that of {}", work.ours);
    for (at, candidate) in work.candidates.iter().enumerate() {
        if at == 0 {
            let name = format!("{}, in all", candidate.name);
            let whole = |numbers: &Vec<f64>| Cell::from(Median::of(numbers.clone()));
            let cells = [
                whole(&without.processor),
                "".into(),
                whole(&without.latency),
                "".into(),
            ];
            table.row(name, cells);
            continue;
        }
        let own = added(at, |costs| &costs.processor)?;
        let ratio = if at == ours {
            "1".into()
        } else {
            Median::of_ratio(&own, &ours_added).into()
        };
        let latency = costs[at].latency.iter();
        let latency = Median::of(latency.map(|added| added / copies(at)).collect());
        let servers = Median::of(added(at, |costs| &costs.servers)?);
        // What threads of this process do otherwise is no server's.
        let servers = if servers.low > 1.0 {
            servers.into()
        } else {
            "".into()
        };
        table.row(
            candidate.name,
            [Median::of(own).into(), ratio, latency.into(), servers],
        );
    }
    let other_added: Vec<Vec<f64>> = (0..costs.len())
        .map(|at| added(at, |costs| &costs.processor))
        .collect::<Result<_, _>>()?;
    table.budgets = budgets(work, |at| {
        Median::of_ratio(&ours_added, &other_added[at]).into()
    })?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::super::work::{Candidate, NOWHERE};
    use super::*;

    fn work(title: &'static str) -> Work {
        let names = [
            "no filter",
            "bare proxy-wasm",
            "bare proxy-wasm, pruned",
            "SDK",
        ];
        let filter = |at: usize| (at > 0).then(|| serde_json::Value::from("a filter"));
        let candidates = names.into_iter().enumerate();
        Work {
            title,
            note: String::new(),
            request: Vec::new(),
            requests: 0,
            goes: NOWHERE,
            candidates: candidates
                .map(|(at, name)| Candidate::new(name, filter(at)))
                .collect(),
            ours: "SDK",
        }
    }

    fn costs() -> Vec<Costs> {
        let each = |added: f64| {
            let rounds: Vec<f64> = (0..20).map(|round| f64::from(round) + added).collect();
            Costs {
                processor: rounds.clone(),
                servers: rounds.clone(),
                latency: rounds,
            }
        };
        [0.0, 6.0, 4.0, 5.0].map(each).into()
    }

    #[test]
    fn the_budgets_hold_ours_against_others_and_not_the_other_way_around() {
        for title in PROMISED {
            let table = table(&work(title), &costs()).unwrap();
            let said = table.budgets.iter().map(|budget| {
                let Cell::Median { value, .. } = budget.takes else {
                    panic!("{budget:?}");
                };
                (format!("{value:.2} of {}", budget.of), budget.verdict())
            });
            let expected = [
                ("0.83 of bare proxy-wasm".to_owned(), "met"),
                ("1.25 of bare proxy-wasm, pruned".to_owned(), "missed"),
            ];
            assert_eq!(said.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_was_not_promised_has_no_budget() {
        let table = table(&work("No header operation"), &costs()).unwrap();
        assert!(table.budgets.is_empty());
    }
}
