//! A finished module, which lacks the callbacks that its filters do not need, does what the linked
//! one does, which has them all.

use std::path::PathBuf;

use attache_suite::{Case, Filter, Reply, Request, on_harness};

use crate::both::{chain, module};

#[test]
fn a_module_of_request_headers_does_what_it_did_before_pruning() {
    alike("auth-scrub", "auth-scrub", "{}");
}

#[test]
fn a_module_that_waits_does_what_it_did_before_pruning() {
    alike("gate", "gate", "{}");
    alike("gate", "hasty", "{}");
}

#[test]
fn a_module_of_bodies_does_what_it_did_before_pruning() {
    alike("bodies", "rewrite", "{}");
    alike("bodies", "judge", r#"{"limit": 100}"#);
    alike("bodies", "sealed", r#"{"limit": 100}"#);
    alike("bodies", "audit", "{}");
}

fn alike(package: &'static str, root_id: &str, configuration: &str) {
    let finished = module(package);
    for headers_stopped in [false, true] {
        let play = |module: PathBuf| {
            let case = case(root_id, module, configuration, headers_stopped);
            on_harness(&case).unwrap_or_else(|error| panic!("{}", chain(&error)))
        };
        assert_eq!(
            play(finished.clone()),
            play(linked(&finished)),
            "{root_id}, headers stopped: {headers_stopped}"
        );
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
