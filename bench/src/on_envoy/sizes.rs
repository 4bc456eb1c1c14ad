//! Bytes of what is shipped, and how long Envoy takes to start with it.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};
use attache_envoy::{Envoy, RunFolder, StartOptions};
use serde_json::Value;

use super::filters::{lua, wasm, wasm_configured};
use super::guests::Modules;
use super::peers::Peers;
use super::work::{Candidate, NOWHERE, Work};
use super::{bootstrap, installation};
use crate::interval::Median;
use crate::process::Process;
use crate::report::Extent;
use crate::report::outcome::{Cell, Found, Table};

const WITHOUT: &str = "no filter";

/// Plugins of a module beside the first.
const FURTHER: usize = 19;

const FIRST_PLUGIN: &str = "the first plugin of a module";
const FURTHER_PLUGIN: &str = "each further plugin of the same module";

/// What is started.
struct Subject {
    name: &'static str,
    module: Option<u64>,
    image: Option<u64>,
    filter: Option<Value>,
}

/// Measures sizes and starts, these in turns.
pub(crate) fn run(root: &Path, extent: Extent) -> anyhow::Result<Found> {
    let folder = RunFolder::claim(&root.join("target/tmp/bench"))?;
    let subjects = subjects(root, &folder)?;
    let rounds = extent.rounds.div_ceil(2);
    let mut costs = vec![(Vec::new(), Vec::new()); subjects.len()];
    for round in 0..rounds {
        eprint!("\rround {} of {rounds}", round + 1);
        for (subject, (waited, processor)) in subjects.iter().zip(&mut costs) {
            let (ready, spent) = start(subject.filter.iter().cloned().collect(), &folder)?;
            waited.push(ready);
            processor.push(spent);
        }
    }
    eprintln!();
    let mut table = Table::new(
        "Modules",
        "The image is what a registry keeps of it, compressed, with README, schema and suites. A start has the module read, \
         compiled and configured in all of Envoy's threads, here main thread and one worker.",
        &[
            "",
            "module, bytes",
            "image, bytes",
            "start, ms",
            "CPU of the start, ms",
        ],
    );
    let added = |own: &[f64], without: &[f64]| {
        let pairs = own.iter().zip(without);
        Cell::from(Median::of(
            pairs.map(|(own, without)| own - without).collect(),
        ))
    };
    for (subject, (waited, processor)) in subjects.iter().zip(&costs) {
        let bytes = |size: Option<u64>| size.map_or("".into(), |size| Cell::from(size as f64));
        let (name, ready, spent) = if subject.filter.is_none() {
            let whole = |numbers: &Vec<f64>| Cell::from(Median::of(numbers.clone()));
            ("no filter, in all", whole(waited), whole(processor))
        } else {
            let ready = added(waited, &costs[0].0);
            (subject.name, ready, added(processor, &costs[0].1))
        };
        table.row(
            name,
            [bytes(subject.module), bytes(subject.image), ready, spent],
        );
    }
    Ok(Found {
        extent: format!("{rounds} rounds."),
        tables: vec![table],
        plots: Vec::new(),
    })
}

fn subjects(root: &Path, folder: &Path) -> anyhow::Result<Vec<Subject>> {
    let modules = Modules::new(root, folder);
    let size = |path: &Path| -> anyhow::Result<u64> { Ok(std::fs::metadata(path)?.len()) };
    let mut all = vec![
        Subject {
            name: WITHOUT,
            module: None,
            image: None,
            filter: None,
        },
        Subject {
            name: "Lua script",
            module: None,
            image: None,
            filter: Some(lua(include_str!("scripts/header.lua"))),
        },
    ];
    for (name, path) in [
        ("raw imports, two header operations", modules.raw("header")?),
        ("bare proxy-wasm, the same", modules.bare("header", &[])?.0),
        ("SDK, the same", modules.sdk("header")?),
    ] {
        all.push(Subject {
            name,
            module: Some(size(&path)?),
            image: None,
            filter: Some(wasm("plugin", &path)),
        });
    }
    for (name, configuration) in [
        ("auth-scrub", "{}"),
        ("metrics", "{}"),
        (
            "transform",
            r#"{"request": {"rules": [{"steps": [{"op": "set", "header": "x-bench", "value": "1"}]}]}}"#,
        ),
    ] {
        let path = modules.shipped(name)?;
        all.push(Subject {
            name,
            module: Some(size(&path)?),
            image: Some(image(root, folder, name)?),
            filter: Some(wasm_configured(name, &path, configuration)),
        });
    }
    Ok(all)
}

