//! Plugins that are replaced while Envoy serves, by discovery from files.

use std::path::Path;
use std::time::Duration;

use attache_envoy::{Discovered, Envoy, Push};

use super::{EnvoyError, plugin};
use crate::case::{Case, Filter};
use crate::seen::{Line, Refusal};

/// How long Envoy may take to accept or refuse a plugin.
pub(super) const LIMIT: Duration = Duration::from_secs(20);
/// How long workers take to follow the main thread, which alone says that it has accepted.
const WORKERS: Duration = Duration::from_millis(100);

/// Where a plugin stands that is replaced.
pub(super) struct Place {
    pub(super) discovered: Discovered,
}

impl Place {
    pub(super) fn of(filter: &Filter, folder: &Path) -> Self {
        Self {
            discovered: Discovered::new(&filter.name, folder.join("plugins")),
        }
    }

    /// Replaces the plugin, and says why it was refused, if it was.
    pub(super) fn replace(
        &self,
        envoy: &mut Envoy,
        case: &Case,
        filter: &Filter,
    ) -> Result<Option<Refusal>, EnvoyError> {
        let mut plugin = plugin(filter, "");
        // Envoy takes what is equal to the last file for applied.
        let last = std::fs::read_to_string(self.discovered.path())?;
        plugin.nack_on_code_cache_miss = !last.contains("nack_on_code_cache_miss: true");
        match envoy.push_in_place(&plugin, LIMIT)? {
            Push::Refused { log } => {
                let lines = log.iter().flat_map(|line| {
                    let guest = Line::of(case, "", String::new(), &line.message);
                    [Some(line.message.clone()), guest.map(|line| line.message)]
                });
                let lines = lines.flatten().collect();
                Ok(Some(Refusal { lines }))
            }
            _ => {
                std::thread::sleep(WORKERS);
                Ok(None)
            }
        }
    }
}

/// Writes what Envoy reads when it starts.
pub(super) fn prepare(case: &Case, folder: &Path) -> Result<(), EnvoyError> {
    for filter in &case.filters {
        if case.reloads(&filter.name) {
            let place = Place::of(filter, folder);
            place.discovered.write_in_place(&plugin(filter, ""))?;
        }
    }
    Ok(())
}
