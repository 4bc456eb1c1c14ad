//! The same work, done by everything that can extend Envoy.

use std::path::Path;

use attache_envoy::RunFolder;
use serde_json::{Value, json};

use super::filters::{
    append, buffer, dynamic_module, ext_authz, ext_authz_http, ext_proc, header_mutation, lua,
    wasm, wasm_configured,
};
use super::guests::Modules;
use super::peers::Peers;
use super::table::table;
use super::trace::Trace;
use super::{Bench, installation};
use crate::report::Extent;
use crate::report::outcome::Found;

/// Something to do, and what does it.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) title: &'static str,
    pub(crate) note: String,
    pub(crate) request: Vec<u8>,
    /// Requests of one candidate in one turn. A round has two.
    pub(crate) requests: usize,
    pub(crate) goes: Goes,
    /// The first is the chain without a filter.
    pub(crate) candidates: Vec<Candidate>,
    /// Whom the others are compared with.
    pub(crate) ours: &'static str,
}

/// Who answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Goes {
    /// Envoy itself, so that no upstream takes part, with a body of so many bytes.
    Nowhere {
        answer: usize,
    },
    Upstream,
}

/// What does a work.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    /// What stands in the chain: nothing, or the same several times, so that its cost stands out from Envoy's
    /// own.
    pub(crate) filters: Vec<Value>,
    /// What the response's head says if the work was done.
    pub(crate) has: Vec<&'static str>,
    /// And what it says if it was not.
    pub(crate) lacks: Vec<&'static str>,
    /// Where else it is seen. This is looked for once, before anything is measured.
    pub(crate) traces: Vec<Trace>,
}

impl Candidate {
    pub(crate) fn new(name: &'static str, filter: impl Into<Option<Value>>) -> Self {
        Self {
            name,
            filters: filter.into().into_iter().collect(),
            has: Vec::new(),
            lacks: Vec::new(),
            traces: Vec::new(),
        }
    }

    /// The same, `count` times in the chain.
    pub(crate) fn times(mut self, count: usize) -> Self {
        let once = std::mem::take(&mut self.filters);
        self.filters = once
            .into_iter()
            .flat_map(|it| std::iter::repeat_n(it, count))
            .collect();
        self
    }

    pub(crate) fn has(mut self, text: &'static str) -> Self {
        self.has.push(text);
        self
    }

    pub(crate) fn lacks(mut self, text: &'static str) -> Self {
        self.lacks.push(text);
        self
    }

    pub(crate) fn leaves(mut self, trace: Trace) -> Self {
        self.traces.push(trace);
        self
    }
}

const WITHOUT: &str = "no filter";
const NATIVE: &str = "native filter";
const DYNAMIC: &str = "dynamic module";
const LUA: &str = "Lua";
const RAW: &str = "raw imports";
const BARE: &str = "bare proxy-wasm";
const PRUNED: &str = "bare proxy-wasm, pruned";
const SDK: &str = "SDK";
const AUTHZ: &str = "ext_authz, gRPC";
const PROC: &str = "ext_proc, gRPC";

const GET: &str =
    "GET /orders?page=2 HTTP/1.1\r\nhost: bench\r\naccept: */*\r\nuser-agent: bench/1.0\r\n\r\n";

const RESPONSE_HEADERS: &str = "proxy_on_response_headers";

/// What a filter is called with that does nothing.
const CALLBACKS: [&str; 2] = ["proxy_on_request_headers", RESPONSE_HEADERS];

/// A response of headers alone.
pub(crate) const NOWHERE: Goes = Goes::Nowhere { answer: 0 };

/// Bytes of a response's body that no filter looks at.
const ANSWER: usize = 1024;

/// Measures all works, each in an Envoy of its own.
pub(crate) fn run(root: &Path, extent: Extent) -> anyhow::Result<Found> {
    let folder = RunFolder::claim(&root.join("target/tmp/bench"))?;
    let modules = Modules::new(root, &folder);
    let mut found = Found {
        extent: format!("{} rounds.", extent.rounds),
        ..Found::default()
    };
    let peers = |count| Peers::default().http()?.authz(count)?.proc(count);
    for (work, peers) in [
        (headers(&modules, 0)?, peers(0)?),
        (headers(&modules, 2)?, peers(1)?),
        (answered(&modules)?, peers(1)?),
        (headers(&modules, 10)?, peers(5)?),
        (call(&modules)?, peers(1)?),
        (buffered(&modules)?, peers(0)?),
        (streamed(&modules)?, peers(0)?),
    ] {
        eprintln!("{}", work.title);
        let bench = Bench::start(&work, peers, &folder, &installation()?)?;
        let costs = bench.measure(&work, extent.rounds)?;
        found.tables.push(table(&work, &costs)?);
    }
    Ok(found)
}