/// What Envoy takes until it is ready and has answered a request: time, and processor time, in milliseconds.
fn start(filters: Vec<Value>, folder: &Path) -> anyhow::Result<(f64, f64)> {
    let installation = installation()?;
    let mut candidate = Candidate::new(WITHOUT, None);
    candidate.filters = filters;
    let work = Work {
        title: "start",
        note: String::new(),
        request: Vec::new(),
        requests: 0,
        goes: NOWHERE,
        candidates: vec![candidate],
        ours: WITHOUT,
    };
    let config = folder.join("envoy.json");
    let text = bootstrap::bootstrap(&work, &Peers::default()).to_string();
    std::fs::write(&config, text)?;
    let options = StartOptions {
        concurrency: 1,
        ..StartOptions::default()
    };
    let begun = Instant::now();
    let envoy = Envoy::start(&installation, &config, folder, options)?;
    let waited = begun.elapsed().as_secs_f64() * 1e3;
    let process = Process::find(&installation.path, &config)?;
    let processor = process.time()?.as_secs_f64() * 1e3;
    envoy.stop()?;
    Ok((waited, processor))
}

/// Starts of one module: what the first plugin takes, and each of many more.
pub(crate) fn starts(root: &Path, extent: Extent) -> anyhow::Result<Found> {
    let folder = RunFolder::claim(&root.join("target/tmp/bench"))?;
    let path = Modules::new(root, &folder).shipped("auth-scrub")?;
    let plugin = |number| wasm_configured(&format!("plugin-{number}"), &path, "{}");
    let rounds = extent.rounds.div_ceil(2);
    let mut first = (Vec::new(), Vec::new());
    let mut further = (Vec::new(), Vec::new());
    for round in 0..rounds {
        eprint!("\rround {} of {rounds}", round + 1);
        let of = |plugins: usize| start((0..plugins).map(plugin).collect(), &folder);
        let (without, one, many) = (of(0)?, of(1)?, of(1 + FURTHER)?);
        first.0.push(one.0 - without.0);
        first.1.push(one.1 - without.1);
        further.0.push((many.0 - one.0) / FURTHER as f64);
        further.1.push((many.1 - one.1) / FURTHER as f64);
    }
    eprintln!();
    let mut table = Table::new(
        "auth-scrub, once and many times",
        &format!(
            "The first plugin is what an Envoy with one takes more than without; a further one is what an Envoy with {} takes \
             more than with one, for one of {FURTHER}. Their modules are the same bytes, which V8 compiles once in a process. \
             Each has a VM id, and so four VMs, of its own: the base, which runs the module's start alone, the canary, \
             which tries the plugin and ends, and those of the main thread and of the worker.",
            1 + FURTHER
        ),
        &["", "start, ms", "CPU of the start, ms"],
    );
    for (name, (waited, processor)) in [(FIRST_PLUGIN, first), (FURTHER_PLUGIN, further)] {
        let cells = [waited, processor].map(|numbers| Cell::from(Median::of(numbers)));
        table.row(name, cells);
    }
    Ok(Found {
        extent: format!("{rounds} rounds."),
        tables: vec![table],
        plots: Vec::new(),
    })
}

/// The bytes of a package's image in a registry.
fn image(root: &Path, folder: &Path, package: &str) -> anyhow::Result<u64> {
    let output = folder.join(format!("{package}-image"));
    let made = Command::new("cargo")
        .current_dir(root)
        .args(["attache", "package", package, "--output"])
        .arg(&output)
        .output()
        .context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "no image of {package}:\n{said}");
    let mut bytes = 0;
    for entry in std::fs::read_dir(output.join("blobs/sha256"))? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
