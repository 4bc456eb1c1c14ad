//! What plugins and streams take of a real Envoy's memory, and what is left after many streams.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use attache_envoy::{Envoy, RunFolder, StartOptions};
use serde_json::Value;

use super::filters::{lua, wasm, wasm_configured};
use super::guests::Modules;
use super::load::{Client, hold};
use super::peers::Peers;
use super::work::{Candidate, NOWHERE, Work};
use super::{bootstrap, installation};
use crate::interval::Median;
use crate::process::Process;
use crate::report::Extent;
use crate::report::outcome::{Cell, Found, Table};

/// Plugins of a module beside the first, each in VMs of its own.
const FURTHER: usize = 19;

/// How often Envoys are started for plugins: the least of which lowest and highest hold a median at 95 %, and one.
const TIMES: usize = 7;

/// Streams that wait at once.
const WAITING: usize = 400;

const GET: &str = "GET /orders?page=2 HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer x\r\n\r\n";

const WITHOUT: &str = "no filter";

/// A filter under a name.
type Filter<'a> = dyn Fn(&str) -> Value + 'a;

/// Measures all three.
pub(crate) fn run(root: &Path, extent: Extent) -> anyhow::Result<Found> {
    let folder = RunFolder::claim(&root.join("target/tmp/bench"))?;
    let modules = Modules::new(root, &folder);
    Ok(Found {
        extent: format!("{} streams.", extent.streams),
        tables: vec![
            plugins(&modules, &folder)?,
            waiting(&modules, &folder)?,
            growth(&modules, &folder, extent.streams)?,
        ],
        plots: Vec::new(),
    })
}

/// An Envoy with a worker, and the process that it is.
fn start(work: &Work, peers: &Peers, folder: &Path) -> anyhow::Result<(Envoy, Process)> {
    let installation = installation()?;
    let config = folder.join("envoy.json");
    std::fs::write(&config, bootstrap::bootstrap(work, peers).to_string())?;
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    let envoy = Envoy::start(&installation, &config, folder, options)?;
    let process = Process::find(&installation.path, &config)?;
    Ok((envoy, process))
}

fn chains(candidates: Vec<Candidate>) -> Work {
    Work {
        title: "memory",
        note: String::new(),
        request: GET.into(),
        requests: 200,
        goes: NOWHERE,
        candidates,
        ours: WITHOUT,
    }
}

/// What the first plugin of a module takes, and each further one.
fn plugins(modules: &Modules<'_>, folder: &Path) -> anyhow::Result<Table> {
    let measure = |count: usize, filter: &Filter<'_>| -> anyhow::Result<f64> {
        let mut listener = Candidate::new(WITHOUT, None);
        // All in one chain, under names of their own.
        let all = (0..count).map(|number| filter(&format!("plugin-{number}")));
        listener.filters = all.collect();
        let (envoy, process) = start(&chains(vec![listener]), &Peers::default(), folder)?;
        let address = envoy.listener_address(WITHOUT)?;
        Client::connect(address, GET.as_bytes())?.send(200)?;
        let memory = process.memory()?;
        envoy.stop()?;
        Ok(memory as f64 / 1024.0)
    };
    let mut table = Table::new(
        "A plugin",
        &format!(
            "Resident memory of an Envoy with one worker. The first plugin is what an Envoy with one takes more than without: \
             what V8 takes for itself is in it, and the compiled code of the module. A further one is what an Envoy with {} \
             takes more than with one, for one of {FURTHER}, whose modules are the same bytes and have VMs of their own. Of \
             the four VMs of a plugin three stay: the base, and those of the main thread and of the worker. Each had 200 requests \
             before. Each Envoy was started {TIMES} times, in turns.",
            1 + FURTHER
        ),
        &["", "the first plugin, KiB", "each further one, KiB"],
    );
    let module = |path: PathBuf, configuration: &'static str| -> Box<Filter<'static>> {
        Box::new(move |id| match configuration {
            "" => wasm(id, &path),
            _ => wasm_configured(id, &path, configuration),
        })
    };
    let rewrite = r#"{"request": {"rules": [{"steps": [{"op": "set", "header": "x-bench", "value": "1"}]}]}}"#;
    let all = [
        ("raw imports", module(modules.raw("header")?, "")),
        (
            "bare proxy-wasm",
            module(modules.bare("header", &[])?.0, ""),
        ),
        ("SDK", module(modules.sdk("header")?, "")),
        ("auth-scrub", module(modules.shipped("auth-scrub")?, "{}")),
        ("metrics", module(modules.shipped("metrics")?, "{}")),
        ("transform", module(modules.shipped("transform")?, rewrite)),
        (
            "Lua script",
            Box::new(|_| lua(include_str!("scripts/header.lua"))),
        ),
    ];
    let mut without = Vec::new();
    let mut added = vec![(Vec::new(), Vec::new()); all.len()];
    for turn in 0..TIMES {
        eprint!("\rturn {} of {TIMES}", turn + 1);
        let empty = measure(0, &all[0].1)?;
        for ((_, filter), (first, further)) in all.iter().zip(&mut added) {
            let one = measure(1, filter)?;
            first.push(one - empty);
            further.push((measure(1 + FURTHER, filter)? - one) / FURTHER as f64);
        }
        without.push(empty);
    }
    eprintln!();
    for ((name, _), (first, further)) in all.iter().zip(added) {
        let cells = [first, further].map(|numbers| Cell::from(Median::of(numbers)));
        table.row(*name, cells);
    }
    table.row(
        "Envoy without a filter, in all (main thread and one worker)",
        [Cell::from(Median::of(without)), "".into()],
    );
    Ok(table)
}