/// What all have in common that are modules.
fn guests(
    modules: &Modules<'_>,
    name: &str,
    needed: &[&str],
    filter: fn(&str, &Path) -> Value,
) -> anyhow::Result<[Candidate; 4]> {
    let (bare, pruned) = modules.bare(name, needed)?;
    let candidate = |known, path: &Path| {
        let id = path.file_stem().unwrap_or_default().to_string_lossy();
        Candidate::new(known, filter(&id, path))
    };
    Ok([
        candidate(RAW, &modules.raw(name)?),
        candidate(BARE, &bare),
        candidate(PRUNED, &pruned),
        candidate(SDK, &modules.sdk(name)?),
    ])
}

fn holding(name: &str, path: &Path) -> Value {
    wasm_configured(name, path, "")
}

/// No header operation, two or ten, half of them on the response.
fn headers(modules: &Modules<'_>, count: usize) -> anyhow::Result<Work> {
    let names = |prefix: &str| -> Vec<String> {
        let name = |number| format!("{prefix}-{number}");
        std::iter::once(prefix.to_owned())
            .chain((2..=count / 2).map(name))
            .take(count / 2)
            .collect()
    };
    let appends =
        |prefix| -> Vec<Value> { names(prefix).iter().map(|name| append(name)).collect() };
    let (name, title, script) = match count {
        0 => (
            "idle",
            "No header operation",
            include_str!("scripts/idle.lua"),
        ),
        2 => (
            "header",
            "Two header operations",
            include_str!("scripts/header.lua"),
        ),
        _ => (
            "headers",
            "Ten header operations",
            include_str!("scripts/headers.lua"),
        ),
    };
    let response = match count {
        2 => vec![json!({"remove": "x-powered-by"})],
        _ => appends("x-out"),
    };
    let native = json!({"request_mutations": appends("x-bench"), "response_mutations": response});
    // Where there is nothing to do, nobody sees that Envoy's own filter and a dynamic module do it.
    let mut candidates = vec![
        Candidate::new(WITHOUT, None),
        Candidate::new(NATIVE, header_mutation(native)),
        Candidate::new(DYNAMIC, dynamic_module(&modules.dynamic()?, name)),
        Candidate::new(LUA, lua(script)).leaves(Trace::Script),
    ];
    let guests = guests(modules, name, &[RESPONSE_HEADERS], wasm)?;
    candidates.extend(guests.map(|guest| {
        match count {
            0 => CALLBACKS
                .map(Trace::Call)
                .into_iter()
                .fold(guest, Candidate::leaves),
            _ => guest,
        }
    }));
    let copies = if count > 2 { 1 } else { 4 };
    let seen = |candidate: Candidate| match count {
        0 => candidate.lacks("x-seen"),
        2 => candidate.has("x-seen: 1").lacks("x-powered-by"),
        _ => candidate.has("x-seen: 1").has("x-out-5: 1"),
    };
    let mut candidates: Vec<Candidate> = candidates
        .into_iter()
        .map(|candidate| match candidate.filters.is_empty() {
            true => candidate.lacks("x-seen"),
            false => seen(candidate.times(copies)),
        })
        .collect();
    for (name, cluster, filter) in [
        (AUTHZ, "authz", ext_authz("authz", false)),
        (PROC, "proc", ext_proc("proc", "SEND", "NONE")),
    ] {
        let candidate = Candidate::new(name, filter).leaves(Trace::Asked(cluster, 1));
        candidates.push(match count {
            0 => candidate.lacks("x-seen"),
            _ => candidate.has("x-seen: 1").has("x-out: 1"),
        });
    }
    let note = match count {
        0 => {
            "Two callbacks, for request headers and response headers, that do nothing; a service that is asked and changes nothing."
        }
        2 => {
            "A header is put into the request, and one is removed from the response; the services put one there instead, \
             since `ext_authz` cannot remove it. Budget: the SDK takes at most 0.90 of bare proxy-wasm, and 1.15 of the same \
             pruned."
        }
        _ => "Five headers are put into the request and five into the response.",
    };
    Ok(Work {
        title,
        note: note.to_owned(),
        request: GET.into(),
        requests: 200,
        goes: NOWHERE,
        candidates,
        ours: SDK,
    })
}

/// The same two, where the response has a body, as most have.
fn answered(modules: &Modules<'_>) -> anyhow::Result<Work> {
    let mut work = headers(modules, 2)?;
    work.title = "Two header operations, and a response with a body";
    work.note = format!(
        "The same, and the response has a body of {ANSWER} bytes that no filter looks at. A module that exports a callback for \
         bodies is called with it, as bare proxy-wasm does whatever the filter needs. The budget is that of the table \
         above, and was set for it."
    );
    work.goes = Goes::Nowhere { answer: ANSWER };
    for candidate in &mut work.candidates {
        candidate.has.push("content-length: 1024");
    }
    Ok(work)
}

