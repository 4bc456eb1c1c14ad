//! Recording: the series of each metric, and what goes into them.

use attache::metrics::{Counter, Gauge, Histogram, Member, MetricSet, Outcomes, SetSeries};
use attache::{ConfigError, Plugin};

use crate::cel::{self, Compiled};
use crate::config::{Cardinality, MetricKind, Overflow};
use crate::declaration::{Declaration, Measure, Metric, OVERFLOW, Value};
use crate::expression::{Expression, Kind};
use crate::identity::Identity;
use crate::labels::{End, Origin};
use crate::stream::{Moment, Read, Reader, Seen, Surroundings};

/// What is counted on one end of a request.
#[derive(Debug)]
pub(crate) struct Counting {
    /// What is found out for each request, each once.
    reads: Vec<Read>,
    groups: Vec<Group>,
    overflow: Counter,
    on_overflow: Overflow,
    end: End,
}

/// Metrics with the same labels.
#[derive(Debug)]
struct Group {
    set: MetricSet,
    /// Which of the values that were read are those of its labels.
    values: Vec<usize>,
    metrics: Vec<(Handle, Amount)>,
}

#[derive(Clone, Copy, Debug)]
enum Handle {
    Counter(Member<Counter>),
    Gauge(Member<Gauge>),
    Histogram(Member<Histogram>),
}

/// What a metric counts.
#[derive(Debug)]
enum Amount {
    One,
    Duration,
    RequestBytes,
    ResponseBytes,
    RequestMessages,
    ResponseMessages,
    Read(usize),
    Number(u64),
}

impl Counting {
    pub(crate) fn new(
        declaration: &Declaration,
        cardinality: &Cardinality,
        end: End,
        identity: &Identity,
        compiled: &Compiled,
        plugin: &Plugin,
        prefix: &str,
    ) -> Result<Self, ConfigError> {
        let mut counting = Self {
            reads: Vec::new(),
            groups: Vec::new(),
            overflow: plugin.counter(&(prefix.to_owned() + "_" + OVERFLOW))?,
            on_overflow: cardinality.on_overflow,
            end,
        };
        let mut labels: Vec<&[(String, Value)]> = Vec::new();
        for metric in &declaration.metrics {
            let place = match labels.iter().position(|known| *known == metric.labels) {
                Some(place) => place,
                None => {
                    let group =
                        counting.group(metric, cardinality, end, identity, compiled, plugin)?;
                    counting.groups.push(group);
                    labels.push(&metric.labels);
                    labels.len() - 1
                }
            };
            let amount = counting.amount(&metric.measure, compiled)?;
            if let Some(group) = counting.groups.get_mut(place) {
                let handle = match metric.kind {
                    MetricKind::Counter => Handle::Counter(group.set.metric(&metric.name)?),
                    MetricKind::Gauge => Handle::Gauge(group.set.metric(&metric.name)?),
                    MetricKind::Histogram => Handle::Histogram(group.set.metric(&metric.name)?),
                };
                group.metrics.push((handle, amount));
            }
        }
        Ok(counting)
    }

    /// A group for the labels of a metric. Constants come last in a name: what stands at its end must
    /// not be a client's choice, because Envoy's own tags look there (`_rq_200`).
    fn group(
        &mut self,
        metric: &Metric,
        cardinality: &Cardinality,
        end: End,
        identity: &Identity,
        compiled: &Compiled,
        plugin: &Plugin,
    ) -> Result<Group, ConfigError> {
        let mut names = Vec::new();
        let mut values = Vec::new();
        let mut constants: Vec<(&str, String)> = Vec::new();
        for (name, value) in &metric.labels {
            let read = match value {
                Value::Standard(label) => match label.origin(end) {
                    Origin::Constant(constant) => {
                        constants.push((name, identity.value(constant, end).to_owned()));
                        continue;
                    }
                    Origin::Stream(fact) => Read::Fact(fact),
                },
                Value::Expression(Expression::Literal(text)) => {
                    constants.push((name, text.clone()));
                    continue;
                }
                Value::Expression(Expression::Number(number)) => {
                    constants.push((name, number.to_string()));
                    continue;
                }
                Value::Expression(Expression::PathTemplate) => Read::PathTemplate,
                Value::Expression(Expression::Property(path)) => Read::property(path),
                Value::Expression(Expression::Cel(text)) => {
                    evaluated(compiled, &cel::as_text(text), Kind::Text)?
                }
            };
            names.push(name.as_str());
            values.push(self.read(read));
        }
        let constants: Vec<(&str, &str)> = constants
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        Ok(Group {
            set: plugin
                .metric_set(&names, &constants)?
                .at_most(cardinality.max_series)
                .value_bytes(cardinality.max_label_length),
            values,
            metrics: Vec::new(),
        })
    }

