//! What a configuration declares: which metrics there are, with which labels, and what they are made of.

use attache::ConfigError;

use crate::cel;
use crate::config::{Config, MetricConfig, MetricKind, MissAction};
use crate::expression::Expression;
use crate::labels::{LABELS, Label, is_standard};
use crate::templates::Templates;

/// A configuration that has been checked.
#[derive(Debug)]
pub(crate) struct Declaration {
    /// The metrics, each once.
    pub(crate) metrics: Vec<Metric>,
    /// What `path_template` says.
    pub(crate) templates: Templates,
    /// What it says of other paths; `None` where their requests do not count.
    pub(crate) on_miss: Option<String>,
}

/// One metric.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    /// With the prefix.
    pub(crate) name: String,
    /// What kind it is.
    pub(crate) kind: MetricKind,
    /// What is counted.
    pub(crate) measure: Measure,
    /// Its labels in order.
    pub(crate) labels: Vec<(String, Value)>,
    /// The name without the prefix.
    short: String,
}

/// What a metric counts of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Measure {
    /// That it was there.
    One,
    /// How long it took, in milliseconds.
    Duration,
    /// The bytes that came.
    RequestBytes,
    /// The bytes that went back.
    ResponseBytes,
    /// The gRPC messages that came.
    RequestMessages,
    /// The gRPC messages that went back.
    ResponseMessages,
    /// What an expression gives.
    Expression(Expression),
}

/// What gives the value of a label.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// As by default.
    Standard(Label),
    /// An expression.
    Expression(Expression),
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Standard(own), Self::Standard(others)) => own.name == others.name,
            (Self::Expression(own), Self::Expression(others)) => own == others,
            _ => false,
        }
    }
}

/// The metrics that there are by default, and those of gRPC messages.
const STANDARD: [(&str, MetricKind, Measure); 6] = [
    ("requests_total", MetricKind::Counter, Measure::One),
    (
        "request_duration_milliseconds",
        MetricKind::Histogram,
        Measure::Duration,
    ),
    (
        "request_bytes",
        MetricKind::Histogram,
        Measure::RequestBytes,
    ),
    (
        "response_bytes",
        MetricKind::Histogram,
        Measure::ResponseBytes,
    ),
    (
        "request_messages_total",
        MetricKind::Counter,
        Measure::RequestMessages,
    ),
    (
        "response_messages_total",
        MetricKind::Counter,
        Measure::ResponseMessages,
    ),
];

/// Says whether the host reads an expression.
pub(crate) type Reads<'a> = &'a dyn Fn(&str) -> Result<(), &'static str>;

/// What counts the requests whose labels were too many, without the prefix.
pub(crate) const OVERFLOW: &str = "metrics_overflow_total";

impl Declaration {
    /// Checks a configuration; `reads` is asked of each expression in CEL.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] with the place of the first fault.
    pub(crate) fn new(config: &Config, reads: Reads<'_>) -> Result<Self, ConfigError> {
        let prefix = &config.stat_prefix;
        if !is_name(prefix, ":") {
            return Err(ConfigError::at(
                "/stat_prefix",
                "expected letters, digits, `_` and `:`, and no digit first",
            ));
        }
        check_numbers(config)?;
        let mut metrics = Vec::new();
        for (name, kind, measure) in &STANDARD {
            let is_message = matches!(
                measure,
                Measure::RequestMessages | Measure::ResponseMessages
            );
            if !is_message || config.grpc.message_counts {
                metrics.push(Metric::new(prefix, name, *kind, measure.clone(), config));
            }
        }
        for (index, definition) in config.definitions.iter().enumerate() {
            let at = |field: &str, reason: &str| {
                ConfigError::at(format!("/definitions/{index}/{field}"), reason)
            };
            let name = &definition.name;
            if !is_name(name, "") {
                return Err(at(
                    "name",
                    "expected letters, digits and `_`, and no digit first",
                ));
            }
            if STANDARD.iter().any(|(known, ..)| known == name) || name == OVERFLOW {
                return Err(at("name", "this is the name of a standard metric"));
            }
            if metrics.iter().any(|metric| metric.short == *name) {
                return Err(at("name", "defined twice"));
            }
            let value =
                Expression::parse(&definition.value).map_err(|reason| at("value", reason))?;
            if !value.is_number() {
                return Err(at(
                    "value",
                    "expected an expression that gives a number or a time",
                ));
            }
            if let Expression::Cel(text) = &value {
                reads(&cel::as_number(text)).map_err(|reason| at("value", reason))?;
            }
            let measure = Measure::Expression(value);
            metrics.push(Metric::new(prefix, name, definition.kind, measure, config));
        }
        for (index, change) in config.metrics.iter().enumerate() {
            apply(&mut metrics, change, &format!("/metrics/{index}"), reads)?;
        }
        if metrics.is_empty() {
            return Err(ConfigError::at("/metrics", "every metric is dropped"));
        }
        let (templates, on_miss) = templates(config)?;
        let declaration = Self {
            metrics,
            templates,
            on_miss,
        };
        match (declaration.names_paths(), &config.path_templates) {
            (true, None) => Err(ConfigError::at(
                "/path_templates",
                "missing, and an expression is `path_template`",
            )),
            (false, Some(_)) => Err(ConfigError::at(
                "/path_templates",
                "no expression is `path_template`, so this does nothing",
            )),
            _ => Ok(declaration),
        }
    }

