//! `proxy_define_metric` and what follows from it.

use std::collections::HashMap;

use crate::abi::Status;
use crate::call::{Answer, Call};
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::stats_sink::Stat;
use crate::vm::Phase;

/// The kinds of metrics, numbered as in the ABI.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    Counter = 0,
    Gauge = 1,
    Histogram = 2,
}

/// Every metric of a host. All copies of a VM, and all plugins, share a metric of one name.
#[derive(Default)]
pub(crate) struct Metrics {
    metrics: Vec<Metric>,
}

struct Metric {
    kind: Kind,
    name: Vec<u8>,
    value: u64,
    samples: Vec<u64>,
    /// What a stats sink was told of last.
    flushed: u64,
    /// Whether it was ever changed.
    used: bool,
    /// The bases whose VMs defined it. With the last one it is gone from Envoy, and so is its value.
    bases: Vec<usize>,
}

impl Metrics {
    pub(crate) fn counter(&self, name: &[u8]) -> Option<u64> {
        self.find(Kind::Counter, name).map(|metric| metric.value)
    }

    pub(crate) fn gauge(&self, name: &[u8]) -> Option<u64> {
        self.find(Kind::Gauge, name).map(|metric| metric.value)
    }

    pub(crate) fn histogram(&self, name: &[u8]) -> Option<&[u64]> {
        self.find(Kind::Histogram, name)
            .map(|metric| metric.samples.as_slice())
    }

    pub(crate) fn counters(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.metrics
            .iter()
            .filter(|metric| metric.kind == Kind::Counter)
            .map(|metric| (metric.name.as_slice(), metric.value))
    }

    fn find(&self, kind: Kind, name: &[u8]) -> Option<&Metric> {
        self.metrics
            .iter()
            .find(|metric| metric.kind == kind && metric.name == name && !metric.bases.is_empty())
    }

    /// The stats of a kind for a stats sink, with what counters gained since the last time.
    pub(crate) fn snapshot(&mut self, kind: Kind) -> Vec<Stat> {
        let known = |metric: &&mut Metric| metric.kind == kind && !metric.bases.is_empty();
        let stat = |metric: &mut Metric| {
            let delta = metric.value.wrapping_sub(metric.flushed);
            metric.flushed = metric.value;
            let name = [b"wasmcustom.", &metric.name[..]].concat();
            Stat::new(name, metric.value, delta, metric.used)
        };
        self.metrics.iter_mut().filter(known).map(stat).collect()
    }

    fn define(&mut self, kind: Kind, name: Vec<u8>, base: usize) -> usize {
        let known = |metric: &Metric| metric.kind == kind && metric.name == name;
        let at = self.metrics.iter().position(known).unwrap_or_else(|| {
            self.metrics.push(Metric {
                kind,
                name,
                value: 0,
                samples: Vec::new(),
                flushed: 0,
                used: false,
                bases: Vec::new(),
            });
            self.metrics.len() - 1
        });
        let bases = &mut self.metrics[at].bases;
        if !bases.contains(&base) {
            bases.push(base);
        }
        at
    }

    /// A base is gone, and with it the metrics that no other one defined.
    pub(crate) fn forget(&mut self, base: usize) {
        for metric in &mut self.metrics {
            metric.bases.retain(|other| *other != base);
            if metric.bases.is_empty() {
                metric.value = 0;
                metric.flushed = 0;
                metric.used = false;
                metric.samples.clear();
            }
        }
    }
}

/// The ids of one VM: counters 4, 8, 12, gauges 5, 9, histograms 6, 10, a fresh one each time.
#[derive(Default)]
pub(crate) struct Ids {
    defined: [u32; 3],
    metrics: HashMap<u32, usize>,
}

impl Ids {
    pub(crate) fn len(&self) -> usize {
        self.metrics.len()
    }

    /// An id that a metric has.
    fn of(&self, kind: Kind, metric: usize) -> Option<u32> {
        let known = |(id, known): &(&u32, &usize)| **known == metric && *id % 4 == kind as u32;
        self.metrics.iter().find(known).map(|(id, _)| *id)
    }

    fn add(&mut self, kind: Kind, metric: usize, step: u32) -> u32 {
        let count = &mut self.defined[kind as usize];
        *count += step;
        let id = *count * 4 + kind as u32;
        self.metrics.insert(id, metric);
        id
    }
}

