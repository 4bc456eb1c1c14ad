//! What a reload costs: run it with `ATTACHE_SWAPS=100` and `--nocapture`, and read what it prints.

use std::time::{Duration, Instant};

use attache_control_plane::Timestamp;
use attache_control_plane::status::{HistoryEntry, Phase};
use attache_envoy::Envoy;

use crate::load::Load;
use crate::stage::{Stage, module, module_with, word};

/// About 2,000 requests a second, where the machine has time for them.
const CONNECTIONS: usize = 27;
const PAUSE: Duration = Duration::from_millis(9);

#[test]
#[ignore = "needs Envoy"]
fn swaps_under_load_lose_no_request() {
    let swaps: u32 = std::env::var("ATTACHE_SWAPS").map_or(5, |count| count.parse().unwrap());
    let stage = Stage::new();
    stage.write("r.wasm", module());
    stage.declare("r", "begin", "");
    let envoy = stage.start_envoy("edge");
    let address = envoy.listener_address("filtered").unwrap();
    stage.reaches("r", Phase::Confirmed);
    let begun = Instant::now();
    let load = Load::start(address, CONNECTIONS, PAUSE);
    std::thread::sleep(Duration::from_secs(1));
    let before = memory(&envoy);

    let mut configurations = Vec::new();
    for number in 0..swaps {
        let wanted = format!("configured-{number}");
        let written = Instant::now();
        stage.declare("r", &wanted, "");
        while word(address).as_deref() != Some(&*wanted) {
            std::thread::sleep(Duration::from_millis(1));
        }
        configurations.push(written.elapsed());
        let status = stage.plane.rollout("r").unwrap();
        stage.reaches_as("r", |now| {
            now.phase == Phase::Confirmed
                && now.declared.configuration == status.declared.configuration
        });
    }
    let mut sizes = vec![before, memory(&envoy)];
    let mut modules = Vec::new();
    for number in 0..swaps {
        if number == swaps / 2 {
            sizes.push(memory(&envoy));
        }
        let module = module_with(&format!("build-{number} of {}", Timestamp::now()));
        let before = stage.plane.rollout("r").unwrap().declared.module;
        let written = Instant::now();
        stage.write("r.wasm", module);
        // Every worker runs it then, not just the first.
        stage.reaches_as("r", |now| {
            now.phase == Phase::Confirmed && now.declared.module != before
        });
        modules.push(written.elapsed());
    }

    let history = stage.plane.history("r").unwrap().entries;
    let mut trials = times(&history, Phase::Validating, Phase::Pushed);
    let mut pushes = times(&history, Phase::Pushed, Phase::Confirmed);
    sizes.push(memory(&envoy));
    let time = begun.elapsed();
    let (served, lost) = load.stop();
    let rate = f64::from(u32::try_from(served).unwrap()) / time.as_secs_f64();
    println!("{served} requests, {rate:.0} a second, {lost} lost");
    println!(
        "{}",
        told("file change to effect, configuration", &mut configurations)
    );
    println!(
        "{}",
        told("file change to all workers, module", &mut modules)
    );
    println!("{}", told("of this the trial on the harness", &mut trials));
    println!(
        "{}",
        told("of this from the push to all workers", &mut pushes)
    );
    let sizes: Vec<String> = sizes.iter().map(|size| (size >> 20).to_string()).collect();
    println!(
        "Envoy's memory in MB, at first, behind the configurations, half of the modules and all: {}",
        sizes.join(", ")
    );
    assert_eq!(lost, 0);
}

/// How long one phase took when the other came next, in the later half of the history: that of modules.
fn times(history: &[HistoryEntry], from: Phase, to: Phase) -> Vec<Duration> {
    let later = &history[history.len() / 2..];
    let pairs = later
        .windows(2)
        .filter(|pair| (pair[0].phase, pair[1].phase) == (from, to));
    pairs.map(|pair| pair[1].at.since(pair[0].at)).collect()
}

fn told(what: &str, times: &mut [Duration]) -> String {
    times.sort();
    let middle = times[times.len() / 2].as_millis();
    let last = times[times.len() - 1].as_millis();
    format!(
        "{what}: median {middle} ms, at most {last} ms, {} times",
        times.len()
    )
}

/// What the process has of the machine's memory.
fn memory(envoy: &Envoy) -> u64 {
    envoy.stat("server.memory_physical_size").unwrap().unwrap()
}