/// What a stream takes that waits for an answer.
fn waiting(modules: &Modules<'_>, folder: &Path) -> anyhow::Result<Table> {
    let peers = Peers::default().silent()?;
    let (bare, _) = modules.bare("call", &[])?;
    let sdk = modules.sdk("call")?;
    let raw = modules.raw("call")?;
    let all = [
        Candidate::new("Lua", lua(include_str!("scripts/call.lua"))),
        Candidate::new("raw imports", wasm("raw", &raw)),
        Candidate::new("bare proxy-wasm", wasm("bare", &bare)),
        Candidate::new("SDK", wasm("sdk", &sdk)),
    ];
    let mut table = Table::new(
        "A stream that waits",
        &format!(
            "{WAITING} requests wait at once for the answer to a call-out that does not come; what the process grew by, for \
             one of them. Connections and buffers of both sides of Envoy are in it, alike in all rows."
        ),
        &["", "KiB a stream"],
    );
    for candidate in all {
        let name = candidate.name;
        let work = chains(vec![candidate]);
        // One of its own: what others gave back would be used again.
        let (envoy, process) = start(&work, &peers, folder)?;
        let address = envoy.listener_address(name)?;
        // What is made once is made before.
        drop(hold(address, &work.request, 20)?);
        std::thread::sleep(Duration::from_millis(300));
        let before = process.memory()?;
        let held = hold(address, &work.request, WAITING)?;
        std::thread::sleep(Duration::from_millis(500));
        let after = process.memory()?;
        drop(held);
        envoy.stop()?;
        let each = (after as f64 - before as f64) / 1024.0 / WAITING as f64;
        table.row(name, [Cell::from(each)]);
    }
    Ok(table)
}

/// Resident memory after a tenth of the streams, half and all.
fn growth(modules: &Modules<'_>, folder: &Path, streams: usize) -> anyhow::Result<Table> {
    let rewrite = r#"{"request": {"rules": [{"steps": [
        {"op": "set", "header": "x-bench", "value": "1"}, {"op": "set", "query": "tenant", "value": "acme"}]}]}}"#;
    let shipped = |package: &'static str, configuration| -> anyhow::Result<Candidate> {
        let path = modules.shipped(package)?;
        Ok(Candidate::new(
            package,
            wasm_configured(package, &path, configuration),
        ))
    };
    let all = [
        Candidate::new(WITHOUT, None),
        shipped("auth-scrub", "{}")?,
        shipped("metrics", "{}")?,
        shipped("transform", rewrite)?,
    ];
    let mut table = Table::new(
        "Growth over many streams",
        &format!(
            "Resident memory of an Envoy, each with one filter, after a tenth, a half and all of {streams} streams, in MiB."
        ),
        &["", "after a tenth", "after a half", "after all"],
    );
    for candidate in all {
        let name = candidate.name;
        eprintln!("{name}: {streams} streams");
        let (envoy, process) = start(&chains(vec![candidate]), &Peers::default(), folder)?;
        let mut client = Client::connect(envoy.listener_address(name)?, GET.as_bytes())?;
        let mut cells = Vec::new();
        let mut sent = 0;
        for until in [streams / 10, streams / 2, streams] {
            sent += client.send(until.saturating_sub(sent))?.0;
            cells.push(Cell::from(process.memory()? as f64 / f64::from(1 << 20)));
        }
        envoy.stop().context("Envoy did not end")?;
        table.row(name, cells);
    }
    Ok(table)
}
