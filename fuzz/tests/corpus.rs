//! Replays each corpus on any compiler, and small changes of it.

use std::path::PathBuf;

#[path = "corpus/replay.rs"]
mod replay;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn nothing_of_the_corpus_breaks_a_promise() {
    replay::as_it_is(&folder(), &attache_fuzz::TARGETS);
}

#[test]
fn small_changes_of_the_corpus_break_no_promise() {
    replay::changed(&folder(), &attache_fuzz::TARGETS);
}
