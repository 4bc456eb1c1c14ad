//! Cases on a harness that departs from Envoy: what tests of a corpus need.

use std::sync::Arc;

use attache_harness::mutation::Mutator;

use crate::plan::Plan;
use crate::report::Verdict;
use crate::run;
use crate::seen::Seen;
use crate::suite::{Suite, SuiteError, Target};

/// A suite that is read and built, to be played many times.
#[derive(Debug)]
pub struct Rehearsal {
    plans: Vec<Plan>,
}

/// What a case showed; two plays of it are equal or somebody may notice.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shown {
    passed: bool,
    seen: Option<Seen>,
    /// How a play ended that did not come to its end.
    error: Option<String>,
}

impl Shown {
    /// Whether everything was as the case expects.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.passed
    }
}

impl Rehearsal {
    /// Builds the packages of suites, each once.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Build`].
    pub fn of(suites: &[Suite]) -> Result<Vec<Self>, SuiteError> {
        let mut of = |suite: &Suite| {
            let plans = suite.built(&Target::Harness, &mut |_| ())?;
            Ok(Self { plans })
        };
        suites.iter().map(&mut of).collect()
    }

    /// The names of the cases, in order.
    pub fn cases(&self) -> impl ExactSizeIterator<Item = &str> {
        self.plans.iter().map(|plan| plan.name.as_str())
    }

    /// Plays a case, by its place among all; None where there is no such case.
    #[must_use]
    pub fn play(&self, case: usize, mutator: Arc<Mutator>) -> Option<Shown> {
        let run::Rehearsed {
            verdict, played, ..
        } = run::harness(self.plans.get(case)?, Some(mutator));
        let error = match &verdict {
            Verdict::Error(text) => text.lines().next().map(str::to_owned),
            _ => None,
        };
        Some(Shown {
            passed: verdict.is_good(),
            seen: played.map(|played| played.seen),
            error,
        })
    }
}