    /// The names of all labels, each once.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        let all = self.metrics.iter().flat_map(|metric| &metric.labels);
        let mut known: Vec<&str> = Vec::new();
        for (name, _) in all {
            if !known.contains(&name.as_str()) {
                known.push(name);
            }
        }
        known.into_iter()
    }

    /// Whether a label names paths.
    #[must_use]
    pub(crate) fn names_paths(&self) -> bool {
        let mut labels = self.metrics.iter().flat_map(|metric| &metric.labels);
        labels.any(|(_, value)| *value == Value::Expression(Expression::PathTemplate))
    }

    /// Whether messages are counted.
    #[must_use]
    pub(crate) fn counts_messages(&self) -> bool {
        self.metrics.iter().any(|metric| {
            matches!(
                metric.measure,
                Measure::RequestMessages | Measure::ResponseMessages
            )
        })
    }
}

impl Metric {
    fn new(prefix: &str, name: &str, kind: MetricKind, measure: Measure, config: &Config) -> Self {
        let labels = LABELS
            .iter()
            .filter(|label| config.grpc.status || label.name != "grpc_response_status")
            .map(|label| (label.name.to_owned(), Value::Standard(*label)));
        Self {
            name: prefix.to_owned() + "_" + name,
            kind,
            measure,
            labels: labels.collect(),
            short: name.to_owned(),
        }
    }

    fn label(&mut self, name: &str) -> Option<&mut Value> {
        let (_, value) = self.labels.iter_mut().find(|(own, _)| own == name)?;
        Some(value)
    }
}

