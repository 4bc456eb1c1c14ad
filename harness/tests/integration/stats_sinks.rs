//! What a stats sink is told. The layout was read in dumps that an Envoy 1.40 handed out.

use std::collections::BTreeMap;
use std::time::Duration;

use attache_harness::{Argument, Event, Host, HostError, LintKind};

use crate::guest::{Guest, guest, said};

type Tested = Result<(), HostError>;

/// Defines a counter, a gauge and one of each that is never used.
const DEFINES: &str = "
    (drop (call $define_metric (i32.const 0) s(gained) (i32.const 24)))
    (drop (call $increment_metric (i32.load (i32.const 24)) (i64.const 5)))
    (drop (call $define_metric (i32.const 0) s(unused) (i32.const 24)))
    (drop (call $define_metric (i32.const 1) s(level) (i32.const 24)))
    (drop (call $record_metric (i32.load (i32.const 24)) (i64.const 77)))
    (drop (call $define_metric (i32.const 1) s(idle) (i32.const 24)))";

/// Reads the first 8 KiB, which hold all stats.
fn reads() -> Guest {
    guest()
        .on("configure", &format!("{DEFINES} i32.const 1"))
        .on(
            "envoy_on_stats_update",
            "(drop (call $get_buffer_bytes (i32.const 8) (i32.const 0) (i32.const 8192) ret))",
        )
        .with("(func (export \"unused\"))")
}

fn started(sink: &Guest) -> Host {
    Host::builder()
        .stats_sink(sink.plugin("sink"))
        .start()
        .expect("the sink starts")
}

/// The sizes, the counts, and the stats with value and delta, of the flush that was read last.
struct Told {
    sizes: [u32; 2],
    counts: [u32; 2],
    counters: BTreeMap<String, (u64, u64)>,
    gauges: BTreeMap<String, u64>,
}

fn told(host: &Host) -> Told {
    let bytes = host
        .timeline()
        .events()
        .filter_map(|event| match event {
            Event::HostCall(call) if call.name == "proxy_get_buffer_bytes" => call.returned.clone(),
            _ => None,
        })
        .last();
    let Some(Argument::Bytes(bytes)) = bytes else {
        panic!("the sink read nothing\n{}", host.timeline());
    };
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let mut told = Told {
        sizes: [u32_at(0), 0],
        counts: [u32_at(8), 0],
        counters: BTreeMap::new(),
        gauges: BTreeMap::new(),
    };
    assert_eq!(u32_at(4), 1);
    let entry = |at: usize| {
        let name = at + 4..at + 4 + u32_at(at) as usize;
        let value = name.end.next_multiple_of(8);
        (String::from_utf8_lossy(&bytes[name]).into_owned(), value)
    };
    let mut at = 12;
    while at < told.sizes[0] as usize {
        let (name, value) = entry(at);
        told.counters
            .insert(name, (u64_at(value), u64_at(value + 8)));
        at = value + 16;
    }
    (told.sizes[1], told.counts[1]) = (u32_at(at), u32_at(at + 8));
    assert_eq!(u32_at(at + 4), 2);
    at += 12;
    while at < bytes.len() && u32_at(at) > 0 {
        let (name, value) = entry(at);
        told.gauges.insert(name, u64_at(value));
        at = value + 8;
    }
    told
}

#[test]
fn a_sink_is_told_of_used_stats_with_what_counters_gained() -> Tested {
    let mut host = started(&reads());
    host.flush_stats()?;
    let first = told(&host);
    assert_eq!(
        first.counters.get("wasmcustom.gained"),
        Some(&(10, 10)),
        "canary and main thread: a sink runs in no worker"
    );
    assert_eq!(first.gauges.get("wasmcustom.level"), Some(&77));
    assert_eq!(first.gauges.get("server.live"), Some(&1));
    for unused in [
        "wasmcustom.unused",
        "wasmcustom.idle",
        "wasm.sink.vm_reload",
    ] {
        assert!(!first.counters.contains_key(unused) && !first.gauges.contains_key(unused));
    }
    assert!(first.counts[0] as usize > first.counters.len());
    assert_eq!(first.counts[1] as usize, first.gauges.len() + 1);

    host.flush_stats()?;
    let second = told(&host);
    assert_eq!(second.counters.get("wasmcustom.gained"), Some(&(10, 0)));
    Ok(())
}

#[test]
fn the_size_that_a_sink_is_told_is_wrong_and_to_believe_it_is_a_lint() -> Tested {
    let mut host = started(&reads());
    host.flush_stats()?;
    let Told { sizes, .. } = told(&host);
    let told = sizes[0].wrapping_add(sizes[1]);
    assert!(told > 1 << 25, "{told}");
    let kinds: Vec<LintKind> = host.lints().iter().map(|lint| lint.kind).collect();
    assert!(kinds.contains(&LintKind::StatsBufferSize), "{kinds:?}");

    let believes = guest().on(
        "envoy_on_stats_update",
        "(call $say (call $get_buffer_status (i32.const 8) (i32.const 24) (i32.const 28)))
         (call $say (i32.eq (local.get $n) (i32.load (i32.const 24))))
         (call $say (call $get_buffer_bytes (i32.const 8) (i32.const 0) (local.get $n) ret))",
    );
    let mut host = started(&believes);
    host.flush_stats()?;
    assert_eq!(
        said(host.log()),
        ["0", "1", "6"],
        "its memory has no room for that"
    );
    Ok(())
}

#[test]
fn stats_are_flushed_at_the_interval_and_when_the_workers_are_gone() -> Tested {
    let sink = guest()
        .on("envoy_on_stats_update", "(call $text s(flush))")
        .on("done", "(call $text s(done)) i32.const 1");
    let filter = guest().on("done", "(call $text s(filter)) i32.const 1");
    let mut host = Host::builder()
        .plugin(filter.plugin("filter"))
        .stats_sink(sink.plugin("sink"))
        .stats_flush_interval(Duration::from_secs(1))
        .start()?;
    host.advance(Duration::from_millis(2500))?;
    assert_eq!(said(host.log()), ["flush"; 2]);
    host.shut_down()?;
    assert_eq!(
        said(&host.log()[2..]),
        ["filter", "flush", "filter", "done"],
        "the worker, the main thread, and then what runs there only"
    );
    Ok(())
}

#[test]
fn a_sink_that_traps_is_told_no_more() -> Tested {
    let mut host =
        started(&guest().on("envoy_on_stats_update", "(call $text s(told)) unreachable"));
    host.flush_stats()?;
    host.flush_stats()?;
    let told = said(host.log())
        .iter()
        .filter(|line| **line == "told")
        .count();
    assert_eq!(told, 1);
    Ok(())
}
