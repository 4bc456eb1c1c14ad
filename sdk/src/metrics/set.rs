//! Metrics whose names and labels are known only when a plugin is configured.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use log::warn;

use super::family::{is_label_name, is_metric_name};
use super::index::Index;
use super::kinds::{Metric, done};
use super::table::{OVERFLOW, SERIES, VALUE_BYTES, label_of};
use crate::error::Error;
use crate::host::metrics;
use crate::plugin::Plugin;

thread_local! {
    static SETS: RefCell<Vec<Rc<Sheet>>> = const { RefCell::new(Vec::new()) };
    /// How many series all sets of this VM have. Envoy keeps them as long as the VM lives, so those
    /// of configurations that are gone count too.
    static DEFINED: Cell<usize> = const { Cell::new(0) };
}

impl Plugin {
    /// Metrics with these labels, which are looked up together; see [`MetricSet`].
    ///
    /// `constants` are labels whose values are the same for all that this plugin counts. They keep
    /// them when there are too many series.
    ///
    /// ```
    /// use attache::metrics::{Counter, Histogram};
    /// # use attache::{ConfigError, Plugin};
    /// # fn configure(plugin: &Plugin, named: &str) -> Result<(), ConfigError> {
    /// let set = plugin.metric_set(&["tier"], &[("shop", "north")])?.at_most(500);
    /// let requests = set.metric::<Counter>(named)?;
    /// let waited = set.metric::<Histogram>("shop_waited_milliseconds")?;
    ///
    /// let series = set.series([&b"free"[..]]);
    /// series.of(requests).increment();
    /// series.of(waited).record(12);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An [`Error`] when a label is no name for one (letters, digits and `_`, no digit and no `__`
    /// first), or is there twice.
    pub fn metric_set(
        &self,
        labels: &[&str],
        constants: &[(&str, &str)],
    ) -> Result<MetricSet, Error> {
        let names = || labels.iter().chain(constants.iter().map(|(name, _)| name));
        for (index, name) in names().enumerate() {
            if !is_label_name(name.as_bytes()) || names().take(index).any(|other| other == name) {
                return Err(Error::misuse(
                    "a label has letters, digits and `_`, begins with neither a digit nor `__`, and \
                     is there once",
                ));
            }
        }
        let mut tail = String::new();
        for (name, value) in constants {
            label_of(&mut tail, name, value.as_bytes(), VALUE_BYTES);
        }
        Ok(MetricSet {
            sheet: Sheet::of(labels, tail),
            limit: SERIES,
            value_bytes: VALUE_BYTES,
        })
    }
}

/// Several metrics with the same labels, whose names are known only when a plugin is configured.
///
/// What is known when a filter is written is better declared as a [`Family`](super::Family): the
/// compiler checks it. A set looks up the values of its labels once for all its metrics, which is
/// what makes many labels affordable.
///
/// Sets of one VM that have the same labels are the same, so that a plugin that is configured again
/// finds what it has defined before.
///
/// ```
/// use attache::metrics::{Counter, Histogram, MetricSet};
///
/// fn count(set: &MetricSet, path: &[u8], bytes: u64) -> Result<(), attache::Error> {
///     // Made once, when the plugin is configured.
///     let (requests, sizes) = (set.metric::<Counter>("requests")?, set.metric::<Histogram>("bytes")?);
///     let series = set.series([path]);
///     series.of(requests).increment();
///     series.of(sizes).record(bytes);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct MetricSet {
    sheet: Rc<Sheet>,
    limit: usize,
    value_bytes: usize,
}

/// One metric of a [`MetricSet`].
///
/// ```
/// use attache::metrics::{Counter, Member, MetricSet};
/// use attache::prelude::*;
///
/// /// One counter for each name that the operator lists.
/// fn counters(set: &MetricSet, names: &[String]) -> Result<Vec<Member<Counter>>, Error> {
///     names.iter().map(|name| set.metric(name)).collect()
/// }
/// ```
pub struct Member<M> {
    index: usize,
    kind: PhantomData<fn() -> M>,
}