/// Applies one entry of `metrics`.
fn apply(
    metrics: &mut Vec<Metric>,
    change: &MetricConfig,
    place: &str,
    reads: Reads<'_>,
) -> Result<(), ConfigError> {
    let label = |text: &str| {
        let expression = Expression::parse(text)?;
        if let Expression::Cel(text) = &expression {
            reads(&cel::as_text(text))?;
        }
        Ok(expression)
    };
    let at = |field: &str, reason: &str| ConfigError::at(format!("{place}/{field}"), reason);
    let concerns = |metric: &Metric| match &change.name {
        Some(name) => metric.short == *name,
        None => true,
    };
    if !metrics.iter().any(concerns) {
        let reason = match &change.name {
            Some(name) if name.ends_with("_messages_total") => {
                "no such metric; messages are counted with `grpc.message_counts`"
            }
            _ => "no such metric, or it is dropped already",
        };
        return Err(at("name", reason));
    }
    let is_idle = change.dimensions.is_empty()
        && change.overrides.is_empty()
        && change.tags_to_remove.is_empty();
    if change.drop {
        if !is_idle {
            return Err(at(
                "drop",
                "a metric that is dropped has no labels to change",
            ));
        }
        metrics.retain(|metric| !concerns(metric));
        return Ok(());
    }
    if is_idle {
        return Err(ConfigError::at(place, "changes nothing"));
    }
    for metric in metrics.iter_mut().filter(|metric| concerns(metric)) {
        for (index, name) in change.tags_to_remove.iter().enumerate() {
            let Some(place) = metric.labels.iter().position(|(own, _)| own == name) else {
                return Err(at(
                    &format!("tags_to_remove/{index}"),
                    "the metric has no such label",
                ));
            };
            metric.labels.remove(place);
        }
        for (name, text) in &change.overrides {
            let at = |reason: &str| at(&format!("overrides/{name}"), reason);
            let value = label(text).map_err(at)?;
            let label = metric
                .label(name)
                .ok_or_else(|| at("the metric has no such label; `dimensions` adds one"))?;
            *label = Value::Expression(value);
        }
        for (name, text) in &change.dimensions {
            let at = |reason: &str| at(&format!("dimensions/{name}"), reason);
            if !is_name(name, "") || name.starts_with("__") {
                return Err(at(
                    "expected letters, digits and `_`, with neither a digit nor `__` first",
                ));
            }
            if ["le", "quantile"].contains(&name.as_str()) {
                return Err(at("Prometheus keeps this name to itself"));
            }
            if is_standard(name) || metric.label(name).is_some() {
                return Err(at(
                    "the metric may have this label; `overrides` changes its value",
                ));
            }
            let value = label(text).map_err(at)?;
            metric.labels.push((name.clone(), Value::Expression(value)));
        }
    }
    Ok(())
}

fn templates(config: &Config) -> Result<(Templates, Option<String>), ConfigError> {
    let Some(paths) = &config.path_templates else {
        return Ok((Templates::default(), None));
    };
    if paths.templates.is_empty() {
        return Err(ConfigError::at(
            "/path_templates/templates",
            "an empty list names no path",
        ));
    }
    let templates = Templates::new(&paths.templates).map_err(|refusal| {
        let place = format!("/path_templates/templates/{}", refusal.index);
        ConfigError::at(place, refusal.reason)
    })?;
    let value = &paths.on_miss.value;
    let on_miss = match (paths.on_miss.action, value) {
        (MissAction::Emit, None) => Some("other".to_owned()),
        (MissAction::Emit, Some(value)) if !value.is_empty() => Some(value.clone()),
        (MissAction::Drop, None) => None,
        (MissAction::Emit, Some(_)) => {
            return Err(ConfigError::at(
                "/path_templates/on_miss/value",
                "expected a text",
            ));
        }
        (MissAction::Drop, Some(_)) => {
            return Err(ConfigError::at(
                "/path_templates/on_miss/value",
                "nothing is emitted with `drop`",
            ));
        }
    };
    Ok((templates, on_miss))
}

fn check_numbers(config: &Config) -> Result<(), ConfigError> {
    let cardinality = &config.cardinality;
    if !(1..=100_000).contains(&cardinality.max_series) {
        return Err(ConfigError::at(
            "/cardinality/max_series",
            "expected 1 to 100000 series",
        ));
    }
    if !(8..=1_000).contains(&cardinality.max_label_length) {
        return Err(ConfigError::at(
            "/cardinality/max_label_length",
            "expected 8 to 1000 bytes",
        ));
    }
    let Some(hosts) = &config.host_header else {
        return Ok(());
    };
    if hosts.allow.is_empty() {
        return Err(ConfigError::at(
            "/host_header/allow",
            "an empty list allows no host",
        ));
    }
    for (index, host) in hosts.allow.iter().enumerate() {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err(ConfigError::at(
                format!("/host_header/allow/{index}"),
                "expected a host without port",
            ));
        }
    }
    Ok(())
}

/// Letters, digits, `_` and what else may be there; no digit first.
fn is_name(name: &str, more: &str) -> bool {
    let is_letter = |letter: u8| {
        letter.is_ascii_alphanumeric() || letter == b'_' || more.as_bytes().contains(&letter)
    };
    let first = name.bytes().next();
    first.is_some_and(|letter| !letter.is_ascii_digit()) && name.bytes().all(is_letter)
}
