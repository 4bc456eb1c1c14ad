//! What the harness costs, and what else starts code beside it.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use attache_harness::{Host, HostError, Module, Plugin, Request};
use attache_module::Guest;

use crate::interval::Median;
use crate::report::Extent;
use crate::report::outcome::{Cell, Found, Table};

/// Exports what a module must, and does nothing.
pub(crate) const IDLE: &str = r#"(module (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 0)
    (func (export "proxy_on_delete") (param i32)))"#;

/// Cases that are played over all cores.
const CASES: usize = 1_000;

/// Measures it.
pub(crate) fn run(root: &Path, extent: Extent) -> anyhow::Result<Found> {
    let built =
        Guest::in_workspace(root, Some("auth-scrub")).build(&mut |notice| eprintln!("{notice}"))?;
    // Tests share the bytes of a module, as here.
    let plugin = Plugin::from_bytes("auth-scrub", built.bytes.clone()).config("{}");
    let plugin = || plugin.clone();
    let rounds = extent.rounds;
    Ok(Found {
        extent: format!("{rounds} rounds."),
        tables: vec![
            counts(&plugin)?,
            times(&plugin, &built.bytes, rounds)?,
            starts(&plugin, rounds)?,
        ],
        plots: Vec::new(),
    })
}

fn counts(plugin: &dyn Fn() -> Plugin) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "auth-scrub on the harness, counted",
        "The same on every machine.",
        &["", "host calls", "crossings", "fuel"],
    );
    let mut host = Host::with(plugin())?;
    for (name, credential) in [
        (
            "a request with a credential, a cookie and ten headers",
            "authorization",
        ),
        ("the same without the credential", "x-authorization"),
    ] {
        // The first of a VM may make what the others have.
        host.send(usual(credential))?;
        let exchange = host.send(usual(credential))?;
        ensure!(
            !exchange
                .upstream_request()
                .headers()
                .contains_key("authorization"),
            "the filter does not scrub"
        );
        let cost = exchange.cost();
        let numbers = [cost.host_calls, cost.crossings, cost.fuel];
        table.row(name, numbers.map(|number| Cell::from(number as f64)));
    }
    Ok(table)
}

fn times(plugin: &dyn Fn() -> Plugin, module: &[u8], rounds: usize) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "The harness, in time",
        "Of auth-scrub, which has a module of 200 KB, unless it says otherwise. A plugin starts in four VMs, as in \
         Envoy: the base, the canary, the main thread's and the worker's. Budgets: a start with configuration takes at \
         most 50 µs a VM, an empty stream 2 µs, a warm case 5,000 µs.",
        &["", "µs"],
    );
    let idle = wat::parse_str(IDLE)?;
    let (cold, disk) = loads(module, rounds)?;
    table.row("module load, compiled anew", [Cell::from(cold)]);
    table.row(
        "module load, in a new process, compiled before",
        [Cell::from(disk)],
    );
    let memory = each(rounds, 200, || Module::load(module).map(drop))?;
    table.row("module load, in the same process", [Cell::from(memory)]);
    let start = each(rounds, 20, || Host::with(plugin()).map(drop))?;
    table.row(
        "start of a plugin with its configuration, in its four VMs",
        [Cell::from(start)],
    );
    let mut host = Host::with(Plugin::from_bytes("idle", idle))?;
    let empty = each(rounds, 500, || host.send(Request::get("/")).map(drop))?;
    table.row(
        "empty stream, of a module that does nothing",
        [Cell::from(empty)],
    );
    let mut host = Host::with(plugin())?;
    let stream = each(rounds, 200, || host.send(usual("authorization")).map(drop))?;
    table.row("stream through auth-scrub", [Cell::from(stream)]);
    let case = each(rounds, 20, || {
        let mut host = Host::with(plugin())?;
        host.send(usual("authorization")).map(drop)
    })?;
    table.row("a warm case: host, start and stream", [Cell::from(case)]);
    let cores = std::thread::available_parallelism()?.get();
    let mut parallel = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        in_parallel(cores, plugin)?;
        parallel.push(micros(begun.elapsed()));
    }
    table.row(
        format!("{CASES} cases, each with a host of its own, on {cores} threads"),
        [Cell::from(Median::of(parallel))],
    );
    Ok(table)
}

fn in_parallel(threads: usize, plugin: &dyn Fn() -> Plugin) -> anyhow::Result<()> {
    let plugins: Vec<Vec<Plugin>> = (0..threads)
        .map(|_| (0..CASES / threads).map(|_| plugin()).collect())
        .collect();
    std::thread::scope(|scope| {
        let play = |plugins: Vec<Plugin>| -> Result<(), HostError> {
            for plugin in plugins {
                Host::with(plugin)?.send(usual("authorization"))?;
            }
            Ok(())
        };
        let threads: Vec<_> = plugins
            .into_iter()
            .map(|plugins| scope.spawn(move || play(plugins)))
            .collect();
        for thread in threads {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a case panicked"))??;
        }
        Ok(())
    })
}

