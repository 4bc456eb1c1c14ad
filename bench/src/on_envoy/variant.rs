//! What is measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use attache_module::{Guest, without_exports};
use serde_json::Value;

use super::bootstrap::{header_mutation, heads_mutation, lua, wasm, wasm_configured};

/// The callbacks that two header operations do not need.
const UNUSED: [&str; 19] = [
    "proxy_on_done",
    "proxy_on_downstream_connection_close",
    "proxy_on_downstream_data",
    "proxy_on_foreign_function",
    "proxy_on_grpc_close",
    "proxy_on_grpc_receive",
    "proxy_on_grpc_receive_initial_metadata",
    "proxy_on_grpc_receive_trailing_metadata",
    "proxy_on_http_call_response",
    "proxy_on_log",
    "proxy_on_new_connection",
    "proxy_on_queue_ready",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_body",
    "proxy_on_response_trailers",
    "proxy_on_tick",
    "proxy_on_upstream_connection_close",
    "proxy_on_upstream_data",
];

/// A chain with at most one filter, and what its cost is compared with.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) filter: Option<Value>,
    /// The chain without the filter.
    pub(crate) without: Option<&'static str>,
    /// Others that do the same, and the budget that says how they compare.
    pub(crate) compared: &'static [(&'static str, &'static str)],
    subject: Subject,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Subject {
    Nothing,
    Header,
    Scrub,
    Heads,
    Body,
}

impl Variant {
    /// The request that it is measured with.
    pub(crate) fn request(&self) -> String {
        let headers = match self.subject {
            Subject::Nothing | Subject::Header => "accept: */*\r\nuser-agent: bench/1.0\r\n",
            Subject::Scrub | Subject::Heads => SCRUBBED,
            Subject::Body => {
                let length = BODY.len();
                return format!(
                    "POST /orders HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
                     content-length: {length}\r\n\r\n{BODY}"
                );
            }
        };
        format!("GET /orders?page=2 HTTP/1.1\r\nhost: bench\r\n{headers}\r\n")
    }

    /// Whether it is counted by valgrind, whose address space has room for three modules.
    pub(crate) fn is_counted(&self) -> bool {
        matches!(self.subject, Subject::Nothing | Subject::Header) && self.name != "raw imports"
    }

    /// How often the filter stands in the chain: what scrubs or transforms finds something to do only once.
    pub(crate) fn copies(&self) -> usize {
        match self.subject {
            Subject::Header => 4,
            Subject::Nothing | Subject::Scrub | Subject::Heads | Subject::Body => 1,
        }
    }

    /// Whether the filter does what it is measured for, as far as the response shows.
    pub(crate) fn check(&self, response: &str) -> anyhow::Result<()> {
        ensure!(response.starts_with("HTTP/1.1 200"), "not answered");
        let removes = self.subject == Subject::Header;
        let has = response.contains("x-powered-by");
        ensure!(has != removes, "the response's header is wrong");
        Ok(())
    }
}

/// One credential, a cookie and ten headers.
const SCRUBBED: &str = "authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl\r\n\
    cookie: session=0123456789abcdef; theme=dark\r\naccept: application/json\r\n\
    accept-encoding: gzip, br\r\naccept-language: en-GB,en;q=0.9\r\ncache-control: no-cache\r\n\
    user-agent: bench/1.0\r\nreferer: https://example.com/start\r\n\
    x-request-id: 0b7e3c1a-7d0f-4a53-9d5e-000000000000\r\nx-forwarded-for: 192.0.2.1\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx-tenant: acme\r\n";

/// A body of JSON with a field that is replaced.
const BODY: &str = "{\"user\": {\"name\": \"ada\", \"role\": \"admin\"}, \"items\": [{\"id\": 1, \
    \"name\": \"tea\", \"price\": 3.50}, {\"id\": 2, \"name\": \"milk\", \"price\": 1.20}], \
    \"note\": \"leave it at the door\", \"paid\": true}";

/// Two headers and a parameter.
const HEADS: &str = r#"{"request": {"rules": [{"match": {"path": [{"prefix": "/orders"}]}, "steps": [
    {"op": "set", "header": "x-bench", "value": "1"},
    {"op": "remove", "header": "x-tenant"},
    {"op": "set", "query": "tenant", "value": "acme"}]}]}}"#;

/// A field of a body, while the headers wait.
const FIELD: &str = r#"{"request": {"body": {"hold_headers": true}, "rules": [{"steps": [
    {"op": "replace", "body": "/user/role", "value": "guest"}]}]}}"#;

