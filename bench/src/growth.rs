//! What grows with what: fuel on the harness, which counts the same on every machine.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use attache_harness::{Host, Plugin, Request, Response, StreamId};
use attache_module::Guest;
use serde_json::{Value, json};

use crate::report::Extent;
use crate::report::outcome::{Curve, Found, Plot};

/// The modules.
struct Modules {
    scrub: Vec<u8>,
    metrics: Vec<u8>,
    transform: Vec<u8>,
    buffer: Vec<u8>,
    stream: Vec<u8>,
    call: Vec<u8>,
}

/// Plays all curves.
pub(crate) fn run(root: &Path, extent: Extent) -> anyhow::Result<Found> {
    let bench = root.join("bench");
    let build = |workspace: &Path, package: &str| -> anyhow::Result<Vec<u8>> {
        let guest = Guest::in_workspace(workspace, Some(package));
        Ok(guest.build(&mut |notice| eprintln!("{notice}"))?.bytes)
    };
    let modules = Modules {
        scrub: build(root, "auth-scrub")?,
        metrics: build(root, "metrics")?,
        transform: build(root, "transform")?,
        buffer: build(&bench, "sdk-buffer")?,
        stream: build(&bench, "sdk-stream")?,
        call: build(&bench, "sdk-call")?,
    };
    // What was asked to be quick leaves the largest out.
    let most = if extent.rounds < 20 {
        1 << 20
    } else {
        10 << 20
    };
    Ok(Found {
        extent: format!("Bodies up to {most} bytes."),
        tables: Vec::new(),
        plots: vec![
            headers(&modules)?,
            bodies(&modules, most)?,
            rules(&modules)?,
            streams(&modules)?,
        ],
    })
}

fn plot(name: &str, title: &str, x: &str, y: &str, curves: Vec<Curve>) -> Plot {
    Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        x: x.to_owned(),
        y: y.to_owned(),
        curves,
    }
}

/// Fuel at each x, of the second of two requests: the first of a VM makes what the others have.
fn curve(
    name: &str,
    xs: &[usize],
    mut fuel: impl FnMut(usize) -> anyhow::Result<u64>,
) -> anyhow::Result<Curve> {
    eprintln!("{name}");
    let mut points = Vec::with_capacity(xs.len());
    for &x in xs {
        points.push((x as f64, fuel(x)? as f64));
    }
    Ok(Curve {
        name: name.to_owned(),
        points,
    })
}

fn host(module: &[u8], configuration: &Value, buffer: usize) -> anyhow::Result<Host> {
    let plugin = Plugin::from_bytes("grown", module)
        .config(configuration.to_string())
        .allow_on_headers_stop_iteration();
    Ok(Host::builder()
        .plugin(plugin)
        .buffer_limit(buffer)
        .start()?)
}

fn second(mut host: Host, request: impl Fn() -> Request) -> anyhow::Result<u64> {
    host.send(request())?;
    let exchange = host.send(request())?;
    let status = exchange.response().status();
    ensure!(status == 200, "answered with {status}");
    Ok(exchange.cost().fuel)
}

fn headers(modules: &Modules) -> anyhow::Result<Plot> {
    let xs = [10, 20, 50, 100, 200, 500, 1_000];
    let request = |count: usize| {
        let first = Request::get("/orders?page=2").header("authorization", "Bearer x");
        (0..count).fold(first, |request, number| {
            request.header(format!("x-header-{number}"), "a value of usual length")
        })
    };
    let step = json!({"request": {"rules": [{"steps": [{"op": "set", "header": "x-bench", "value": "1"}]}]}});
    let of = |name, module: &[u8], configuration: Value| {
        curve(name, &xs, |count| {
            second(host(module, &configuration, 1 << 20)?, || request(count))
        })
    };
    Ok(plot(
        "headers",
        "Headers of a request",
        "headers",
        "fuel a request",
        vec![
            of("auth-scrub", &modules.scrub, json!({}))?,
            of("metrics", &modules.metrics, json!({}))?,
            of("transform, one step", &modules.transform, step)?,
        ],
    ))
}

