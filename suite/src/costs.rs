//! What the cases of a suite cost.

use attache_harness::PhaseCost;

use crate::on_harness;
use crate::run::Progress;
use crate::suite::{Suite, SuiteError, Target};

/// What a case costs on the harness, from a fresh start of its plugins.
#[derive(Debug)]
#[non_exhaustive]
pub struct CaseCost {
    /// Its name.
    pub name: String,
    /// The start in the first worker.
    pub start: Vec<PhaseCost>,
    /// All steps together.
    pub steps: Vec<PhaseCost>,
}

/// What the cases of a suite cost.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Costs {
    /// Those that came to their end, in order.
    pub cases: Vec<CaseCost>,
    /// The names of the others, and why they did not.
    pub left: Vec<(String, String)>,
}

impl Suite {
    /// Builds the packages, and plays each case on the harness for what it costs: the same modules cost
    /// the same, always. What a case expects is not looked at.
    ///
    /// # Errors
    ///
    /// [`SuiteError::Build`].
    pub fn costs(&self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Costs, SuiteError> {
        let mut costs = Costs::default();
        for plan in self.built(&Target::Harness, progress)? {
            match on_harness::cost(&plan.case) {
                Ok((start, steps)) => costs.cases.push(CaseCost {
                    name: plan.name,
                    start,
                    steps,
                }),
                Err(error) => costs.left.push((plan.name, error.to_string())),
            }
        }
        Ok(costs)
    }
}