/// All variants, their modules built and written to `folder`.
pub(crate) fn variants(root: &Path, folder: &Path) -> anyhow::Result<Vec<Variant>> {
    let bench = root.join("bench");
    let bare = as_its_users_build(&bench, "bare-header")?;
    let pruned = without_exports(&bare, &UNUSED)?;
    let raw = as_its_users_build(&bench, "raw-header")?;
    let mut notice = |notice| eprintln!("{notice}");
    let sdk = Guest::in_workspace(&bench, Some("sdk-header")).build(&mut notice)?;
    let scrub = Guest::in_workspace(root, Some("auth-scrub")).build(&mut notice)?;
    let transform = Guest::in_workspace(root, Some("transform")).build(&mut notice)?;
    let configured = |name: &'static str, configuration: &str| -> anyhow::Result<Option<Value>> {
        let path = folder.join(format!("{}.wasm", name.replace([' ', ','], "-")));
        std::fs::write(&path, &transform.bytes)?;
        Ok(Some(wasm_configured(name, &path, configuration)))
    };
    let module = |name: &'static str, bytes: &[u8]| -> anyhow::Result<Option<Value>> {
        let path = folder.join(format!("{}.wasm", name.replace(' ', "-")));
        std::fs::write(&path, bytes)?;
        Ok(Some(wasm(name, &path)))
    };
    let header = |name, filter, compared| Variant {
        name,
        filter,
        without: Some("no filter"),
        compared,
        subject: Subject::Header,
    };
    let without = |name, subject| Variant {
        name,
        filter: None,
        without: None,
        compared: &[],
        subject,
    };
    let scrubs = |name, filter, compared| Variant {
        name,
        filter,
        without: Some("no filter, 12 headers"),
        compared,
        subject: Subject::Scrub,
    };
    let changes = |name, filter, without, subject, compared| Variant {
        name,
        filter,
        without: Some(without),
        compared,
        subject,
    };
    let heads = |name, filter, compared| {
        changes(
            name,
            filter,
            "no filter, 12 headers",
            Subject::Heads,
            compared,
        )
    };
    let bodies = |name, filter, compared| {
        changes(name, filter, "no filter, a body", Subject::Body, compared)
    };
    Ok(vec![
        without("no filter", Subject::Nothing),
        header("native header_mutation", Some(header_mutation()), &[]),
        header("Lua", Some(lua(include_str!("header.lua"))), &[]),
        header("raw imports", module("raw imports", &raw)?, &[]),
        header("bare proxy-wasm", module("bare proxy-wasm", &bare)?, &[]),
        header(
            "bare proxy-wasm, pruned",
            module("bare pruned", &pruned)?,
            &[],
        ),
        header(
            "SDK",
            module("SDK", &sdk.bytes)?,
            &[
                ("bare proxy-wasm", "0.90"),
                ("bare proxy-wasm, pruned", "1.15"),
            ],
        ),
        without("no filter, 12 headers", Subject::Scrub),
        scrubs("Lua, scrubbing", Some(lua(include_str!("scrub.lua"))), &[]),
        scrubs(
            "auth-scrub",
            module("auth-scrub", &scrub.bytes)?,
            &[("Lua, scrubbing", "1.00")],
        ),
        heads(
            "Lua, headers and query",
            Some(lua(include_str!("heads.lua"))),
            &[],
        ),
        heads("native, headers and query", Some(heads_mutation()), &[]),
        heads(
            "transform, headers and query",
            configured("transform, headers and query", HEADS)?,
            &[
                ("Lua, headers and query", "no budget"),
                ("native, headers and query", "no budget"),
            ],
        ),
        without("no filter, a body", Subject::Body),
        bodies(
            "Lua, a field by pattern",
            Some(lua(include_str!("field.lua"))),
            &[],
        ),
        bodies(
            "transform, a field",
            configured("transform, a field", FIELD)?,
            &[("Lua, a field by pattern", "no budget")],
        ),
    ])
}

/// The module of a package that is built without the project's own tools: cargo's release profile.
fn as_its_users_build(workspace: &Path, package: &str) -> anyhow::Result<Vec<u8>> {
    let target = "wasm32-unknown-unknown";
    let output = Command::new("cargo")
        .current_dir(workspace)
        .args([
            "build",
            "--release",
            "--target",
            target,
            "--package",
            package,
        ])
        .args(["--message-format", "json"])
        .output()
        .context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "cargo cannot build {package}:\n{said}"
    );
    let messages = String::from_utf8(output.stdout)?;
    let module = messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let files = message["filenames"].as_array()?;
        let mut paths = files.iter().filter_map(Value::as_str).map(PathBuf::from);
        paths.rfind(|path| path.extension().is_some_and(|e| e == "wasm"))
    });
    let module = module.with_context(|| format!("cargo made no module of {package}"))?;
    Ok(std::fs::read(module)?)
}