/// Loads in processes of their own: compiled anew, and as compiled before.
fn loads(module: &[u8], rounds: usize) -> anyhow::Result<(Median, Median)> {
    let folder = std::env::temp_dir().join(format!("attache-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let (mut cold, mut disk) = (Vec::new(), Vec::new());
    for round in 0..rounds.min(10) {
        let path = folder.join("module.wasm");
        // A custom section that no module had before: nobody has compiled this one.
        let nonce = format!("{:?}{round}", std::time::SystemTime::now());
        let mut bytes = module.to_vec();
        bytes.extend([0, nonce.len() as u8 + 2, 1, b'n']);
        bytes.extend(nonce.as_bytes());
        fs::write(&path, bytes)?;
        for times in [&mut cold, &mut disk] {
            let output = Command::new(std::env::current_exe()?)
                .arg("load")
                .arg(&path)
                .output()?;
            let text = String::from_utf8(output.stdout)?;
            times.push(text.trim().parse().context("a module cannot be loaded")?);
        }
    }
    fs::remove_dir_all(&folder)?;
    Ok((Median::of(cold), Median::of(disk)))
}

/// Prints how many microseconds a file takes to load.
pub(crate) fn load(path: &str) -> anyhow::Result<()> {
    let bytes = fs::read(path)?;
    let begun = Instant::now();
    black_box(Module::load(&bytes)?);
    println!("{}", micros(begun.elapsed()));
    Ok(())
}

fn starts(plugin: &dyn Fn() -> Plugin, rounds: usize) -> anyhow::Result<Table> {
    let mut table = Table::new(
        "What starts code",
        "From the wish to run it until it has run. The plugin is auth-scrub with its configuration, its module compiled before. What \
         it takes in Envoy, which compiles it, stands under the starts of one module.",
        &["", "µs"],
    );
    let host = each(rounds, 20, || Host::with(plugin()).map(drop))?;
    table.row(
        "a plugin in the harness (wasmtime), in its four VMs",
        [Cell::from(host)],
    );
    let process = each(rounds, 1, || spawn(Command::new("/bin/true")))?;
    table.row("a process (`/bin/true`)", [Cell::from(process)]);
    // crun runs nothing where the kernel's groups are half of the old kind; runc does.
    for runtime in ["crun", "runc"] {
        let container = match container(runtime, rounds.min(20)) {
            Ok(time) => Cell::from(time),
            Err(error) => Cell::from(format!("not run: {error:#}").as_str()),
        };
        let row = format!("a container (`{runtime} run`, `/bin/true` in it)");
        table.row(&row, [container]);
    }
    Ok(table)
}

fn spawn(mut command: Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim());
    Ok(())
}

/// A container of nothing but this machine's own folders, as they are.
fn container(runtime: &str, rounds: usize) -> anyhow::Result<Median> {
    let folder =
        std::env::temp_dir().join(format!("attache-bench-{runtime}-{}", std::process::id()));
    fs::create_dir_all(folder.join("rootfs"))?;
    let spec = Command::new(runtime)
        .arg("spec")
        .current_dir(&folder)
        .output();
    ensure!(
        spec.with_context(|| format!("there is no {runtime}"))?
            .status
            .success(),
        "{runtime} makes no specification"
    );
    let path = folder.join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = serde_json::json!(["/bin/true"]);
    config["root"] = serde_json::json!({"path": "rootfs", "readonly": false});
    let binds = ["bin", "lib", "lib64", "usr"]
        .into_iter()
        .filter_map(|name| {
            let host = Path::new("/").join(name);
            fs::create_dir_all(folder.join("rootfs").join(name)).ok()?;
            host.is_dir().then(|| {
                serde_json::json!({
                    "destination": host, "type": "bind", "source": host, "options": ["rbind", "ro"],
                })
            })
        });
    let binds: Vec<serde_json::Value> = binds.collect();
    config["mounts"]
        .as_array_mut()
        .context("a specification without mounts")?
        .extend(binds);
    fs::write(&path, config.to_string())?;
    let mut number = 0;
    let time = each(rounds, 1, || {
        number += 1;
        let mut command = Command::new(runtime);
        command.current_dir(&folder);
        command.args([
            "run",
            &format!("attache-bench-{}-{number}", std::process::id()),
        ]);
        spawn(command)
    });
    fs::remove_dir_all(&folder)?;
    time
}

/// One credential under the name of `credential`, a cookie and ten headers.
fn usual(credential: &str) -> Request {
    let mut request = Request::get("/orders?page=2")
        .header(credential, "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")
        .header("cookie", "session=0123456789abcdef; theme=dark");
    for (name, value) in [
        ("accept", "application/json"),
        ("accept-encoding", "gzip, br"),
        ("accept-language", "en-GB,en;q=0.9"),
        ("cache-control", "no-cache"),
        ("user-agent", "bench/1.0"),
        ("referer", "https://example.com/start"),
        ("x-request-id", "0b7e3c1a-7d0f-4a53-9d5e-000000000000"),
        ("x-forwarded-for", "192.0.2.1"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("x-tenant", "acme"),
    ] {
        request = request.header(name, value);
    }
    request
}

/// The median over rounds of the mean time of `count` runs, in microseconds.
fn each<E>(rounds: usize, count: u32, mut run: impl FnMut() -> Result<(), E>) -> Result<Median, E> {
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = Instant::now();
        for _ in 0..count {
            run()?;
        }
        times.push(micros(begun.elapsed()) / f64::from(count));
    }
    Ok(Median::of(times))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
