//! Tables 1.4 to 1.7 of the host's behaviour, by scripts of host calls.

mod arguments;
mod buffers;
mod contexts;
mod ends;
mod maps;
mod metrics;
mod scripts;
mod shared;

use attache_harness::{Exchange, Host, HostError, LogLine, Plugin, Request, plugin};
use serde_json::{Value, json};

type Tested = Result<(), HostError>;

fn probe(script: Value) -> Plugin {
    plugin!("probe").config(script)
}

/// A request with a header that is empty, two of one name, a body in two pieces and a trailer.
fn request() -> Request {
    Request::post("/x")
        .header("x-a", "v")
        .header("x-e", "")
        .header("x-m", "1")
        .header("x-m", "2")
        .chunk("abc")
        .chunk("def")
        .trailer("x-t", "t")
}

/// Plays a script with one request.
fn play(script: Value) -> Result<Exchange, HostError> {
    Host::with(probe(script))?.send(request())
}

/// Plays steps in the callback of request headers, and cuts its name from the lines.
fn lines_of(steps: Value) -> Result<Vec<String>, HostError> {
    let exchange = play(json!({ "request_headers": steps }))?;
    Ok(lines(exchange.log())
        .into_iter()
        .map(|line| line.replacen("request_headers: ", "", 1))
        .collect())
}

fn lines(log: &[LogLine]) -> Vec<String> {
    log.iter().map(|line| line.message.clone()).collect()
}
