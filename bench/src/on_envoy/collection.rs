//! The filters of the collection, beside what else does the same.

use std::path::Path;

use attache_envoy::RunFolder;
use serde_json::{Value, json};

use super::filters::{header_mutation, lua, wasm_configured};
use super::guests::Modules;
use super::peers::Peers;
use super::table::table;
use super::trace::Trace;
use super::work::{Candidate, Goes, NOWHERE, Work};
use super::{Bench, installation};
use crate::report::Extent;
use crate::report::outcome::Found;

/// One credential, a cookie and ten headers.
const SCRUBBED: &str = "GET /orders?page=2 HTTP/1.1\r\nhost: bench\r\n\
    authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl\r\n\
    cookie: session=0123456789abcdef; theme=dark\r\naccept: application/json\r\n\
    accept-encoding: gzip, br\r\naccept-language: en-GB,en;q=0.9\r\ncache-control: no-cache\r\n\
    user-agent: bench/1.0\r\nreferer: https://example.com/start\r\n\
    x-request-id: 0b7e3c1a-7d0f-4a53-9d5e-000000000000\r\nx-forwarded-for: 192.0.2.1\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nx-tenant: acme\r\n\r\n";

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

/// For a gateway outside of Istio: method, code and path.
const FEW: &str = r#"{"stat_prefix": "edge", "reporter": "source", "metrics": [
    {"name": "request_bytes", "drop": true}, {"name": "response_bytes", "drop": true},
    {"tags_to_remove": ["source_principal", "destination_workload", "destination_workload_namespace",
    "destination_principal", "destination_service_namespace", "destination_canonical_service",
    "destination_canonical_revision", "destination_cluster"]}]}"#;

/// The names that auth-scrub knows unless told otherwise.
const HEADERS: [&str; 8] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-access-token",
    "x-amz-security-token",
    "x-forwarded-access-token",
];
const PARAMETERS: [&str; 10] = [
    "access_token",
    "id_token",
    "token",
    "api_key",
    "apikey",
    "key",
    "sig",
    "signature",
    "password",
    "client_secret",
];

/// The works, each in an Envoy of its own.
pub(crate) fn works(modules: &Modules<'_>) -> anyhow::Result<[Work; 4]> {
    Ok([
        scrubbing(modules)?,
        heads(modules)?,
        field(modules)?,
        counting(modules)?,
    ])
}

/// Measures them.
pub(crate) fn run(root: &Path, extent: Extent) -> anyhow::Result<Found> {
    let folder = RunFolder::claim(&root.join("target/tmp/bench"))?;
    let mut found = Found {
        extent: format!("{} rounds.", extent.rounds),
        ..Found::default()
    };
    for work in works(&Modules::new(root, &folder))? {
        eprintln!("{}", work.title);
        let bench = Bench::start(&work, Peers::default().http()?, &folder, &installation()?)?;
        let costs = bench.measure(&work, extent.rounds)?;
        found.tables.push(table(&work, &costs)?);
    }
    Ok(found)
}

/// What the response says of the credential if it came through, and if it did not: how `SCRUBBED` begins its
/// `authorization`, and its `traceparent`.
const CREDENTIAL: [&str; 2] = ["x-credential: B", "x-credential: 0"];

/// The same of `x-tenant`.
const OWNER: [&str; 2] = ["x-owner: a", "x-owner: 0"];

fn ours(
    modules: &Modules<'_>,
    package: &'static str,
    configuration: &str,
) -> anyhow::Result<Candidate> {
    let path = modules.shipped(package)?;
    let filter = wasm_configured(package, &path, configuration);
    Ok(Candidate::new(package, filter))
}

