//! What differs between versions of Envoy: the table, its cases and the document.

use std::fs;
use std::sync::Arc;

use attache_conformance::{Played, corpus, entry, versions_document, versions_text};
use attache_envoy::Version;
use attache_harness::mutation::Mutator;
use attache_harness::{EnvoyVersion, VersionDifference};
use attache_suite::{Rehearsal, Suite};

#[test]
fn the_document_tells_of_every_difference() {
    let text = fs::read_to_string(versions_document()).unwrap();
    for difference in VersionDifference::ALL {
        assert!(text.contains(&entry(*difference)), "{difference:?}");
    }
    let played = Played::read(&text);
    let mut known = Version::KNOWN.to_vec();
    known.sort();
    let versions: Vec<Version> = played.iter().map(Played::version).collect();
    assert_eq!(versions, known);
    let stale = "`attache-conformance versions --write` writes it anew";
    assert_eq!(versions_text(&played), text, "{stale}");
}

/// The newest is that of the corpus, of which nothing is seen otherwise.
#[test]
fn what_the_document_calls_different_are_cases() {
    let text = fs::read_to_string(versions_document()).unwrap();
    let files = corpus().unwrap();
    let suites: Vec<Suite> = files
        .iter()
        .map(|file| Suite::load(file).unwrap())
        .collect();
    let is_case = |name: &str| {
        suites
            .iter()
            .any(|suite| suite.cases().any(|case| case == name))
    };
    for played in Played::read(&text) {
        let newest = played.version() == Version::DEFAULT;
        assert!(!newest || played.is_good(), "{played:?}");
        for name in played.differing() {
            assert!(is_case(name), "there is no case `{name}`");
        }
    }
}

/// The case is another one on the last line before the change.
#[test]
fn a_case_shows_every_difference() {
    let files = corpus().unwrap();
    let file = files
        .iter()
        .find(|file| file.ends_with("versions.suite.yaml"));
    let suite = Suite::load(file.unwrap()).unwrap();
    let on = |line: EnvoyVersion| {
        let version = line.to_string().parse().unwrap();
        suite.clone().for_envoy(version).unwrap()
    };
    let suites = EnvoyVersion::ALL.map(on);
    let plays = Rehearsal::of(&suites).unwrap();
    let play = |line: usize, case: usize| plays[line].play(case, Arc::new(Mutator::watching()));
    for difference in VersionDifference::ALL {
        let case = suite.cases().position(|name| name == difference.case());
        let case = case.unwrap_or_else(|| panic!("there is no case `{}`", difference.case()));
        let since = EnvoyVersion::ALL
            .iter()
            .position(|line| *line == difference.since());
        let since = since.unwrap();
        assert_ne!(play(since, case), play(since - 1, case), "{difference:?}");
    }
    let shown = |name: &str| VersionDifference::ALL.iter().any(|one| one.case() == name);
    assert!(suite.cases().all(shown));
}