/// The series of a [`MetricSet`] whose labels have the same values.
///
/// ```
/// use attache::metrics::{Counter, Member, SetSeries};
///
/// fn count(series: &SetSeries<'_>, counters: &[Member<Counter>]) {
///     for counter in counters {
///         series.of(*counter).increment();
///     }
/// }
/// ```
pub struct SetSeries<'a> {
    sheet: &'a Sheet,
    name: Rc<Row>,
    is_overflow: bool,
}

/// What sets with the same labels share.
struct Sheet {
    labels: Vec<String>,
    /// The constant labels, as the name of a series has them.
    tail: String,
    metrics: RefCell<Vec<(u32, String)>>,
    rows: RefCell<Index<Rc<Row>>>,
    overflow: RefCell<Option<Rc<Row>>>,
    /// The labels that are looked up, kept so that looking up allocates nothing.
    wanted: RefCell<String>,
}

/// The series with the same labels.
struct Row {
    labels: Rc<str>,
    /// By metric. One that the host refused has no id, and is not tried again.
    ids: RefCell<Vec<Option<Option<u32>>>>,
}

impl MetricSet {
    /// Bounds how many series the sets of this VM have together, which is 1,000 unless said: a
    /// combination of values counts once for each metric of its set. What goes beyond is one more
    /// series for each metric, whose labels are `__overflow__`.
    ///
    /// ```
    /// use attache::metrics::MetricSet;
    /// use attache::prelude::*;
    ///
    /// fn of_paths(plugin: &Plugin, most: usize) -> Result<MetricSet, Error> {
    ///     Ok(plugin.metric_set(&["path"], &[])?.at_most(most))
    /// }
    /// ```
    #[must_use]
    pub fn at_most(self, series: usize) -> Self {
        Self {
            limit: series,
            ..self
        }
    }

    /// How many bytes of a label's value are kept, 120 unless said.
    ///
    /// ```
    /// use attache::metrics::MetricSet;
    /// use attache::prelude::*;
    ///
    /// /// Paths that differ behind their first 40 bytes are counted as one.
    /// fn of_paths(plugin: &Plugin) -> Result<MetricSet, Error> {
    ///     Ok(plugin.metric_set(&["path"], &[])?.value_bytes(40))
    /// }
    /// ```
    #[must_use]
    pub fn value_bytes(self, bytes: usize) -> Self {
        Self {
            value_bytes: bytes,
            ..self
        }
    }

    /// Adds a metric, or finds it.
    ///
    /// # Errors
    ///
    /// An [`Error`] when `name` is no name for a metric (letters, digits, `_`, `:` and `.`, and no
    /// digit first).
    pub fn metric<M: Metric>(&self, name: &str) -> Result<Member<M>, Error> {
        Ok(Member {
            index: self.sheet.index(M::KIND, name)?,
            kind: PhantomData,
        })
    }

    /// The series whose labels have these values, in their order; what is missing is empty.
    ///
    /// Bytes of a value other than letters, digits and `_./:{}*-,+@` become `_`.
    #[must_use]
    pub fn series<V: AsRef<[u8]>>(&self, values: impl IntoIterator<Item = V>) -> SetSeries<'_> {
        let mut wanted = self.sheet.wanted.borrow_mut();
        wanted.clear();
        let mut values = values.into_iter();
        for label in &self.sheet.labels {
            let value = values.next();
            let bytes = value.as_ref().map_or(&b""[..], AsRef::as_ref);
            label_of(&mut wanted, label, bytes, self.value_bytes);
        }
        self.sheet.row(&wanted, self.limit)
    }
}

