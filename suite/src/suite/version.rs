//! Which Envoy the harness plays for a suite.

use attache_envoy::Version;
use attache_harness::EnvoyVersion;

use super::{Suite, SuiteError, Target};
use crate::plan::Source;
use crate::report::Report;
use crate::run::{self, Progress};

/// The line of a release, where the harness plays it.
fn line(version: Version) -> Option<EnvoyVersion> {
    let (major, minor) = version.line();
    EnvoyVersion::of_line(major, minor)
}

/// The Envoy that the harness plays, or why it does not play this one.
pub(super) fn playable(version: Version) -> Result<EnvoyVersion, String> {
    line(version).ok_or_else(|| {
        let [oldest, .., newest] = EnvoyVersion::ALL;
        format!("the harness plays Envoy {oldest} to {newest}, and not {version}")
    })
}

impl Suite {
    /// The same suite for another Envoy than its file says. Where it is played on a real Envoy, the
    /// harness plays the line of that one all the same.
    ///
    /// # Errors
    ///
    /// [`SuiteError::NotPlayed`].
    pub fn for_envoy(mut self, version: Version) -> Result<Self, SuiteError> {
        playable(version).map_err(|reason| SuiteError::NotPlayed { reason })?;
        self.envoy = Some(version);
        Ok(self)
    }

    /// The same suite with another package wherever its cases name this one. The names of plugins stay.
    #[must_use]
    pub fn with_package(mut self, package: &str, other: &str) -> Self {
        let sources = self.plans.iter_mut().flat_map(|plan| &mut plan.sources);
        for source in sources {
            if matches!(source, Source::Package(name) if name == package) {
                *source = Source::Package(other.to_owned());
            }
        }
        self
    }

    /// Plays all cases of several suites and compares what the hosts saw; what the cases expect, which
    /// may hold for another Envoy only, does not count.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Build`].
    pub fn compare_all(
        suites: &[Self],
        target: &Target,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Vec<Report>, SuiteError> {
        let mut plans = Self::all_built(suites, target, progress)?;
        for plan in &mut plans {
            let rehearsed = run::harness(plan, None);
            plan.expect_only(rehearsed.end);
        }
        let cases = run::run(&plans, target, progress);
        Ok(Self::reports(suites, target, cases))
    }

    /// The Envoy that the harness plays.
    pub(super) fn played(&self, target: &Target) -> EnvoyVersion {
        let meant = match target {
            Target::Harness => self.envoy,
            Target::Envoy { installation, .. } | Target::Both { installation, .. } => {
                Some(installation.version)
            }
        };
        meant.and_then(line).unwrap_or_default()
    }

    /// That the harness plays another Envoy than the one that is meant.
    pub(super) fn note(&self, target: &Target) -> Option<String> {
        let Target::Both { installation, .. } = target else {
            return None;
        };
        let version = installation.version;
        let reason = playable(version).err()?;
        let played = self.played(target);
        Some(format!(
            "{reason}: it plays {played}, and what Envoy {version} does otherwise may be no fault of \
             the harness"
        ))
    }
}
