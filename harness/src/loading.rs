//! From a plugin's description to its place in the host.

use std::sync::Arc;

use crate::bases::Base;
use crate::capabilities::Capabilities;
use crate::entries::Threads;
use crate::error::HostError;
use crate::module::Module;
use crate::plugin::Plugin;
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
        let module = Module::load_with(&code, &capabilities).map_err(|source| HostError::Load {
            plugin: plugin.name.clone(),
            source,
        })?;
        let mut environment = plugin.environment;
        for key in plugin.host_environment_keys {
            if environment.contains_key(&key) {
                let plugin = plugin.name;
                return Err(HostError::EnvironmentKey { plugin, key });
            }
            if let Some(value) = self.environment.get(&key) {
                environment.insert(key, value.clone());
            }
        }
        let info = PluginInfo {
            vm_id: plugin.vm_id.unwrap_or_else(|| plugin.name.clone()),
            name: plugin.name.into(),
            root_id: plugin.root_id,
            configuration: plugin.configuration,
            vm_configuration: plugin.vm_configuration,
            capabilities,
            environment,
        };
        let loaded = Loaded {
            module,
            policy: plugin.failure_policy,
            reload_backoff: plugin.reload_backoff,
            allow_on_headers_stop_iteration: plugin.allow_on_headers_stop_iteration,
            threads,
            base: self.base_of(&info, code),
            identity: self.identity_of(&info),
        };
        self.bases[loaded.base].holders += 1;
        self.plugins.push(loaded);
        self.world.plugins.push(Arc::new(info));
        for thread in &mut self.threads {
            thread.handles.push(None);
        }
        Ok(self.plugins.len() - 1)
    }

    /// Envoy hashes VM id, VM configuration and code; nothing else tells VMs apart.
    fn base_of(&mut self, info: &PluginInfo, code: Vec<u8>) -> usize {
        let same = |base: &Base| {
            base.holders > 0
                && base.vm_id == info.vm_id
                && base.vm_configuration == info.vm_configuration
                && base.code == code
        };
        self.bases.iter().position(same).unwrap_or_else(|| {
            self.bases.push(Base::new(info, code, self.plugins.len()));
            self.bases.len() - 1
        })
    }

    /// In one VM, plugins of one name, root id and configuration share a root context.
    fn identity_of(&self, info: &PluginInfo) -> usize {
        let same = |other: &Arc<PluginInfo>| {
            other.name == info.name
                && other.root_id == info.root_id
                && other.configuration == info.configuration
        };
        let known = self.world.plugins.iter().position(same);
        known.unwrap_or(self.world.plugins.len())
    }
}