impl SetSeries<'_> {
    /// The metric among these series. Its first use is a host call that defines it.
    #[must_use]
    pub fn of<M: Metric>(&self, member: Member<M>) -> M {
        M::of(self.sheet.id(&self.name, member.index))
    }

    /// Whether these are the ones for what is too much.
    ///
    /// ```
    /// use attache::metrics::MetricSet;
    ///
    /// fn warn_once(set: &MetricSet, path: &[u8], warned: &std::cell::Cell<bool>) {
    ///     if set.series([path]).is_overflow() && !warned.replace(true) {
    ///         attache::log::warn!("there are more paths than series");
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.is_overflow
    }
}

impl Sheet {
    fn of(labels: &[&str], tail: String) -> Rc<Self> {
        SETS.with_borrow_mut(|sets| {
            let same = |sheet: &&Rc<Self>| sheet.labels == labels && sheet.tail == tail;
            if let Some(sheet) = sets.iter().find(same) {
                return Rc::clone(sheet);
            }
            let sheet = Rc::new(Self {
                labels: labels.iter().map(|label| (*label).to_owned()).collect(),
                tail,
                metrics: RefCell::default(),
                rows: RefCell::default(),
                overflow: RefCell::default(),
                wanted: RefCell::default(),
            });
            sets.push(Rc::clone(&sheet));
            sheet
        })
    }

    fn index(&self, kind: u32, name: &str) -> Result<usize, Error> {
        if !is_metric_name(name.as_bytes()) {
            return Err(Error::misuse(
                "a metric's name has letters, digits, `_`, `:` and `.`, and does not begin with a digit",
            ));
        }
        let mut metrics = self.metrics.borrow_mut();
        let known = metrics
            .iter()
            .position(|(own, other)| *own == kind && other == name);
        Ok(known.unwrap_or_else(|| {
            metrics.push((kind, name.to_owned()));
            metrics.len() - 1
        }))
    }

    fn row(&self, wanted: &str, limit: usize) -> SetSeries<'_> {
        let mut rows = self.rows.borrow_mut();
        if let Some(row) = rows.get(wanted) {
            return self.series(row, false);
        }
        let after = DEFINED.get().saturating_add(self.metrics.borrow().len());
        if after <= limit {
            DEFINED.set(after);
            let row = Rc::new(Row::new(wanted));
            rows.insert(Rc::clone(&row.labels), Rc::clone(&row));
            return self.series(&row, false);
        }
        let mut overflow = self.overflow.borrow_mut();
        let row = overflow.get_or_insert_with(|| {
            warn!("there are {limit} series in this VM; more labels are counted as one");
            let mut labels = String::new();
            for label in &self.labels {
                label_of(&mut labels, label, OVERFLOW, OVERFLOW.len());
            }
            Rc::new(Row::new(&labels))
        });
        self.series(row, true)
    }

    fn series(&self, row: &Rc<Row>, is_overflow: bool) -> SetSeries<'_> {
        SetSeries {
            sheet: self,
            name: Rc::clone(row),
            is_overflow,
        }
    }

    fn id(&self, row: &Row, index: usize) -> Option<u32> {
        let mut ids = row.ids.borrow_mut();
        if ids.len() <= index {
            ids.resize(index + 1, None);
        }
        let place = ids.get_mut(index)?;
        *place.get_or_insert_with(|| {
            let metrics = self.metrics.borrow();
            let (kind, metric) = metrics.get(index)?;
            let mut name = metric.clone();
            name.push_str(&row.labels);
            name.push_str(&self.tail);
            let defined = metrics::define(*kind, &name);
            let id = defined.as_ref().ok().copied();
            done(defined.map(drop));
            id
        })
    }
}

impl Row {
    fn new(labels: &str) -> Self {
        Self {
            labels: Rc::from(labels),
            ids: RefCell::default(),
        }
    }
}

impl<M> Clone for Member<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Member<M> {}

impl<M> fmt::Debug for Member<M> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Member").field(&self.index).finish()
    }
}

impl fmt::Debug for MetricSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MetricSet")
            .field("labels", &self.sheet.labels)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SetSeries<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SetSeries")
            .field("labels", &self.name.labels)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