pub(crate) fn define(call: &mut Call<'_>, kind: u32, name: u32, size: u32, id: u32) -> Answer {
    call.number(kind);
    let kind = match kind {
        0 => Kind::Counter,
        1 => Kind::Gauge,
        2 => Kind::Histogram,
        _ => return Err(Status::BadArgument.into()),
    };
    let name = call.bytes(name, size)?;
    let state = call.state();
    let base = state.base;
    let metric = state.world.metrics.define(kind, name, base);
    let skips = state.world.mutated(Rule::MetricIdsSkip);
    let known = match state.world.mutated(Rule::MetricsHaveOneId) {
        true => state.metric_ids.of(kind, metric),
        false => None,
    };
    let step = 1 + u32::from(skips);
    let fresh = known.unwrap_or_else(|| state.metric_ids.add(kind, metric, step));
    call.write_u32(id, fresh)
}

/// Moves a counter up or a gauge either way; a gauge wraps below 0.
pub(crate) fn increment(call: &mut Call<'_>, id: u32, offset: i64) -> Answer {
    call.number(id);
    call.number(offset);
    let takes_zero = offset == 0 && call.mutated(Rule::CountersTake0);
    let takes_negative = offset < 0 && call.mutated(Rule::CountersTakeNegatives);
    let stops_at_0 = offset < 0 && call.mutated(Rule::GaugesStopAt0);
    with_value(id)?;
    let metric = metric(call, id)?;
    let before = metric.value;
    let kind = metric.kind;
    if kind == Kind::Counter && offset <= 0 && !takes_zero && !takes_negative {
        let what = format!("an offset of {offset}");
        call.lint(LintKind::CounterNotIncremented, what);
        return Err(Status::BadArgument.into());
    }
    metric.value = match stops_at_0 {
        true => before.saturating_add_signed(offset),
        false => before.wrapping_add_signed(offset),
    };
    metric.used = true;
    match kind {
        Kind::Counter => lint_start(call),
        _ if offset < 0 && before < offset.unsigned_abs() => {
            call.lint(LintKind::GaugeWrapped, format!("{before} and {offset}"));
        }
        _ => {}
    }
    Ok(())
}

/// Adds to a counter, sets a gauge, records a sample.
pub(crate) fn record(call: &mut Call<'_>, id: u32, value: i64) -> Answer {
    call.number(id);
    call.number(value);
    let sets = call.mutated(Rule::RecordSetsCounters);
    let adds = call.mutated(Rule::RecordAddsToGauges);
    let metric = metric(call, id)?;
    let recorded = value.cast_unsigned();
    metric.used = true;
    match metric.kind {
        Kind::Counter if sets => metric.value = recorded,
        Kind::Gauge if adds => metric.value = metric.value.wrapping_add(recorded),
        Kind::Counter => {
            metric.value = metric.value.wrapping_add(recorded);
            lint_start(call);
        }
        Kind::Gauge => {
            metric.value = recorded;
            if value < 0 {
                call.lint(LintKind::GaugeWrapped, format!("set to {value}"));
            }
        }
        Kind::Histogram => metric.samples.push(recorded),
    }
    Ok(())
}

/// Reports what every thread does at its start, to a counter that all of them share.
fn lint_start(call: &mut Call<'_>) {
    let state = call.state();
    let starts = matches!(
        state.phase,
        Phase::ContextCreate | Phase::VmStart | Phase::Configure
    );
    if starts && state.place().is_none() {
        let what = "a counter was raised at the start".to_owned();
        call.lint(LintKind::CountedAtStart, what);
    }
}

pub(crate) fn get(call: &mut Call<'_>, id: u32, value: u32) -> Answer {
    call.number(id);
    if id & 3 == 2 && call.mutated(Rule::HistogramsCanBeRead) {
        return call.write_u64(value, 0);
    }
    with_value(id)?;
    let current = metric(call, id)?.value;
    call.write_u64(value, current)
}

/// Envoy reads the type off the id before it looks for the metric: one that is neither a counter nor a
/// gauge has no value.
fn with_value(id: u32) -> Result<(), Status> {
    match id & 3 {
        0 | 1 => Ok(()),
        _ => Err(Status::BadArgument),
    }
}

fn metric<'a>(call: &'a mut Call<'_>, id: u32) -> Result<&'a mut Metric, Status> {
    let state = call.state();
    let index = *state.metric_ids.metrics.get(&id).ok_or(Status::NotFound)?;
    state
        .world
        .metrics
        .metrics
        .get_mut(index)
        .ok_or(Status::NotFound)
}
