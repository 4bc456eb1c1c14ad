//! Modules of other toolchains (`fixtures/toolchains/build`) on both hosts.

use std::path::{Path, PathBuf};

use attache_suite::{Case, Filter, Reply, Request};

use crate::both::check_both;

fn module(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = target.join("toolchains").join(format!("{name}.wasm"));
    assert!(
        path.exists(),
        "{}: run fixtures/toolchains/build",
        path.display()
    );
    path
}

/// Requests that the filter of `fixtures/toolchains/README.md` and the published examples tell apart.
fn play(name: &str, root_id: &str) {
    let filter = Filter::new(root_id, module(name)).configured("my text");
    let case = Case::new(filter)
        .answer(Reply::new(200).header("x-r", "r").body("a secret\n"))
        .request(Request::get("/orders").header("x-a", "v"))
        .request(Request::get("/deny"))
        .request(Request::get("/ask"))
        .request(Request::get("/hello"))
        .request(Request::post("/orders").chunk("body"));
    check_both(
        &format!("toolchains-{name}"),
        (case, |seen| {
            assert_eq!(seen.streams.len(), 5);
        }),
    );
}

macro_rules! played {
    ($($name:ident $root_id:literal $module:literal;)*) => {
        $(
            #[test]
            #[ignore = "needs Envoy and the other toolchains"]
            fn $name() {
                play($module, $root_id);
            }
        )*
    };
}

played! {
    c_answers_alike "filter" "c";
    assemblyscript_answers_alike "filter" "assemblyscript";
    the_readme_of_an_sdk_answers_alike "add_header" "assemblyscript-readme";
    rust_on_wasip1_answers_alike "filter" "rust-wasip1";
    go_answers_alike "filter" "go";
    a_published_example_that_rewrites_bodies_answers_alike "filter" "abi_0_1_0_http_body";
    a_published_example_that_is_configured_answers_alike "filter" "abi_0_1_0_http_config";
    a_published_example_that_replies_answers_alike "filter" "abi_0_1_0_http_headers";
    a_later_example_that_rewrites_bodies_answers_alike "filter" "abi_0_2_0_http_body";
    a_later_example_that_is_configured_answers_alike "filter" "abi_0_2_0_http_config";
    a_later_example_that_replies_answers_alike "filter" "abi_0_2_0_http_headers";
}
