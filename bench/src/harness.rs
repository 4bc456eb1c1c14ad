//! What the harness costs: counts that are the same on every machine, and medians of rounds on this
//! one.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use attache_harness::{Host, Plugin, Request};
use attache_module::Guest;

const ROUNDS: usize = 25;

/// Exports what a module must, and does nothing.
const IDLE: &str = r#"(module (memory (export "memory") 1)
    (func (export "proxy_abi_version_0_2_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 1024)
    (func (export "proxy_on_context_create") (param i32 i32))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 0)
    (func (export "proxy_on_delete") (param i32)))"#;

struct Row {
    what: &'static str,
    measured: String,
    budget: &'static str,
}

/// Prints the table of the harness.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let built =
        Guest::in_workspace(root, Some("auth-scrub")).build(&mut |notice| eprintln!("{notice}"))?;
    let plugin = || Plugin::from_bytes("auth-scrub", built.bytes.clone()).config("{}");

    let mut host = Host::with(plugin())?;
    let exchange = host.send(usual("authorization"))?;
    ensure!(
        !exchange
            .upstream_request()
            .headers()
            .contains_key("authorization"),
        "the filter does not scrub"
    );
    let mut rows = vec![
        row(
            "auth-scrub, module",
            format!("{} bytes", built.bytes.len()),
            "200,000 bytes",
        ),
        row(
            "  as the linker left it",
            format!("{} bytes", built.linked_size),
            "",
        ),
        row(
            "  host calls a request",
            exchange.host_calls().len().to_string(),
            "",
        ),
        row(
            "  crossings a request",
            exchange.cost().crossings.to_string(),
            "",
        ),
        row("  fuel a request", exchange.cost().fuel.to_string(), ""),
    ];
    let quiet = host.send(usual("x-authorization"))?;
    rows.push(row(
        "  fuel without the credential",
        quiet.cost().fuel.to_string(),
        "",
    ));

    let start = median(20, || {
        Host::with(plugin()).map(|host| drop(black_box(host)))
    })?;
    // One plugin starts in three VMs: canary, main thread, one worker.
    rows.push(row(
        "harness, VM start with configuration",
        micros(start / 3),
        "50 us",
    ));
    let mut idle = Host::with(Plugin::from_bytes("idle", wat::parse_str(IDLE)?))?;
    let empty = median(500, || {
        idle.send(Request::get("/"))
            .map(|exchange| drop(black_box(exchange)))
    })?;
    rows.push(row("harness, empty stream", micros(empty), "2 us"));
    let stream = median(200, || {
        host.send(usual("authorization"))
            .map(|exchange| drop(black_box(exchange)))
    })?;
    rows.push(row(
        "harness, stream through auth-scrub",
        micros(stream),
        "",
    ));
    let case = median(20, || {
        let mut host = Host::with(plugin())?;
        host.send(usual("authorization"))
            .map(|exchange| drop(black_box(exchange)))
    })?;
    rows.push(row(
        "harness, warm test of one case",
        micros(case),
        "5,000 us",
    ));

    println!("{:<40} {:>16}   budget", "", "measured");
    for Row {
        what,
        measured,
        budget,
    } in rows
    {
        println!("{what:<40} {measured:>16}   {budget}");
    }
    Ok(())
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

fn row(what: &'static str, measured: String, budget: &'static str) -> Row {
    Row {
        what,
        measured,
        budget,
    }
}

/// The median over rounds of the mean time of `count` runs.
fn median<E>(count: u32, mut run: impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..count {
            run()?;
        }
        times.push(begun.elapsed() / count);
    }
    times.sort_unstable();
    Ok(times[ROUNDS / 2])
}

fn micros(time: Duration) -> String {
    format!("{:.2} us", time.as_secs_f64() * 1e6)
}
