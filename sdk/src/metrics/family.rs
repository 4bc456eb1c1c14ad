use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use super::kinds::Metric;
use super::table::{SERIES, Table};
use crate::constants::{has, is_same};

/// The declaration of a metric with `N` labels.
///
/// It is a constant, so that a test can print the part of Envoy's bootstrap that it needs; see
/// [`stats_tags`](super::stats_tags). A name that Prometheus does not know as one does not compile:
///
/// ```compile_fail
/// use attache::metrics::{Counter, Family};
/// const DENIED: Family<Counter, 1> = Family::new("denied", ["the reason"]);
/// ```
///
/// A declaration that compiles, with a bound of its own:
///
/// ```
/// use attache::metrics::{Counter, Family, stats_tags};
///
/// const DENIED: Family<Counter, 1> = Family::new("shop_denied_total", ["reason"]).at_most(50);
///
/// assert_eq!(DENIED.name(), "shop_denied_total");
/// assert_eq!(DENIED.labels(), &["reason"]);
/// assert!(stats_tags(&[&DENIED]).contains("tag_name: reason"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Family<M, const N: usize> {
    name: &'static str,
    labels: [&'static str; N],
    limit: usize,
    kind: PhantomData<fn() -> M>,
}

impl<M: Metric, const N: usize> Family<M, N> {
    /// Declares a metric and the names of its labels.
    ///
    /// # Panics
    ///
    /// While compiling, when the name has something other than letters, digits, `_`, `:` and `.`,
    /// or a label something other than letters, digits and `_`; when one of them begins with a
    /// digit, or a label with `__`; and when a label is there twice. Outside a constant it panics
    /// when it runs.
    #[must_use]
    pub const fn new(name: &'static str, labels: [&'static str; N]) -> Self {
        assert!(
            is_metric_name(name.as_bytes()),
            "a metric's name has letters, digits, `_`, `:` and `.`"
        );
        let mut index = 0;
        while index < N {
            assert!(
                is_label_name(labels[index].as_bytes()),
                "a label has letters, digits and `_`, and no `__` at its beginning"
            );
            let mut other = 0;
            while other < index {
                assert!(
                    !is_same(labels[index].as_bytes(), labels[other].as_bytes()),
                    "a label is there twice"
                );
                other += 1;
            }
            index += 1;
        }
        Self {
            name,
            labels,
            limit: SERIES,
            kind: PhantomData,
        }
    }

    /// Bounds how many series a VM defines, which is 1,000 unless said; all others are one more.
    ///
    /// Workers have a VM each, and may meet other values first: Envoy then has more series than
    /// this, but never more than this for each VM.
    #[must_use]
    pub const fn at_most(self, series: usize) -> Self {
        Self {
            limit: series,
            ..self
        }
    }

    /// The metric's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The names of its labels.
    #[must_use]
    pub const fn labels(&self) -> &[&'static str; N] {
        &self.labels
    }

    pub(super) fn series(&'static self) -> Series<M, N> {
        Series {
            table: Table::of(M::KIND, self.name, &self.labels, self.limit),
            kind: PhantomData,
        }
    }
}

/// The series of a [`Family`] in this VM.
///
/// ```
/// use attache::metrics::{Counter, Series};
///
/// fn count(by_tier: &Series<Counter, 1>, tier: &[u8]) {
///     by_tier.with([tier]).increment();
/// }
/// ```
pub struct Series<M, const N: usize> {
    table: Rc<Table>,
    kind: PhantomData<fn() -> M>,
}

impl<M: Metric, const N: usize> Series<M, N> {
    /// The series whose labels have these values, in the order of the declaration. Its first use is
    /// a host call that defines it.
    ///
    /// Bytes of a value other than letters, digits and `_./:{}*-,+@` become `_`, and what follows
    /// the first 120 is cut off: values stand in the name of a statistic.
    #[must_use]
    pub fn with<V: AsRef<[u8]>>(&self, values: [V; N]) -> M {
        M::of(self.table.id(values.iter().map(AsRef::as_ref)))
    }
}

impl<M, const N: usize> Clone for Series<M, N> {
    fn clone(&self) -> Self {
        Self {
            table: Rc::clone(&self.table),
            kind: PhantomData,
        }
    }
}

impl<M, const N: usize> fmt::Debug for Series<M, N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Series").field(&self.table).finish()
    }
}

/// Whether Prometheus takes it for a metric's name, once Envoy has made `_` of each dot.
pub(super) const fn is_metric_name(name: &[u8]) -> bool {
    is_name(name, b":.")
}

pub(super) const fn is_label_name(name: &[u8]) -> bool {
    is_name(name, b"") && !(name.len() > 1 && name[0] == b'_' && name[1] == b'_')
}

const fn is_name(name: &[u8], more: &[u8]) -> bool {
    if name.is_empty() || name[0].is_ascii_digit() {
        return false;
    }
    let mut index = 0;
    while index < name.len() {
        let byte = name[index];
        if !byte.is_ascii_alphanumeric() && byte != b'_' && !has(more, byte) {
            return false;
        }
        index += 1;
    }
    true
}
