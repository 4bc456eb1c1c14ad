//! Base VMs: what all copies of a VM come from, and where a plugin is tried before it serves.
//!
//! Envoy keeps one for each VM id, VM configuration, environment, list of capabilities and code. It
//! runs the module's start and nothing else; it lives as long as a plugin or a copy of it does, and
//! with the last one of a VM id go that id's shared data and queues.

use std::sync::Arc;

use crate::abi::LogLevel;
use crate::error::{HostError, StartError};
use crate::mutation::Rule;
use crate::plugin::FailurePolicy;
use crate::proxy::{Called, Moved, Proxy, START_FUNCTION};
use crate::vm::{Entry, Home, Phase, PluginInfo, Role, Vm, VmState};

/// What a module and its configuration make together.
pub(crate) struct Base {
    pub(crate) vm_id: String,
    pub(crate) code: Arc<Vec<u8>>,
    /// The plugin for which it was made.
    pub(crate) plugin: usize,
    /// Whether its module start has run.
    pub(crate) started: bool,
    /// Whether a copy in a thread refused what the canary took. Envoy then refuses every later
    /// plugin of this base.
    pub(crate) failed: bool,
    /// Plugins, by their identities, that a canary took or refused to configure; they are not tried
    /// again.
    tried: Vec<(usize, bool)>,
    /// Plugins and copies in threads. At none it is gone.
    pub(crate) holders: usize,
}

impl Base {
    pub(crate) fn new(info: &PluginInfo, code: Arc<Vec<u8>>, plugin: usize) -> Self {
        Self {
            vm_id: info.vm_id.clone(),
            code,
            plugin,
            started: false,
            failed: false,
            tried: Vec::new(),
            holders: 0,
        }
    }
}

impl Proxy {
    /// What Envoy does on the main thread before a plugin may serve: makes the base VM where there
    /// is none, and tries the plugin in a canary that is thrown away without done and delete.
    pub(crate) fn create(&mut self, plugin: usize) -> Moved {
        let logged = self.world.log.len();
        let Err((message, mut source)) = self.try_plugin(plugin)? else {
            return Ok(());
        };
        let name = self.world.plugins[plugin].name.to_string();
        if let Some(message) = message {
            self.log_vm_failure(message);
        }
        let critical = |proxy: &mut Self, message| {
            proxy.world.log_own(None, LogLevel::Critical, message);
        };
        critical(self, format!("Plugin {name} failed to load"));
        if self.plugins[plugin].policy != FailurePolicy::DeprecatedFailOpen {
            let message = "Plugin configured to fail closed failed to load";
            critical(self, message.to_owned());
        }
        source.attach(&self.world.log[logged..]);
        self.leave_base(plugin);
        Err(HostError::Start {
            plugin: name,
            source,
        })
    }

    /// The error comes with what Envoy logs of the VM.
    fn try_plugin(
        &mut self,
        plugin: usize,
    ) -> Result<Result<(), (Option<&'static str>, StartError)>, HostError> {
        let initialize = "Failed to initialize Wasm code";
        let base = self.plugins[plugin].base;
        if !self.bases[base].started {
            if let Err(error) = self.start_base(plugin)? {
                return Ok(Err((Some(initialize), error)));
            }
            self.bases[base].started = true;
        }
        let identity = self.plugins[plugin].identity;
        let known = self.bases[base].tried.iter();
        match known.clone().find(|(tried, _)| *tried == identity) {
            Some((_, true)) => {}
            Some((_, false)) => {
                return Ok(Err((None, StartError::RefusedBefore { log: Vec::new() })));
            }
            None => {
                if let Err(error) = self.try_canary(plugin)? {
                    return Ok(Err(error));
                }
            }
        }
        if self.bases[base].failed {
            return Ok(Err((None, StartError::ThreadFailed { log: Vec::new() })));
        }
        Ok(Ok(()))
    }

    /// Starts the plugin in a canary.
    fn try_canary(
        &mut self,
        plugin: usize,
    ) -> Result<Result<(), (Option<&'static str>, StartError)>, HostError> {
        let (base, identity) = (self.plugins[plugin].base, self.plugins[plugin].identity);
        if self.world.mutated(Rule::NoCanary) {
            return Ok(Ok(()));
        }
        let vm = match self.new_vm(Role::Canary, 0, plugin)? {
            Ok(vm) => vm,
            Err(error) => return Ok(Err((Some("Failed to initialize Wasm code"), error))),
        };
        let started = self.start_root(vm, plugin)?;
        self.throw_away(vm);
        Ok(match started {
            Ok(_) => {
                self.bases[base].tried.push((identity, true));
                Ok(())
            }
            Err(error @ StartError::VmStartRefused { .. }) => {
                Err((Some("Failed to start base Wasm"), error))
            }
            Err(error) => {
                self.bases[base].tried.push((identity, false));
                Err((Some("Failed to configure base Wasm plugin"), error))
            }
        })
    }

