//! The document of Envoy's behaviour and the corpus that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use attache_conformance::{Statement, corpus, repository, statements, with_links};
use attache_suite::Suite;

const LEAST_CASES: usize = 750;

type Tested<T = ()> = Result<T, Box<dyn Error>>;

fn document() -> Tested<(PathBuf, String)> {
    let path = repository().join("docs/envoy-behaviour.md");
    let text = fs::read_to_string(&path)?;
    Ok((path, text))
}

fn suites() -> Tested<Vec<Suite>> {
    let files = corpus()?.into_iter();
    Ok(files.map(Suite::load).collect::<Result<_, _>>()?)
}

/// The suites that cover each id, by their names.
fn covered() -> Tested<BTreeMap<String, BTreeSet<String>>> {
    let mut covered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for suite in suites()? {
        let name = suite.path().file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let name = name.trim_end_matches(".suite.yaml");
        for id in suite.covers().flat_map(|(_, ids)| ids) {
            let suites = covered.entry(id.clone()).or_default();
            suites.insert(name.to_owned());
        }
    }
    Ok(covered)
}

#[test]
fn the_document_links_the_suites_that_cover_it() -> Tested {
    let (path, text) = document()?;
    let linked = with_links(&text, &covered()?);
    if env::var_os("BLESS").is_some() {
        fs::write(path, linked)?;
        return Ok(());
    }
    let stale: Vec<(&str, &str)> = text
        .lines()
        .zip(linked.lines())
        .filter(|(old, new)| old != new)
        .collect();
    assert!(
        stale.is_empty(),
        "BLESS=1 cargo test -p attache-conformance writes these:\n{stale:#?}"
    );
    Ok(())
}

#[test]
fn every_statement_is_shown_by_something_that_is_there() -> Tested {
    let (_, text) = document()?;
    let covered = covered()?;
    let mut wrong = Vec::new();
    for Statement { id, shown_by, .. } in statements(&text) {
        let mut shown = covered.contains_key(&id);
        for (words, path) in shown_by {
            let Ok(file) = fs::read_to_string(repository().join(&path)) else {
                wrong.push(format!("{id}: there is no {path}"));
                continue;
            };
            if path.ends_with(".rs") && !file.contains(&format!("fn {words}(")) {
                wrong.push(format!("{id}: {path} has no test {words}"));
            }
            shown = true;
        }
        if !shown {
            wrong.push(format!("{id}: no case covers it, and no test is named"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn each_id_is_that_of_one_statement() -> Tested {
    let (_, text) = document()?;
    let mut ids = BTreeSet::new();
    for Statement { id, .. } in statements(&text) {
        assert!(ids.insert(id.clone()), "{id} is there twice");
    }
    let unknown: Vec<String> = covered()?
        .into_keys()
        .filter(|id| !ids.contains(id))
        .collect();
    assert_eq!(unknown, [""; 0], "no statement has these ids");
    Ok(())
}

#[test]
fn the_corpus_is_large_and_every_case_says_what_is_seen() -> Tested {
    let cases: usize = suites()?.iter().map(|suite| suite.cases().len()).sum();
    assert!(cases >= LEAST_CASES, "{cases} cases");
    for suite in suites()? {
        let silent: Vec<&str> = suite.silent().collect();
        let path = suite.path().display();
        assert!(
            silent.is_empty(),
            "{path}: no log is expected of {silent:?}"
        );
        for (case, covers) in suite.covers() {
            assert!(!covers.is_empty(), "{path}: `{case}` covers nothing");
        }
    }
    Ok(())
}