    fn amount(&mut self, measure: &Measure, compiled: &Compiled) -> Result<Amount, ConfigError> {
        Ok(match measure {
            Measure::Duration => Amount::Duration,
            Measure::RequestBytes => Amount::RequestBytes,
            Measure::ResponseBytes => Amount::ResponseBytes,
            Measure::RequestMessages => Amount::RequestMessages,
            Measure::ResponseMessages => Amount::ResponseMessages,
            Measure::Expression(Expression::Number(number)) => Amount::Number(*number),
            Measure::Expression(Expression::Property(path)) => {
                Amount::Read(self.read(Read::property(path)))
            }
            Measure::Expression(Expression::Cel(text)) => {
                let read = evaluated(compiled, &cel::as_number(text), Kind::Number)?;
                Amount::Read(self.read(read))
            }
            // A declaration has no other expressions here.
            Measure::One | Measure::Expression(_) => Amount::One,
        })
    }

    fn read(&mut self, read: Read) -> usize {
        let known = self.reads.iter().position(|known| *known == read);
        known.unwrap_or_else(|| {
            self.reads.push(read);
            self.reads.len() - 1
        })
    }

    /// Counts the messages of a stream that lasts, with the labels as they are by now.
    pub(crate) fn report(&self, surroundings: &Surroundings, seen: &Seen) {
        let reader = Reader::new(surroundings, Some(seen), self.end, Moment::Meanwhile);
        for group in &self.groups {
            if !group.metrics.iter().any(|(_, amount)| amount.is_messages()) {
                continue;
            }
            let mut values: Vec<Option<Vec<u8>>> = Vec::new();
            for (place, read) in self.reads.iter().enumerate() {
                let is_asked = group.values.contains(&place);
                values.push(is_asked.then(|| reader.value(read)).flatten());
            }
            let Some(labels) = group.labels(&values) else {
                continue;
            };
            let series = group.set.series(labels);
            if series.is_overflow() && self.on_overflow == Overflow::Drop {
                continue;
            }
            for (handle, amount) in &group.metrics {
                if amount.is_messages()
                    && let Some(amount) = amount.of(&reader, &values)
                {
                    handle.record(&series, amount);
                }
            }
        }
    }

    /// Records a stream at its end.
    pub(crate) fn record(
        &self,
        surroundings: &Surroundings,
        seen: Option<&Seen>,
        outcomes: &Outcomes,
    ) {
        let reader = Reader::new(surroundings, seen, self.end, Moment::End);
        if reader.names_path() {
            outcomes.matched();
        }
        let values: Vec<Option<Vec<u8>>> =
            self.reads.iter().map(|read| reader.value(read)).collect();
        let mut is_overflow = false;
        let mut is_missed = false;
        for group in &self.groups {
            let Some(labels) = group.labels(&values) else {
                is_missed = true;
                continue;
            };
            let series = group.set.series(labels);
            is_overflow |= series.is_overflow();
            if series.is_overflow() && self.on_overflow == Overflow::Drop {
                continue;
            }
            for (handle, amount) in &group.metrics {
                if let Some(amount) = amount.of(&reader, &values) {
                    handle.record(&series, amount);
                }
            }
        }
        if is_missed {
            outcomes.skipped("path");
        }
        if is_overflow {
            self.overflow.increment();
            if self.on_overflow == Overflow::Drop {
                outcomes.skipped("overflow");
            }
        }
    }
}

/// What Envoy evaluates at a stream's end.
fn evaluated(compiled: &Compiled, text: &str, kind: Kind) -> Result<Read, ConfigError> {
    let expression = compiled.get(text);
    let expression = expression.map_err(|reason| ConfigError::at("/metrics", reason))?;
    Ok(Read::Evaluated(expression, kind))
}

impl Group {
    fn labels<'v>(&self, values: &'v [Option<Vec<u8>>]) -> Option<Vec<&'v [u8]>> {
        let label = |place: &usize| values.get(*place)?.as_deref();
        self.values.iter().map(label).collect()
    }
}

impl Handle {
    fn record(self, series: &SetSeries<'_>, amount: u64) {
        match self {
            Self::Counter(member) => series.of(member).add(amount),
            Self::Gauge(member) => series.of(member).set(amount),
            Self::Histogram(member) => series.of(member).record(amount),
        }
    }
}

impl Amount {
    fn is_messages(&self) -> bool {
        matches!(self, Self::RequestMessages | Self::ResponseMessages)
    }

    /// How much it is; `None` where there is nothing to count.
    fn of(&self, reader: &Reader<'_>, values: &[Option<Vec<u8>>]) -> Option<u64> {
        match self {
            Self::One => Some(1),
            Self::Duration => reader.duration(),
            Self::RequestBytes => reader.request_bytes(),
            Self::ResponseBytes => reader.response_bytes(),
            Self::RequestMessages => reader.messages(|seen| &seen.asked),
            Self::ResponseMessages => reader.messages(|seen| &seen.answered),
            Self::Number(number) => Some(*number),
            // As it was printed; `unknown` is no number.
            Self::Read(place) => std::str::from_utf8(values.get(*place)?.as_deref()?)
                .ok()?
                .parse()
                .ok(),
        }
    }
}
