//! Counters, gauges and histograms: the statistics `wasmcustom.<name>` of Envoy.

use super::{check, raw};
use crate::status::HostError;

// The kinds of metrics, with the ABI's numbers (`proxy_metric_type_t`).
pub(crate) const COUNTER: u32 = 0;
pub(crate) const GAUGE: u32 = 1;
pub(crate) const HISTOGRAM: u32 = 2;

/// Defines a metric and hands out its id. Each call makes a new id, also of a name that has one.
pub(crate) fn define(kind: u32, name: &str) -> Result<u32, HostError> {
    let mut id = 0;
    let raw = raw::metrics::define(kind, name.as_bytes(), &mut id);
    check("proxy_define_metric", raw)?;
    Ok(id)
}

/// Adds to a counter, which refuses what is not above 0, or to a gauge.
pub(crate) fn increment(id: u32, offset: i64) -> Result<(), HostError> {
    check(
        "proxy_increment_metric",
        raw::metrics::increment(id, offset),
    )
}

/// Sets a gauge, or records a value of a histogram.
pub(crate) fn record(id: u32, value: u64) -> Result<(), HostError> {
    check("proxy_record_metric", raw::metrics::record(id, value))
}

/// The value of a counter or gauge, over all VMs.
pub(crate) fn value(id: u32) -> Result<u64, HostError> {
    let mut value = 0;
    check("proxy_get_metric", raw::metrics::value(id, &mut value))?;
    Ok(value)
}
