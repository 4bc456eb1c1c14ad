//! What a work took, as a table.

use anyhow::{Context, ensure};

use super::work::Work;
use crate::interval::Median;
use crate::report::outcome::{Cell, Table};

/// What one candidate took, in microseconds a request, round by round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costs {
    /// Of Envoy's process.
    pub(crate) processor: Vec<f64>,
    /// Of the servers that are asked.
    pub(crate) servers: Vec<f64>,
    /// From the request to its answer, of a connection with one at a time.
    pub(crate) latency: Vec<f64>,
}

/// Each candidate less the one without a filter.
pub(crate) fn table(work: &Work, costs: &[Costs]) -> anyhow::Result<Table> {
    let without = costs.first().context("nothing was measured")?;
    let added = |at: usize, of: fn(&Costs) -> &Vec<f64>| -> anyhow::Result<Vec<f64>> {
        let (own, without) = (of(&costs[at]), of(without));
        ensure!(own.len() == without.len(), "rounds are missing");
        let copies = work.candidates[at].filters.len() as f64;
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
        let latency = Median::of(added(at, |costs| &costs.latency)?);
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
    Ok(table)
}
