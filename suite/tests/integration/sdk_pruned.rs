//! A finished module, which lacks the callbacks that its filters do not need, does what the linked
//! one does, which has them all.

use std::path::PathBuf;

use attache_suite::{Case, Filter, Reply, Request, Seen, on_both, on_harness};

use crate::both::{chain, envoy, folder, module};

#[test]
fn a_module_of_request_headers_does_what_it_did_before_pruning() {
    alike(HEADERS, harness);
}

#[test]
fn a_module_that_waits_does_what_it_did_before_pruning() {
    alike(WAITS, harness);
}

#[test]
fn a_module_of_bodies_does_what_it_did_before_pruning() {
    alike(BODIES, harness);
}

#[test]
#[ignore = "needs Envoy"]
fn modules_do_what_they_did_before_pruning_on_envoy() {
    for subjects in [HEADERS, WAITS, BODIES] {
        alike(subjects, |case| {
            let folder = folder("pruned");
            let played = on_both(case, envoy(), &folder);
            let (predicted, seen) = played.unwrap_or_else(|error| panic!("{}", chain(&error)));
            assert_eq!(predicted, seen, "left: the harness, right: Envoy");
            seen
        });
    }
}

/// Packages, their root ids and configurations.
type Subjects = &'static [(&'static str, &'static str, &'static str)];

const HEADERS: Subjects = &[("auth-scrub", "auth-scrub", "{}")];

const WAITS: Subjects = &[("gate", "gate", "{}"), ("gate", "hasty", "{}")];

const BODIES: Subjects = &[
    ("bodies", "rewrite", "{}"),
    ("bodies", "judge", r#"{"limit": 100}"#),
    ("bodies", "sealed", r#"{"limit": 100}"#),
    ("bodies", "audit", "{}"),
];

fn harness(case: &Case) -> Seen {
    on_harness(case).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn alike(subjects: Subjects, play: impl Fn(&Case) -> Seen) {
    for (package, root_id, configuration) in subjects {
        for headers_stopped in [false, true] {
            let finished = module(package);
            let linked = linked(&finished);
            let [finished, linked] = [finished, linked]
                .map(|module| play(&case(root_id, module, configuration, headers_stopped)));
            assert_eq!(
                finished, linked,
                "{root_id}, headers stopped: {headers_stopped}"
            );
        }
    }
}

/// What the linker left of a module.
fn linked(finished: &std::path::Path) -> PathBuf {
    let name = finished.file_name().unwrap().to_str().unwrap();
    let target = finished.parent().unwrap().parent().unwrap();
    target
        .join("wasm32-unknown-unknown/wasm")
        .join(name.replace('-', "_"))
}

fn case(root_id: &str, module: PathBuf, configuration: &str, headers_stopped: bool) -> Case {
    let mut filter = Filter::new(root_id, module).configured(configuration);
    if headers_stopped {
        filter = filter.allow_on_headers_stop_iteration();
    }
    let answer = Reply::new(200)
        .header("server", "x")
        .chunk("a sec")
        .chunk("ret");
    Case::new(filter)
        .answer(answer)
        .request(Request::get("/a?token=x").header("authorization", "Bearer x"))
        .request(Request::post("/").chunk("a sec").chunk("ret"))
        .request(
            Request::post("/local")
                .header("te", "trailers")
                .chunk("a body")
                .trailer("x-sum", "6"),
        )
        .request(
            Request::post("/await")
                .header("te", "trailers")
                .chunk("a body")
                .trailer("x-sum", "6"),
        )
}
