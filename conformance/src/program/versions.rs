//! `versions`: the corpus on each Envoy.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use attache_conformance::{Played, corpus, suites_for, versions_document, versions_text};
use attache_envoy::{Environment, RunFolder, Selection, Version};
use attache_suite::{Report, Suite, Target};

use super::{print, say};

/// Play the corpus on each supported Envoy and on the harness as that Envoy, and tell what differs
///
/// Fails where harness and Envoy saw a case otherwise.
#[derive(Debug, clap::Args)]
pub(crate) struct Versions {
    /// Write the document, instead of printing it
    #[arg(long)]
    write: bool,

    /// Only this Envoy; the document is not written then
    #[arg(long, value_name = "VERSION", conflicts_with = "write")]
    only: Option<Version>,

    /// Play these suites; the corpus is played otherwise
    #[arg(value_name = "SUITE", conflicts_with = "write")]
    suites: Vec<PathBuf>,
}

impl Versions {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let files = match &self.suites[..] {
            [] => corpus().context("cannot list the corpus")?,
            files => files.to_vec(),
        };
        let mut versions = Version::KNOWN.to_vec();
        versions.sort();
        versions.retain(|version| self.only.is_none_or(|only| *version == only));
        let mut rows = Vec::new();
        for version in versions {
            rows.push(play(version, &files)?);
        }
        let text = versions_text(&rows);
        if self.write {
            let path = versions_document();
            let cannot = || format!("cannot write `{}`", path.display());
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).with_context(cannot)?;
            }
            std::fs::write(&path, text).with_context(cannot)?;
        } else {
            print(text.trim_end());
        }
        Ok(match rows.iter().all(Played::is_good) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// Plays suites on one Envoy.
fn play(version: Version, files: &[PathBuf]) -> anyhow::Result<Played> {
    let selection = Selection::Version(version);
    let installation = attache_envoy::find(&selection, &Environment::current(), &mut |_| ())
        .with_context(|| format!("there is no Envoy {version}"))?;
    let scratch = std::env::temp_dir().join("attache-conformance");
    let folder = RunFolder::claim(&scratch)
        .with_context(|| format!("cannot use the folder `{}`", scratch.display()))?;
    let target = Target::Both {
        installation,
        folder: folder.to_path_buf(),
    };
    let suites = suites_for(version, files).context("cannot read the suites")?;
    let reports = Suite::compare_all(&suites, &target, &mut |_| ())?;
    let cases = || reports.iter().flat_map(|report: &Report| &report.cases);
    for case in cases().filter(|case| !case.passed()) {
        say(format_args!("{version}: {case}"));
    }
    Ok(Played::of(version, cases()))
}
