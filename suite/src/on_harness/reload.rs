//! Plugins that are replaced on the harness.

use attache_harness::{Host, HostError};

use super::host::plugin;
use crate::case::Filter;
use crate::run::lines_of;
use crate::seen::Refusal;

/// Replaces a plugin, and says why it was refused, if it was.
pub(super) fn reload(host: &mut Host, filter: &Filter) -> Result<Option<Refusal>, HostError> {
    match host.reload(&filter.name, plugin(filter)) {
        Ok(()) => Ok(None),
        Err(error @ (HostError::Start { .. } | HostError::Load { .. })) => {
            let text = format!("{error:?}");
            let lines = lines_of(&text).map(str::to_owned).collect();
            Ok(Some(Refusal { lines }))
        }
        Err(error) => Err(error),
    }
}
