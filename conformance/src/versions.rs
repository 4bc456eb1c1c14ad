//! The corpus on each Envoy that the harness plays.

use std::fmt::Write;
use std::path::PathBuf;

use attache_envoy::Version;
use attache_harness::{EnvoyVersion, VersionDifference};
use attache_suite::{CaseReport, Suite, SuiteError};

use crate::corpus::repository;

/// The suite whose cases show the differences.
const OF_VERSIONS: &str = "versions.suite.yaml";

/// How the lines of the document begin that tell of an Envoy, and of a case that was seen otherwise on it.
const PLAYED: &str = "* ";
const DIFFERS: &str = "  * ";

/// Reads suites as they are played on an Envoy.
///
/// # Errors
///
/// Those of reading a suite, and of an Envoy that the harness does not play.
pub fn suites_for(version: Version, files: &[PathBuf]) -> Result<Vec<Suite>, SuiteError> {
    let read = |file: &PathBuf| {
        let suite = Suite::load(file)?;
        if file.ends_with(OF_VERSIONS) {
            return suite.for_envoy(version);
        }
        suite_for(version, suite)
    };
    files.iter().map(read).collect()
}

/// A suite as it is played on an Envoy: one that lacks functions of WASI gets a probe without them.
pub(crate) fn suite_for(version: Version, suite: Suite) -> Result<Suite, SuiteError> {
    let suite = suite.for_envoy(version)?;
    let (major, minor) = version.line();
    let line = EnvoyVersion::of_line(major, minor).unwrap_or_default();
    Ok(if line < VersionDifference::MoreOfWasi.since() {
        suite.with_package("probe", "probe-1-38")
    } else {
        suite
    })
}

/// The file that tells of versions.
#[must_use]
pub fn versions_document() -> PathBuf {
    repository().join("docs/envoy-versions.md")
}

/// What came of the cases on one Envoy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Played {
    version: Version,
    /// Those that harness and Envoy saw otherwise, by their names.
    differing: Vec<String>,
}

impl Played {
    /// What the reports of all cases say.
    pub fn of<'r>(version: Version, cases: impl IntoIterator<Item = &'r CaseReport>) -> Self {
        let failed = cases.into_iter().filter(|case| !case.passed());
        Self {
            version,
            differing: failed.map(|case| case.name.clone()).collect(),
        }
    }

    /// What [`versions_text`] wrote.
    #[must_use]
    pub fn read(text: &str) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix(DIFFERS) {
                if let Some(last) = all.last_mut() {
                    last.differing.push(name.to_owned());
                }
            } else if let Some(version) = line.strip_prefix(PLAYED) {
                let version = version.split(':').next().unwrap_or_default();
                all.extend(version.parse().map(|version| Self {
                    version,
                    differing: Vec::new(),
                }));
            }
        }
        all
    }

    /// Which Envoy.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The cases that were seen otherwise.
    pub fn differing(&self) -> impl Iterator<Item = &str> {
        self.differing.iter().map(String::as_str)
    }

    /// Whether no case was seen otherwise.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.differing.is_empty()
    }
}

/// The document: what was played, and what differs between versions.
#[must_use]
pub fn versions_text(played: &[Played]) -> String {
    let [oldest, .., newest] = EnvoyVersion::ALL;
    let mut text = format!(
        "# Envoy versions\n\n\
         The harness plays Envoy {oldest} to {newest}: `HostBuilder::envoy_version`, or `envoy: \"{oldest}\"` in a\n\
         suite. This file is what `cargo run -p attache-conformance -- versions --write` found.\n\n\
         ## Cases of the corpus on both hosts\n\n\
         What a case expects is what 1.40 shows; on the others only harness and Envoy are compared.\n\n"
    );
    for row in played {
        let seen = match row.is_good() {
            true => "harness and Envoy saw the same.",
            false => "all but these were seen alike:",
        };
        // A string takes everything.
        let _ = writeln!(text, "{PLAYED}{}: {seen}", row.version);
        for name in &row.differing {
            let _ = writeln!(text, "{DIFFERS}{name}");
        }
    }
    text.push_str("\n## What changed\n\nEach with the case of `");
    text.push_str(OF_VERSIONS);
    text.push_str("` that shows it.\n");
    let mut since = None;
    for difference in VersionDifference::ALL {
        if since != Some(difference.since()) {
            since = Some(difference.since());
            let _ = write!(text, "\n### {}\n\n", difference.since());
        }
        text.push_str(&entry(*difference));
    }
    text
}

/// What the document says of a difference.
#[must_use]
pub fn entry(difference: VersionDifference) -> String {
    format!(
        "* {} Before: {} (*{}*)\n",
        difference.now(),
        difference.before(),
        difference.case()
    )
}
