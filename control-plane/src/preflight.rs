//! What is tried of a version before any Envoy sees it.

use attache_module::{Facts, ReadError};

use crate::rollout::Rollout;

/// Why a version is not pushed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The file is no module that Envoy loads.
    #[error("`{module}` is no proxy-wasm module: {reason}")]
    Module { module: String, reason: ReadError },
}

/// Tries a version.
pub(crate) fn check(rollout: &Rollout) -> Result<(), Refusal> {
    Facts::read(rollout.module.bytes()).map_err(|reason| Refusal::Module {
        module: rollout.module.path.display().to_string(),
        reason,
    })?;
    Ok(())
}
