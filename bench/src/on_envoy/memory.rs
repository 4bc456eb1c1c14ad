//! What plugins and streams take of a real Envoy's memory, and what is left after many streams.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use attache_envoy::{Envoy, RunFolder, StartOptions};

use super::filters::{lua, wasm, wasm_configured};
use super::guests::Modules;
use super::load::{Client, hold};
use super::peers::Peers;
use super::work::{Candidate, NOWHERE, Work};
use super::{bootstrap, installation};
use crate::process::Process;
use crate::report::Extent;
use crate::report::outcome::{Cell, Found, Table};

/// Plugins in one Envoy, each in a VM of its own.
const PLUGINS: usize = 20;

/// Canary, main thread and one worker have a VM each; the canary's ends.
const KEPT: usize = 2;

/// Streams that wait at once.
const WAITING: usize = 400;

const GET: &str = "GET /orders?page=2 HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer x\r\n\r\n";

const WITHOUT: &str = "no filter";

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

/// What a plugin takes, as the difference between Envoys with many and without.
fn plugins(modules: &Modules<'_>, folder: &Path) -> anyhow::Result<Table> {
    let measure = |filter: Option<&dyn Fn(&str) -> serde_json::Value>| -> anyhow::Result<u64> {
        let mut listener = Candidate::new(WITHOUT, None);
        if let Some(filter) = filter {
            // All in one chain, under names of their own.
            let all = (0..PLUGINS).map(|number| filter(&format!("plugin-{number}")));
            listener.filters = all.collect();
        }
        let (envoy, process) = start(&chains(vec![listener]), &Peers::default(), folder)?;
        let address = envoy.listener_address(WITHOUT)?;
        Client::connect(address, GET.as_bytes())?.send(200)?;
        let memory = process.memory()?;
        envoy.stop()?;
        Ok(memory)
    };
    let without = measure(None)?;
    let mut table = Table::new(
        "A plugin",
        &format!(
            "Resident memory of an Envoy with one worker and {PLUGINS} plugins, each in VMs of its own, less that without, for \
             one plugin: two VMs stay, of the main thread and of the worker. Each had 200 requests before."
        ),
        &["", "KiB a plugin"],
    );
    let megabytes = |memory: u64| memory as f64 / f64::from(1 << 20);
    for (name, path, configuration) in [
        ("raw imports", modules.raw("header")?, ""),
        ("bare proxy-wasm", modules.bare("header", &[])?.0, ""),
        ("SDK", modules.sdk("header")?, ""),
        ("auth-scrub", modules.shipped("auth-scrub")?, "{}"),
        ("metrics", modules.shipped("metrics")?, "{}"),
        (
            "transform",
            modules.shipped("transform")?,
            r#"{"request": {"rules": [{"steps": [{"op": "set", "header": "x-bench", "value": "1"}]}]}}"#,
        ),
    ] {
        let with = measure(Some(&|id: &str| match configuration {
            "" => wasm(id, &path),
            _ => wasm_configured(id, &path, configuration),
        }))?;
        let each = (megabytes(with) - megabytes(without)) * 1024.0 / PLUGINS as f64;
        table.row(name, [Cell::from(each.round())]);
    }
    let with = measure(Some(&|_: &str| lua(include_str!("scripts/header.lua"))))?;
    let each = (megabytes(with) - megabytes(without)) * 1024.0 / PLUGINS as f64;
    table.row("Lua script", [Cell::from(each.round())]);
    table.row(
        format!("Envoy without a filter, in all ({KEPT} threads)"),
        [Cell::from((megabytes(without) * 1024.0).round())],
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
