//! Another plugin in the place of one that serves, and a VM in the place of one that failed.

use std::time::Duration;

use crate::entries::Threads;
use crate::error::HostError;
use crate::mutation::Rule;
use crate::plugin::{FailurePolicy, Plugin};
use crate::proxy::{Handle, Moved, Proxy};

/// The stats of a plugin, `wasm.<its name>.<one of these>`.
pub(crate) const RELOAD_STATS: [&str; 4] = [
    "vm_reload",
    "vm_reload_success",
    "vm_reload_backoff",
    "vm_reload_failure",
];

impl Proxy {
    /// Puts a plugin in the place of those of a name, as ECDS does: it is tried in a canary, then
    /// started in every thread, then used by new streams. Where it is refused nothing changes.
    pub(crate) fn replace(&mut self, name: &str, plugin: Plugin) -> Moved {
        self.run_until_idle()?;
        let old = self.filters_named(name);
        if old.is_empty() {
            return Err(HostError::UnknownPlugin {
                plugin: name.to_owned(),
            });
        }
        let new = self.load(plugin, Threads::All)?;
        self.create(new)?;
        for thread in 0..self.threads.len() {
            self.start_in(thread, new)?;
        }
        for chain in &mut self.entries.chains {
            for plugin in &mut chain.plugins {
                if old.contains(plugin) {
                    *plugin = new;
                }
            }
        }
        for thread in (1..self.threads.len()).chain([0]) {
            for plugin in &old {
                self.release_plugin(thread, *plugin);
            }
        }
        for plugin in old {
            self.leave_base(plugin);
        }
        self.run_until_idle()
    }

    /// The plugins of this name that stand in filter chains.
    fn filters_named(&self, name: &str) -> Vec<usize> {
        let chains = self.entries.chains.iter();
        let mut found: Vec<usize> = chains
            .flat_map(|chain| chain.plugins.iter().copied())
            .filter(|plugin| &*self.world.plugins[*plugin].name == name)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The root that a new stream gets, by the failure policy; none if it passes without the
    /// filter.
    pub(crate) fn handle_for_stream(
        &mut self,
        thread: usize,
        plugin: usize,
    ) -> Result<Option<Handle>, HostError> {
        let Some(handle) = self.threads[thread].handles[plugin] else {
            return Ok(None);
        };
        if !self.vms[handle.vm].failed {
            return Ok(Some(handle));
        }
        let policy = self.plugins[plugin].policy;
        match policy {
            FailurePolicy::FailClosed if self.world.mutated(Rule::FailClosedPasses) => Ok(None),
            FailurePolicy::FailOpen if self.world.mutated(Rule::FailOpenFails) => Ok(Some(handle)),
            FailurePolicy::FailReload if self.world.mutated(Rule::FailReloadFails) => {
                Ok(Some(handle))
            }
            FailurePolicy::FailClosed => Ok(Some(handle)),
            FailurePolicy::FailOpen | FailurePolicy::DeprecatedFailOpen => Ok(None),
            FailurePolicy::FailReload => self.recover(thread, plugin, handle).map(Some),
        }
    }

    /// Starts a failed VM anew, unless the last start was too short a time ago.
    fn recover(&mut self, thread: usize, plugin: usize, old: Handle) -> Result<Handle, HostError> {
        let now = self.world.clock.now();
        let name = self.world.plugins[plugin].name.clone();
        let backoff = self.backoff(plugin);
        if now - old.loaded < backoff && !self.world.mutated(Rule::ReloadsDoNotWait) {
            self.count_reload(plugin, "backoff");
            self.world
                .timeline
                .note(format!("`{name}` is not reloaded yet"));
            return Ok(old);
        }
        self.world.timeline.note(format!("`{name}` is reloaded"));
        let Some((vm, root)) = self.root_in(thread, plugin)? else {
            self.count_reload(plugin, "failure");
            let handle = Handle { loaded: now, ..old };
            self.threads[thread].handles[plugin] = Some(handle);
            return Ok(handle);
        };
        self.count_reload(plugin, "success");
        self.take(vm, root);
        self.release(old.vm, old.root);
        let loaded = now;
        let handle = Handle { vm, root, loaded };
        self.threads[thread].handles[plugin] = Some(handle);
        Ok(handle)
    }

    /// How long the last start must be ago: the base, and up to half of it more.
    fn backoff(&mut self, plugin: usize) -> Duration {
        let base = self.plugins[plugin].reload_backoff;
        let milliseconds = u64::try_from(base.as_millis()).unwrap_or(u64::MAX);
        let jitter = self.world.random.below(milliseconds / 2 + 1);
        base.saturating_add(Duration::from_millis(jitter))
    }

    fn count_reload(&mut self, plugin: usize, what: &str) {
        let name = &self.world.plugins[plugin].name;
        let stat = format!("wasm.{name}.vm_reload_{what}");
        *self.reloads.entry(stat).or_default() += 1;
    }
}

impl Proxy {
    /// A stat of Envoy's own about Wasm.
    pub(crate) fn stat(&self, name: &str) -> Option<u64> {
        match name {
            "wasm.envoy.wasm.runtime.v8.created" => return Some(self.vms_created),
            "wasm.envoy.wasm.runtime.v8.active" | "wasm.wasm_vm_count" => {
                return Some(self.vms_active);
            }
            _ => {}
        }
        let (plugin, stat) = name.strip_prefix("wasm.")?.rsplit_once('.')?;
        let known = self.world.plugins.iter().any(|info| &*info.name == plugin);
        (known && RELOAD_STATS.contains(&stat))
            .then(|| self.reloads.get(name).copied().unwrap_or(0))
    }
}
