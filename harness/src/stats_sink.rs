//! Stats sinks: `envoy_on_stats_update`, and the stats that it is told of in buffer 8.
//!
//! The layout, with its faults, is that of `Context::onStatsUpdate` in Envoy's `context.cc`: a block
//! of counters and a block of gauges, each with its size, its kind and a count. The count includes
//! stats that were never used, which are not written. The size of the gauges' block is added up
//! wrongly, about doubled with each gauge, in 32 bits: an idle Envoy 1.40 told of 3 GB with 3 KB in
//! them.

use std::time::Duration;

use crate::agenda::Event;
use crate::metrics::Kind;
use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::reload::RELOAD_STATS;
use crate::vm::{LastBuffer, Phase};

/// Gauges that every Envoy has, whatever it is configured for, with the values of an idle one where
/// the host has none of its own. They are in the snapshot because the size that a sink is told of
/// depends on their number.
const STANDING: &[(&str, u64)] = &[
    ("server.state", 0),
    ("server.live", 1),
    ("server.version", 0),
    ("server.total_connections", 0),
    ("server.parent_connections", 0),
    ("server.hot_restart_epoch", 0),
    ("server.hot_restart_generation", 1),
    ("server.days_until_first_cert_expiring", u32::MAX as u64),
    ("server.compilation_settings.fips_mode", 0),
    ("server.memory_allocated", 8 << 20),
    ("server.memory_heap_size", 12 << 20),
    ("server.memory_physical_size", 16 << 20),
    ("server.stats_recent_lookups", 0),
    ("runtime.num_keys", 0),
    ("runtime.num_layers", 0),
    ("cluster_manager.warming_clusters", 0),
    ("listener_manager.workers_started", 1),
];

/// One stat at the time of a flush.
pub(crate) struct Stat {
    name: Vec<u8>,
    value: u64,
    /// What a counter gained since the flush before.
    delta: u64,
    /// Whether it was ever changed. Envoy writes no others.
    used: bool,
}

impl Stat {
    pub(crate) fn new(name: impl Into<Vec<u8>>, value: u64, delta: u64, used: bool) -> Self {
        let name = name.into();
        Self {
            name,
            value,
            delta,
            used,
        }
    }
}

/// All stats at the time of a flush.
struct Snapshot {
    counters: Vec<Stat>,
    gauges: Vec<Stat>,
}

/// What buffer 8 shows to a stats sink.
#[derive(Clone, Default)]
pub(crate) struct StatsBuffer {
    /// What Envoy has written.
    pub(crate) content: Vec<u8>,
    /// What Envoy says that there is.
    pub(crate) size: u32,
}

impl Proxy {
    /// Tells the stats sinks of all stats, as the main thread does at each flush.
    pub(crate) fn flush_stats(&mut self) -> Moved {
        if self.entries.stats_sinks.is_empty() || self.world.mutated(Rule::SinksAreNotTold) {
            return Ok(());
        }
        let kinds = match self.world.mutated(Rule::StatsHaveAnotherOrder) {
            true => [2, 1],
            false => [1, 2],
        };
        let buffer = serialize(&self.snapshot(), kinds);
        for at in 0..self.entries.stats_sinks.len() {
            let plugin = self.entries.stats_sinks[at];
            let Some(handle) = self.handle_for_stream(0, plugin)? else {
                continue;
            };
            let (vm, root) = (handle.vm, handle.root);
            if self.vms[vm].failed || self.vms[vm].callbacks.stats_update.is_none() {
                continue;
            }
            if let Some(context) = self.vms[vm].state().contexts.get_mut(&root) {
                context.last_buffer = LastBuffer::HandedOut(Box::new(buffer.clone()));
            }
            let at = (Phase::StatsUpdate, root, None);
            let arguments = (root, buffer.size);
            self.call(
                vm,
                at,
                "envoy_on_stats_update",
                |all| &all.stats_update,
                arguments,
            )?;
            self.run_deferred(vm)?;
        }
        Ok(())
    }