fn bodies(modules: &Modules, most: usize) -> anyhow::Result<Plot> {
    let sizes = [
        1 << 10,
        1 << 12,
        1 << 14,
        1 << 16,
        1 << 18,
        1 << 20,
        10 << 20,
    ];
    let xs: Vec<usize> = sizes.into_iter().filter(|&size| size <= most).collect();
    // In pieces as Envoy reads them.
    let request = |size: usize| {
        let item = r#"{"id": 1, "name": "tea", "price": 3.50},"#;
        let mut body = r#"{"user": {"role": "admin"}, "items": ["#.to_owned();
        while body.len() + item.len() + 4 < size {
            body.push_str(item);
        }
        body.push_str("0]}");
        let first = Request::post("/orders").header("content-type", "application/json");
        let pieces = body.as_bytes().chunks(16 << 10);
        pieces.fold(first, |request, piece| request.chunk(piece))
    };
    let replace = json!({"request": {
        "body": {"hold_headers": true, "max_bytes": 16 << 20},
        "rules": [{"steps": [{"op": "replace", "body": "/user/role", "value": "guest"}]}],
    }});
    let of = |name, module: &[u8], configuration: Value| {
        curve(name, &xs, |size| {
            second(host(module, &configuration, 32 << 20)?, || request(size))
        })
    };
    // The guest that collects takes a MiB at most.
    let small: Vec<usize> = xs.iter().copied().filter(|&size| size < 1 << 20).collect();
    let collected = curve("SDK, body collected", &small, |size| {
        second(host(&modules.buffer, &Value::Null, 32 << 20)?, || {
            request(size)
        })
    })?;
    Ok(plot(
        "bodies",
        "Bytes of a body",
        "bytes, in pieces of 16 KiB",
        "fuel a request",
        vec![
            of("transform, a field replaced", &modules.transform, replace)?,
            collected,
            of("SDK, body watched", &modules.stream, Value::Null)?,
        ],
    ))
}

fn rules(modules: &Modules) -> anyhow::Result<Plot> {
    let xs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];
    let request = || Request::get("/orders?page=2").header("authorization", "Bearer x");
    // None of them is on the request's path but the last.
    let paths = |count: usize| {
        let path = move |number| match number + 1 {
            last if last == count => "/orders".to_owned(),
            other => format!("/other/{other}"),
        };
        (0..count).map(path)
    };
    let scrub = |count| -> Value {
        let rule = |path| {
            json!({
                "match": {"path": [{"prefix": path}]},
                "request": {"headers": [{"name": "authorization", "action": "remove"}]},
            })
        };
        json!({"rules": paths(count).map(rule).collect::<Vec<_>>()})
    };
    let transform = |count| -> Value {
        let rule = |path| {
            json!({
                "match": {"path": [{"prefix": path}]},
                "steps": [{"op": "set", "header": "x-bench", "value": "1"}],
            })
        };
        json!({"request": {"rules": paths(count).map(rule).collect::<Vec<_>>()}})
    };
    Ok(plot(
        "rules",
        "Rules of a configuration",
        "rules, of which the last is on the request",
        "fuel a request",
        vec![
            curve("auth-scrub", &xs, |count| {
                second(host(&modules.scrub, &scrub(count), 1 << 20)?, request)
            })?,
            curve("transform", &xs, |count| {
                second(
                    host(&modules.transform, &transform(count), 1 << 20)?,
                    request,
                )
            })?,
        ],
    ))
}

/// Streams that wait for a call-out, all at once, and what each takes from its beginning to its end.
fn streams(modules: &Modules) -> anyhow::Result<Plot> {
    let xs = [1, 10, 100, 1_000, 10_000];
    let each = |count: usize| -> anyhow::Result<u64> {
        let plugin = Plugin::from_bytes("grown", modules.call.clone());
        let callee = Response::ok().after(Duration::from_secs(1));
        let mut host = Host::builder()
            .plugin(plugin)
            .cluster("callee", callee)
            .start()?;
        let open = (0..count).map(|_| host.open(Request::get("/")));
        let open: Vec<StreamId> = open.collect::<Result<_, _>>()?;
        host.advance(Duration::from_secs(2))?;
        let mut fuel = 0;
        for id in open {
            let exchange = host.exchange(id)?;
            let status = exchange.response().status();
            ensure!(status == 200, "answered with {status}");
            fuel += exchange.cost().fuel;
        }
        Ok(fuel / count as u64)
    };
    Ok(plot(
        "streams",
        "Streams in flight",
        "streams that wait at once",
        "fuel a stream",
        vec![curve("SDK, a call-out", &xs, each)?],
    ))
}
