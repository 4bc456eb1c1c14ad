use std::fmt::Write;

use super::family::Family;
use super::kinds::Metric;

/// A declared metric, of whatever kind.
///
/// Sealed: implemented for [`Family`].
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
        // Writing to a string does not fail.
        let _ = write!(
            yaml,
            "  - tag_name: {label}\n    regex: '^wasmcustom\\..*?(;{label}=([^;]*))'\n"
        );
    }
    yaml
}
