//! Every suite of the corpus is played.

use std::path::Path;

use attache_suite::{on_both_hosts, on_the_harness};

#[test]
fn the_corpus_holds_on_the_harness() {
    for file in attache_conformance::corpus().unwrap() {
        on_the_harness(&file).unwrap();
    }
}

#[test]
#[ignore = "needs Envoy"]
fn the_corpus_holds_on_both_hosts() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for file in attache_conformance::corpus().unwrap() {
        on_both_hosts(&file, &folder.join(file.file_name().unwrap())).unwrap();
    }
}
