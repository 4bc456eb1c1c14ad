use std::fmt::Write;

use super::family::Family;
use super::kinds::Metric;

/// A declared metric, of whatever kind.
///
/// Sealed: implemented for [`Family`].
///
/// ```
/// use attache::metrics::{Counter, Declared, Family, Gauge};
///
/// const REQUESTS: Family<Counter, 2> = Family::new("shop_requests_total", ["method", "tier"]);
/// const LEASES: Family<Gauge, 1> = Family::new("shop_leases", ["tier"]);
///
/// // Of different types, and in one list.
/// let declared: [&dyn Declared; 2] = [&REQUESTS, &LEASES];
/// assert!(declared.iter().all(|metric| metric.labels().contains(&"tier")));
/// ```
pub trait Declared: sealed::Sealed {
    /// The names of its labels.
    fn labels(&self) -> &[&'static str];
}

mod sealed {
    pub trait Sealed {}
}

impl<M: Metric, const N: usize> sealed::Sealed for Family<M, N> {}

impl<M: Metric, const N: usize> Declared for Family<M, N> {
    fn labels(&self) -> &[&'static str] {
        Self::labels(self)
    }
}

/// Names that readers of YAML, of version 1.1 too, take for something else than a text.
const WORDS: [&str; 9] = ["false", "n", "no", "null", "off", "on", "true", "y", "yes"];

/// What Envoy's bootstrap needs, as YAML, so that the labels of these metrics are labels in
/// Prometheus and tags elsewhere.
///
/// Without it the statistics are there all the same, under names that hold their labels. The
/// expressions begin with a literal prefix, by which Envoy tries them on metrics of Wasm filters only.
///
/// ```
/// use attache::metrics::{Counter, Family, STANDING, stats_tags};
///
/// const DENIED: Family<Counter, 1> = Family::new("shop_denied_total", ["reason"]);
///
/// assert_eq!(
///     stats_tags(&[&DENIED]),
///     "stats_config:\n  \
///        stats_tags:\n  \
///        - tag_name: reason\n    \
///          regex: '^wasmcustom\\..*?(;reason=([^;]*))'\n"
/// );
/// assert!(stats_tags(&STANDING).contains("tag_name: plugin"));
/// ```
#[must_use]
pub fn stats_tags(families: &[&dyn Declared]) -> String {
    stats_tags_of(families.iter().flat_map(|family| family.labels()).copied())
}

/// As [`stats_tags`], for labels by their names, of which each is printed once.
///
/// ```
/// use attache::metrics::stats_tags_of;
///
/// assert!(stats_tags_of(["tier"]).contains("tag_name: tier"));
/// ```
#[must_use]
pub fn stats_tags_of<'l>(labels: impl IntoIterator<Item = &'l str>) -> String {
    let mut known: Vec<&str> = Vec::new();
    for label in labels {
        if !known.contains(&label) {
            known.push(label);
        }
    }
    let mut yaml = String::from("stats_config:\n  stats_tags:\n");
    for label in known {
        let is_word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(label));
        let quote = if is_word { "'" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(
            yaml,
            "  - tag_name: {quote}{label}{quote}\n    regex: '^wasmcustom\\..*?(;{label}=([^;]*))'\n"
        );
    }
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_yaml_takes_for_something_else_is_quoted() {
        for (label, printed) in [
            ("no", "tag_name: 'no'\n"),
            ("On", "tag_name: 'On'\n"),
            ("none", "tag_name: none\n"),
        ] {
            let yaml = stats_tags_of([label]);
            assert!(yaml.contains(printed), "{yaml}");
        }
    }
}
