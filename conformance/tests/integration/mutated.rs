//! Harnesses that are wrong in one place, and the case that notices.

use std::collections::BTreeSet;
use std::env;

use attache_conformance::{Stage, Thoroughness, known_survivors, sample, seed_of};
use attache_harness::mutation::Mutation;

const DRAWN: usize = 50;

/// `ATTACHE_MUTATION_SEED` draws others, `ATTACHE_MUTATIONS=all` tries all.
#[test]
fn a_case_notices_what_the_harness_does_otherwise() {
    let seed = match env::var("ATTACHE_MUTATION_SEED") {
        Ok(text) => seed_of(&text).expect("a number, or a commit in hexadecimal"),
        Err(_) => 0,
    };
    let known = known_survivors().unwrap();
    let mut mutations = Mutation::all();
    mutations.retain(|mutation| !known.contains(&mutation.to_string()));
    if env::var("ATTACHE_MUTATIONS").as_deref() != Ok("all") {
        mutations = sample(mutations, DRAWN, seed);
    }
    let stage = Stage::set().unwrap();
    // Whoever shows something else each time would notice everything.
    assert_eq!(stage.unsteady(), [""; 0]);
    let outcomes = stage.play(&mutations, Thoroughness::First);
    let survivors = outcomes.iter().filter(|outcome| outcome.noticed.is_empty());
    let survivors: Vec<String> = survivors.map(ToString::to_string).collect();
    assert!(
        survivors.is_empty(),
        "no case notices these, with ATTACHE_MUTATION_SEED={seed}:\n{}",
        survivors.join("\n")
    );
}

#[test]
fn every_known_survivor_is_a_mutation() {
    let all: BTreeSet<String> = Mutation::all().iter().map(ToString::to_string).collect();
    let unknown: Vec<String> = known_survivors()
        .unwrap()
        .difference(&all)
        .cloned()
        .collect();
    assert_eq!(unknown, [""; 0]);
}
