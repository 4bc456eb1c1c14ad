//! Every suite of the corpus is played, and what is known to differ still does.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};

use attache_envoy::{Environment, RunFolder, Selection};
use attache_harness::KnownDifference;
use attache_suite::{Report, Suite, Target};

type Tried<T> = Result<T, Box<dyn Error>>;

fn suites(files: &[PathBuf]) -> Tried<Vec<Suite>> {
    let suites = files.iter().map(Suite::load);
    Ok(suites.collect::<Result<_, _>>()?)
}

fn known_differences() -> Tried<Vec<PathBuf>> {
    let folder = attache_conformance::repository().join("harness/known-differences");
    let files = folder.read_dir()?;
    Ok(files
        .map(|file| Ok(file?.path()))
        .collect::<std::io::Result<_>>()?)
}

/// What failed, to be read.
fn failed(reports: &[Report]) -> String {
    let failed = reports.iter().flat_map(|report| {
        let cases = report.cases.iter().filter(|case| !case.passed());
        cases.map(|case| format!("{}\n{case}", report.path.display()))
    });
    failed.collect()
}

#[test]
fn the_corpus_holds_on_the_harness() -> Tried<()> {
    let suites = suites(&attache_conformance::corpus()?)?;
    let reports = Suite::run_all(&suites, &Target::Harness, &mut |_| ())?;
    let failed = failed(&reports);
    assert!(failed.is_empty(), "{failed}");
    Ok(())
}

/// All suites at once, so that their cases share Envoys.
#[test]
#[ignore = "needs Envoy"]
fn the_corpus_holds_on_both_hosts() -> Tried<()> {
    let suites = suites(&attache_conformance::corpus()?)?;
    let reports = on_envoy("corpus", &suites, |installation, folder| Target::Both {
        installation,
        folder,
    })?;
    let failed = failed(&reports);
    assert!(failed.is_empty(), "{failed}");
    Ok(())
}

#[test]
fn a_known_difference_is_none_that_is_gone() -> Tried<()> {
    for suite in suites(&known_differences()?)? {
        let report = suite.run_on(&Target::Harness)?;
        let agreed: Vec<&str> = report
            .cases
            .iter()
            .filter(|case| case.passed())
            .map(|case| case.name.as_str())
            .collect();
        assert_eq!(agreed, [""; 0], "move these to the corpus");
    }
    Ok(())
}

/// What the harness notes of a play is the name of a suite that shows it.
#[test]
fn a_known_difference_is_noted_where_it_is_met() -> Tried<()> {
    let mut shown = BTreeSet::new();
    for file in known_differences()? {
        let name = file.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.strip_suffix(".suite.yaml"));
        let name = name.ok_or("expected a suite")?.to_owned();
        let report = Suite::load(&file)?.run_on(&Target::Harness)?;
        for case in &report.cases {
            let noted = case.known_differences().into_iter();
            let noted = noted.map(|known| known.name());
            assert_eq!(noted.collect::<Vec<_>>(), [&name], "{}", case.name);
        }
        shown.insert(name);
    }
    let known = KnownDifference::ALL
        .iter()
        .map(|known| known.name().to_owned());
    assert_eq!(shown, known.collect::<BTreeSet<_>>());
    Ok(())
}

#[test]
#[ignore = "needs Envoy"]
fn a_known_difference_is_seen_on_envoy() -> Tried<()> {
    let suites = suites(&known_differences()?)?;
    let reports = on_envoy("known", &suites, |installation, folder| Target::Envoy {
        installation,
        folder,
    })?;
    let failed = failed(&reports);
    assert!(failed.is_empty(), "{failed}");
    Ok(())
}

fn on_envoy(
    name: &str,
    suites: &[Suite],
    target: impl FnOnce(attache_envoy::Installation, PathBuf) -> Target,
) -> Tried<Vec<Report>> {
    let environment = Environment::current();
    let installation = attache_envoy::find(&Selection::Default, &environment, &mut |_| ())?;
    let folder = RunFolder::claim(&Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))?;
    let target = target(installation, folder.to_path_buf());
    Ok(Suite::run_all(suites, &target, &mut |_| ())?)
}