/// The chain without a filter, of which the response says that no work was done.
fn without(has: &[&'static str]) -> Candidate {
    let candidate = Candidate::new("no filter", None);
    has.iter()
        .fold(candidate, |candidate, text| candidate.has(text))
}

fn script(name: &'static str, text: &str) -> Candidate {
    Candidate::new(name, lua(text)).leaves(Trace::Script)
}

fn work(
    title: &'static str,
    note: &str,
    request: &str,
    ours: &'static str,
    candidates: Vec<Candidate>,
) -> Work {
    Work {
        title,
        note: note.to_owned(),
        request: request.into(),
        requests: 200,
        goes: NOWHERE,
        candidates,
        ours,
    }
}

fn scrubbing(modules: &Modules<'_>) -> anyhow::Result<Work> {
    let remove: Vec<Value> = HEADERS.iter().map(|name| json!({"remove": name})).collect();
    let parameters: Vec<Value> = PARAMETERS
        .iter()
        .map(|name| json!({"remove": name}))
        .collect();
    let native = header_mutation(json!({
        "request_mutations": remove,
        "query_parameter_mutations": parameters,
    }));
    let candidates = [
        script(
            "Lua",
            include_str!("../../../filters/auth-scrub/bench/scrub.lua"),
        ),
        Candidate::new("native header_mutation", native),
        ours(modules, "auth-scrub", "{}")?,
    ];
    Ok(work(
        "auth-scrub",
        "The default rules on a request with one credential, a cookie and ten headers. The script folds names, decodes \
         parameters and looks into the headers that repeat the target, as the filter does; its head says what it leaves. \
         Envoy's `header_mutation` removes the same eight headers and ten parameters by their plain names; other spellings \
         pass it. Neither counts anything. Budget: at most the CPU of the script.",
        SCRUBBED,
        "auth-scrub",
        std::iter::once(without(&CREDENTIAL[..1]))
            .chain(candidates.map(|candidate| candidate.has(CREDENTIAL[1])))
            .collect(),
    ))
}

fn heads(modules: &Modules<'_>) -> anyhow::Result<Work> {
    let native = header_mutation(json!({
        "request_mutations": [
            {"append": {
                "header": {"key": "x-bench", "value": "1"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }},
            {"remove": "x-tenant"},
        ],
        "query_parameter_mutations": [
            {"append": {
                "record": {"key": "tenant", "value": "acme"},
                "action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }},
        ],
    }));
    let candidates = [
        script(
            "Lua",
            include_str!("../../../filters/transform/bench/headers-and-query.lua"),
        ),
        Candidate::new("native header_mutation", native),
        ours(modules, "transform", HEADS)?,
    ];
    let seen = |candidate: Candidate| candidate.has("x-seen: 1").has("&tenant=acme").has(OWNER[1]);
    let without = without(&OWNER[..1]).lacks("x-seen").lacks("tenant=acme");
    Ok(work(
        "transform, two headers and a parameter",
        "One header is set, one removed, and a parameter of the query set, where the path begins with `/orders`. \
         `header_mutation` does so on each path.",
        SCRUBBED,
        "transform",
        std::iter::once(without)
            .chain(candidates.map(seen))
            .collect(),
    ))
}

fn field(modules: &Modules<'_>) -> anyhow::Result<Work> {
    let length = BODY.len();
    let request = format!(
        "POST /orders HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{BODY}"
    );
    let changed = Trace::Body(r#""role": "guest""#);
    // Envoy answers by itself before a body is there, and closes.
    let mut work = work(
        "transform, a field of a body",
        "A field of a JSON body is replaced, while the headers wait. The script replaces by a pattern: it reads no escapes and \
         no nesting, which a script without a JSON library cannot. No native filter replaces a field.",
        &request,
        "transform",
        vec![
            without(&[]).leaves(Trace::Body(r#""role": "admin""#)),
            script("Lua, by a pattern", include_str!("scripts/field.lua")).leaves(changed),
            ours(modules, "transform", FIELD)?.leaves(changed),
        ],
    );
    work.goes = Goes::Upstream;
    Ok(work)
}

fn counting(modules: &Modules<'_>) -> anyhow::Result<Work> {
    let few = {
        let path = modules.shipped("metrics")?;
        Candidate::new(
            "metrics, few labels",
            wasm_configured("metrics-few", &path, FEW),
        )
        .leaves(Trace::Counter("edge_requests_total"))
    };
    let ours = ours(modules, "metrics", "{}")?.leaves(Trace::Counter("istio_requests_total"));
    Ok(work(
        "metrics",
        "As it comes, and with few labels and no bytes. Nothing in this Envoy does the same: Lua cannot define a metric, \
         Istio's `istio_stats` is in Istio's build of Envoy only, and what Envoy counts by itself has no labels.",
        SCRUBBED,
        "metrics",
        vec![without(&[]), few, ours],
    ))
}