    /// Puts the next flush on the agenda, if there is anybody to tell.
    pub(crate) fn schedule_flush(&mut self, interval: Duration) {
        let first = self.world.clock.now() == self.world.started;
        let ended = !first && self.world.mutated(Rule::SinksAreToldOnce);
        if !self.entries.stats_sinks.is_empty() && !ended {
            let due = self.world.clock.now().saturating_add(interval);
            self.world.schedule(due, Event::FlushStats { interval });
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let uptime = (self.world.clock.now() - self.world.started).as_secs();
        let workers = (self.threads.len() - 1) as u64;
        let own = [
            ("server.uptime", uptime),
            ("server.concurrency", workers),
            ("wasm.envoy.wasm.runtime.v8.active", self.vms_active),
            ("wasm.wasm_vm_count", self.vms_active),
        ];
        let standing = STANDING.iter().copied().chain(own);
        let mut gauges: Vec<Stat> = standing
            .map(|(name, value)| Stat::new(name, value, 0, true))
            .collect();
        gauges.extend(self.world.metrics.snapshot(Kind::Gauge));
        let mut counters = self.own_counters();
        counters.extend(self.world.metrics.snapshot(Kind::Counter));
        Snapshot { counters, gauges }
    }

    /// The counters of Envoy's Wasm code.
    fn own_counters(&mut self) -> Vec<Stat> {
        const CREATED: &str = "wasm.envoy.wasm.runtime.v8.created";
        let mut values = vec![(CREATED.to_owned(), self.vms_created)];
        for info in &self.world.plugins {
            for kind in RELOAD_STATS {
                let name = format!("wasm.{}.{kind}", info.name);
                if !values.iter().any(|(known, _)| *known == name) {
                    let value = self.reloads.get(&name).copied().unwrap_or(0);
                    values.push((name, value));
                }
            }
        }
        let flushed = &mut self.flushed;
        let counter = |(name, value): (String, u64)| {
            let before = flushed.insert(name.clone(), value).unwrap_or(0);
            Stat::new(name, value, value - before, value > 0)
        };
        values.into_iter().map(counter).collect()
    }
}

/// Writes the two blocks.
fn serialize(snapshot: &Snapshot, kinds: [u32; 2]) -> StatsBuffer {
    let mut content = Vec::new();
    let counters = counters_size(&snapshot.counters);
    let gauges = gauges_size(&snapshot.gauges);
    for kind in kinds {
        match kind {
            1 => block(&mut content, counters, 1, &snapshot.counters),
            kind => block(&mut content, gauges, kind, &snapshot.gauges),
        }
    }
    StatsBuffer {
        content,
        size: counters.wrapping_add(gauges),
    }
}

fn block(content: &mut Vec<u8>, size: u32, kind: u32, stats: &[Stat]) {
    for number in [size, kind, number(stats.len())] {
        content.extend(number.to_le_bytes());
    }
    for stat in stats.iter().filter(|stat| stat.used) {
        content.extend(number(stat.name.len()).to_le_bytes());
        content.extend(&stat.name);
        // Envoy leaves what was in memory before.
        content.resize(content.len().next_multiple_of(8), 0);
        content.extend(stat.value.to_le_bytes());
        if kind == 1 {
            content.extend(stat.delta.to_le_bytes());
        }
    }
}

/// 12 bytes, and for each counter its name with its length, and two numbers.
fn counters_size(stats: &[Stat]) -> u32 {
    used(stats).fold(12, |size, name| align(size.wrapping_add(4 + name + 16)))
}

/// The fault: what is added is aligned together with everything before, and so added twice.
fn gauges_size(stats: &[Stat]) -> u32 {
    used(stats).fold(12, |size: u32, name| {
        let named = size.wrapping_add(4 + name);
        named.wrapping_add(align(named.wrapping_add(8)))
    })
}

/// The sizes of the names that are written.
fn used(stats: &[Stat]) -> impl Iterator<Item = u32> {
    let used = stats.iter().filter(|stat| stat.used);
    used.map(|stat| number(stat.name.len()))
}

fn align(size: u32) -> u32 {
    size.wrapping_add(7) & !7
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 37 gauges with names as an idle Envoy 1.40 has them: it told of 3,174,201,143 bytes, which is
    /// what its order of names made of it.
    #[test]
    fn the_size_of_gauges_about_doubles_with_each() {
        let gauges = |count: usize| -> Vec<Stat> {
            (0..count)
                .map(|_| Stat::new("server.live", 1, 0, true))
                .collect()
        };
        let sizes: Vec<u32> = (0..4).map(|count| gauges_size(&gauges(count))).collect();
        assert_eq!(sizes, [12, 67, 178, 401]);
        assert!(gauges_size(&gauges(24)) > 1 << 28);
    }

    #[test]
    fn unused_stats_are_counted_and_not_written() {
        let snapshot = Snapshot {
            counters: vec![
                Stat::new("seen", 7, 2, true),
                Stat::new("never", 0, 0, false),
            ],
            gauges: vec![Stat::new("gauge", 9, 0, true)],
        };
        let buffer = serialize(&snapshot, [1, 2]);
        let mut expected = Vec::new();
        for number in [40_u32, 1, 2, 4] {
            expected.extend(number.to_le_bytes());
        }
        expected.extend(b"seen\0\0\0\0");
        expected.extend(7_u64.to_le_bytes());
        expected.extend(2_u64.to_le_bytes());
        for number in [53_u32, 2, 1, 5] {
            expected.extend(number.to_le_bytes());
        }
        expected.extend(b"gauge\0\0\0");
        expected.extend(9_u64.to_le_bytes());
        assert_eq!(buffer.content, expected);
        assert_eq!(buffer.size, 93);
    }
}
