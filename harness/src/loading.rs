//! From a plugin's description to its place in the host.

use std::sync::Arc;
use std::time::Duration;

use crate::bases::Base;
use crate::capabilities::Capabilities;
use crate::entries::Threads;
use crate::envoy_version::VersionDifference;
use crate::error::HostError;
use crate::module::Module;
use crate::plugin::{FailurePolicy, Plugin};
use crate::proxy::{Loaded, Proxy};
use crate::vm::PluginInfo;

impl Proxy {
    /// Loads a plugin's module, finds the VMs and the roots that it shares, and numbers it.
    pub(crate) fn load(&mut self, plugin: Plugin, threads: Threads) -> Result<usize, HostError> {
        let name = || plugin.name.clone();
        let code = plugin.bytes().map_err(|source| HostError::Source {
            plugin: name(),
            source,
        })?;
        let capabilities = Capabilities::only(plugin.allowed_capabilities);
        let module = Module::load_with(&code, &capabilities, self.world.version, plugin.effort);
        let module = module.map_err(|source| HostError::Load {
            plugin: plugin.name.clone(),
            source,
        })?;
        let environment = match plugin.variables.seen(&self.environment) {
            Ok(environment) => environment,
            Err(key) => {
                let plugin = plugin.name;
                return Err(HostError::EnvironmentKey { plugin, key });
            }
        };
        let info = PluginInfo {
            vm_id: plugin.vm_id.unwrap_or_else(|| plugin.name.clone()),
            name: plugin.name.into(),
            root_id: plugin.root_id,
            configuration: plugin.configuration,
            vm_configuration: plugin.vm_configuration,
            capabilities,
            variables: plugin.variables,
            environment,
        };
        let settings = Settings {
            policy: plugin.failure_policy,
            reload_backoff: plugin.reload_backoff,
            allow_on_headers_stop_iteration: plugin.allow_on_headers_stop_iteration,
        };
        let loaded = Loaded {
            module,
            policy: plugin.failure_policy,
            reload_backoff: plugin.reload_backoff,
            allow_on_headers_stop_iteration: plugin.allow_on_headers_stop_iteration,
            discovered: plugin.discovered,
            threads,
            base: self.base_of(&info, code),
            identity: self.identity_of(&info, settings),
        };
        self.bases[loaded.base].holders += 1;
        self.plugins.push(loaded);
        self.world.plugins.push(Arc::new(info));
        for thread in &mut self.threads {
            thread.handles.push(None);
        }
        Ok(self.plugins.len() - 1)
    }

    /// VMs are told apart by all that they are made from: `vm_config` of Envoy, without its two
    /// settings of how code is fetched, and the list of capabilities.
    fn base_of(&mut self, info: &PluginInfo, code: Arc<Vec<u8>>) -> usize {
        let plugins = &self.world.plugins;
        let one_for_all = self.world.is_before(VersionDifference::VariablesPartVms);
        let same = |base: &Base| {
            let first = &plugins[base.plugin];
            base.holders > 0
                && base.vm_id == info.vm_id
                && first.vm_configuration == info.vm_configuration
                && (one_for_all || first.variables == info.variables)
                && first.capabilities == info.capabilities
                && base.code == code
        };
        self.bases.iter().position(same).unwrap_or_else(|| {
            self.bases.push(Base::new(info, code, self.plugins.len()));
            self.bases.len() - 1
        })
    }

    /// In one VM, plugins that are the same in all but `vm_config` share a root context; also the
    /// failure policy tells them apart. Observed on Envoy 1.40.
    fn identity_of(&self, info: &PluginInfo, settings: Settings) -> usize {
        let same = |(other, loaded): (&Arc<PluginInfo>, &Loaded)| {
            other.name == info.name
                && other.root_id == info.root_id
                && other.configuration == info.configuration
                && Settings::of(loaded) == settings
        };
        let mut plugins = self.world.plugins.iter().zip(&self.plugins);
        plugins.position(same).unwrap_or(self.plugins.len())
    }
}

/// What a plugin's configuration has besides what its guest sees.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Settings {
    policy: FailurePolicy,
    reload_backoff: Duration,
    allow_on_headers_stop_iteration: bool,
}

impl Settings {
    fn of(plugin: &Loaded) -> Self {
        Self {
            policy: plugin.policy,
            reload_backoff: plugin.reload_backoff,
            allow_on_headers_stop_iteration: plugin.allow_on_headers_stop_iteration,
        }
    }
}