/// A call-out, and one header put into the request.
fn call(modules: &Modules<'_>) -> anyhow::Result<Work> {
    let mut candidates = vec![
        Candidate::new("native filter (ext_authz, HTTP)", ext_authz_http("callee")),
        Candidate::new(DYNAMIC, dynamic_module(&modules.dynamic()?, "call")),
        Candidate::new(LUA, lua(include_str!("scripts/call.lua"))),
    ];
    candidates.extend(guests(
        modules,
        "call",
        &["proxy_on_http_call_response"],
        wasm,
    )?);
    candidates.push(Candidate::new(AUTHZ, ext_authz("authz", false)));
    candidates.push(Candidate::new(PROC, ext_proc("proc", "SKIP", "NONE")));
    let mut all = vec![Candidate::new(WITHOUT, None).lacks("x-seen")];
    all.extend(candidates.into_iter().map(|it| it.has("x-seen: 1")));
    Ok(Work {
        title: "One call-out before the request goes on",
        note: "A server on the same machine is asked over HTTP/1.1, or over gRPC where the row says so, and a header is put \
               into the request when it has answered. The server's own time is that of a simple one in Rust."
            .to_owned(),
        request: GET.into(),
        requests: 120,
        goes: NOWHERE,
        candidates: all,
        ours: SDK,
    })
}

/// Bytes of a request's body.
const UPLOAD: usize = 1 << 16;

/// A request with a body.
fn upload() -> Vec<u8> {
    let head = format!("POST /orders HTTP/1.1\r\nhost: bench\r\ncontent-length: {UPLOAD}\r\n\r\n");
    [head.as_bytes(), &vec![b'x'; UPLOAD]].concat()
}

/// A candidate behind which the upstream gets the whole body. This is looked for first: a look at what else it leaves
/// may take requests of its own.
fn arrives(mut candidate: Candidate) -> Candidate {
    candidate.traces.insert(0, Trace::Length(UPLOAD));
    candidate
}

/// The host call by which a module reads a body, whose length is not told to anybody.
const READS: Trace = Trace::Call("proxy_get_buffer_bytes");

fn buffered(modules: &Modules<'_>) -> anyhow::Result<Work> {
    let length = "x-seen: 65536";
    let mut candidates = vec![
        Candidate::new(WITHOUT, None),
        Candidate::new("native filter (buffer)", buffer()).leaves(Trace::Held),
        Candidate::new(DYNAMIC, dynamic_module(&modules.dynamic()?, "buffer")).has(length),
        Candidate::new(LUA, lua(include_str!("scripts/buffer.lua"))).has(length),
    ];
    let guests = guests(modules, "buffer", &["proxy_on_request_body"], holding)?;
    candidates.extend(guests.map(|candidate| candidate.has(length)));
    candidates.push(
        Candidate::new(AUTHZ, ext_authz("authz", true)).leaves(Trace::Asked("authz", UPLOAD)),
    );
    candidates.push(
        Candidate::new(PROC, ext_proc("proc", "SKIP", "BUFFERED"))
            .leaves(Trace::Asked("proc", UPLOAD)),
    );
    let candidates = candidates.into_iter().map(arrives);
    Ok(Work {
        title: "A body of 64 KiB, buffered",
        note: "The request waits until its body is whole; the filter reads it and puts its length into a header. Envoy's `buffer` \
               only waits; a dynamic module sees it where it is, without a copy; the services read it and change nothing."
            .to_owned(),
        request: upload(),
        requests: 80,
        goes: Goes::Upstream,
        candidates: candidates.collect(),
        ours: SDK,
    })
}

fn streamed(modules: &Modules<'_>) -> anyhow::Result<Work> {
    let mut candidates = vec![
        Candidate::new(WITHOUT, None),
        // What this one reads, nobody sees: Envoy neither logs nor counts what a dynamic module calls.
        Candidate::new(DYNAMIC, dynamic_module(&modules.dynamic()?, "stream")),
        Candidate::new(LUA, lua(include_str!("scripts/stream.lua"))).leaves(Trace::Script),
    ];
    let guests = guests(modules, "stream", &["proxy_on_request_body"], wasm)?;
    candidates.extend(guests.map(|it| it.leaves(READS)));
    candidates.push(
        Candidate::new(PROC, ext_proc("proc", "SKIP", "STREAMED"))
            .leaves(Trace::Asked("proc", UPLOAD)),
    );
    let candidates = candidates.into_iter().map(arrives);
    Ok(Work {
        title: "A body of 64 KiB, streamed",
        note: "Each piece of the body is read as it passes. No native filter only reads, and `ext_authz` cannot.".to_owned(),
        request: upload(),
        requests: 80,
        goes: Goes::Upstream,
        candidates: candidates.collect(),
        ours: SDK,
    })
}

/// Two header operations without what needs a server, and without raw imports: what valgrind has room for.
pub(crate) fn counted(modules: &Modules<'_>) -> anyhow::Result<[Work; 2]> {
    let mut works = [headers(modules, 2)?, answered(modules)?];
    for work in &mut works {
        work.candidates
            .retain(|candidate| ![RAW, AUTHZ, PROC].contains(&candidate.name));
    }
    Ok(works)
}