    /// Runs the module's start in the base VM, whose instance nobody calls again.
    fn start_base(&mut self, plugin: usize) -> Result<Result<(), StartError>, HostError> {
        let started = self.new_vm(Role::Base, 0, plugin)?;
        if let Ok(vm) = started {
            // It counts as active until the base goes.
            self.throw_away(vm);
            self.vms_active += 1;
        }
        Ok(started.map(drop))
    }

    /// Makes a VM and runs its module start. One that does not start is thrown away.
    pub(crate) fn new_vm(
        &mut self,
        role: Role,
        thread: usize,
        plugin: usize,
    ) -> Result<Result<usize, StartError>, HostError> {
        let base = self.plugins[plugin].base;
        // Environment and capabilities are those of the plugin for which the base was made.
        let first = self.bases[base].plugin;
        let home = Home {
            index: self.vms.len(),
            thread,
            base,
        };
        let entry = Entry {
            phase: Phase::Initialize,
            context: 0,
            slot: None,
            limit: self.limits.of(START_FUNCTION),
        };
        let module = self.plugins[plugin].module.clone();
        let state = VmState::new(home, first, module.abi());
        let (vm, started) = Vm::start(&module, role, state, &mut self.world, entry);
        self.vms.push(vm);
        self.vms_created += 1;
        self.vms_active += 1;
        let vm = self.vms.len() - 1;
        let started = match self.after(None, plugin, START_FUNCTION, started)? {
            Called::Trapped(reason) => Err(StartError::NoInstance { reason }),
            Called::Returned(()) | Called::Missing => self.start_module(vm)?,
        };
        if started.is_err() {
            self.throw_away(vm);
        } else if role == Role::Thread {
            self.bases[self.plugins[plugin].base].holders += 1;
        }
        Ok(started.map(|()| vm))
    }

    fn start_module(&mut self, vm: usize) -> Result<Result<(), StartError>, HostError> {
        let at = (Phase::Initialize, 0, None);
        if self.vms[vm].callbacks.initialize.is_none() {
            let started = self.call(vm, at, "_start", |all| &all.start, ())?;
            return Ok(trapped("_start", started));
        }
        let started = self.call(vm, at, "_initialize", |all| &all.initialize, ())?;
        if let Err(error) = trapped("_initialize", started) {
            return Ok(Err(error));
        }
        let main = match self.call(vm, at, "main", |all| &all.main, (0, 0))? {
            Called::Missing => self.call(vm, at, "__main_void", |all| &all.main_void, ())?,
            called => called,
        };
        Ok(trapped("main", main))
    }

    /// Frees an instance, without a word to its guest.
    pub(crate) fn throw_away(&mut self, vm: usize) {
        self.vms[vm].discard();
        self.vms_active -= 1;
    }

    pub(crate) fn log_vm_failure(&mut self, message: &str) {
        let message = format!("Wasm VM failed {message}");
        self.world.log_own(None, LogLevel::Error, message);
    }

    /// A plugin, or a copy in a thread, needs its base no longer.
    pub(crate) fn leave_base(&mut self, plugin: usize) {
        let at = self.plugins[plugin].base;
        let base = &mut self.bases[at];
        base.holders -= 1;
        if base.holders > 0 {
            return;
        }
        self.vms_active -= u64::from(base.started);
        let vm_id = std::mem::take(&mut base.vm_id);
        base.code = Arc::default();
        self.world.metrics.forget(at);
        let lives = |base: &Base| base.holders > 0 && base.vm_id == vm_id;
        if !self.bases.iter().any(lives) {
            self.world.forget_vm_id(&vm_id);
        }
    }
}

fn trapped<R>(callback: &'static str, called: Called<R>) -> Result<(), StartError> {
    match called {
        Called::Trapped(reason) => Err(StartError::trap(callback, reason)),
        Called::Returned(_) | Called::Missing => Ok(()),
    }
}
