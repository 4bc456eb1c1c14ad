//! What this VM has defined. Envoy makes a new id each time a name is defined and keeps all of them,
//! so a name is defined once, however often a plugin is configured.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use log::warn;

use super::index::Index;
use super::kinds::done;
use crate::host::metrics;
use crate::status::HostError;

/// What the labels say when there are too many series.
pub(super) const OVERFLOW: &[u8] = b"__overflow__";

/// How many series there are unless somebody says otherwise.
pub(super) const SERIES: usize = 1_000;

/// How many bytes of a label's value are kept.
pub(super) const VALUE_BYTES: usize = 120;

thread_local! {
    /// By the kind's digit and the name.
    static PLAIN: RefCell<Index<u32>> = const { RefCell::new(Index::new()) };
    static TABLES: RefCell<Vec<Rc<Table>>> = const { RefCell::new(Vec::new()) };
}

/// Defines a metric without labels, unless this VM has done so before.
pub(super) fn define(kind: u32, name: &str) -> Result<u32, HostError> {
    let digit = char::from_digit(kind, 10).unwrap_or_default();
    let mut key = String::from(digit);
    key.push_str(name);
    if let Some(id) = PLAIN.with_borrow(|plain| plain.get(&key).copied()) {
        return Ok(id);
    }
    let id = metrics::define(kind, name)?;
    PLAIN.with_borrow_mut(|plain| plain.insert(Rc::from(key), id));
    Ok(id)
}

/// The series of one family.
#[derive(Debug)]
pub(super) struct Table {
    kind: u32,
    name: &'static str,
    labels: &'static [&'static str],
    limit: Cell<usize>,
    /// By the whole name. One that the host refused has no id, and is not tried again.
    series: RefCell<Index<Option<u32>>>,
    overflow: Cell<Option<Option<u32>>>,
    /// The name that is looked up, kept so that looking up allocates nothing.
    wanted: RefCell<String>,
}

impl Table {
    /// This VM's table of a family. The last one to ask says how many series there may be.
    pub(super) fn of(
        kind: u32,
        name: &'static str,
        labels: &'static [&'static str],
        limit: usize,
    ) -> Rc<Self> {
        TABLES.with_borrow_mut(|tables| {
            let same = |table: &&Rc<Self>| {
                table.kind == kind && table.name == name && table.labels == labels
            };
            if let Some(table) = tables.iter().find(same) {
                table.limit.set(limit);
                return Rc::clone(table);
            }
            let table = Rc::new(Self {
                kind,
                name,
                labels,
                limit: Cell::new(limit),
                series: RefCell::default(),
                overflow: Cell::new(None),
                wanted: RefCell::default(),
            });
            tables.push(Rc::clone(&table));
            table
        })
    }

    /// The id of the series with these values, one for each label.
    pub(super) fn id<'v>(&self, values: impl Iterator<Item = &'v [u8]>) -> Option<u32> {
        let mut wanted = self.wanted.borrow_mut();
        self.spell(&mut wanted, values);
        let mut series = self.series.borrow_mut();
        if let Some(id) = series.get(wanted.as_str()) {
            return *id;
        }
        if series.len() < self.limit.get() {
            let id = self.define(&wanted);
            series.insert(Rc::from(wanted.as_str()), id);
            return id;
        }
        if let Some(id) = self.overflow.get() {
            return id;
        }
        warn!(
            "the metric {} has over {} series in this VM; the rest are counted as one",
            self.name,
            series.len()
        );
        self.spell(&mut wanted, self.labels.iter().map(|_| OVERFLOW));
        let id = self.define(&wanted);
        self.overflow.set(Some(id));
        id
    }

    fn spell<'v>(&self, name: &mut String, values: impl Iterator<Item = &'v [u8]>) {
        name.clear();
        name.push_str(self.name);
        for (label, value) in self.labels.iter().zip(values) {
            label_of(name, label, value, VALUE_BYTES);
        }
    }

    fn define(&self, name: &str) -> Option<u32> {
        let defined = metrics::define(self.kind, name);
        let id = defined.as_ref().ok().copied();
        done(defined.map(drop));
        id
    }
}

/// Appends a label as the name of a series has it, with `most` bytes of its value. Bytes that would end it, or mean something to
/// what reads statistics, become `_`.
pub(super) fn label_of(name: &mut String, label: &str, value: &[u8], most: usize) {
    name.push(';');
    name.push_str(label);
    name.push('=');
    name.extend(value.iter().take(most).map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte),
        b'_' | b'.' | b'/' | b':' | b'{' | b'}' | b'*' | b'-' | b',' | b'+' | b'@' => {
            char::from(*byte)
        }
        _ => '_',
    }));
}
