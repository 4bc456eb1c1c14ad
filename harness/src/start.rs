//! Starting plugins in threads, reloading and ending them.

use crate::abi::LogLevel;
use crate::entries::Threads;
use crate::error::{HostError, StartError};
use crate::plugin::FailurePolicy;
use crate::proxy::{Called, Handle, Moved, Proxy};
use crate::stream::{Filter, Stream};
use crate::timeline::LogLine;
use crate::vm::{Entry, Phase, RootEnd, Vm, VmState};

/// Envoy's `reload_config.backoff.base_interval`.
const BACKOFF_MILLISECONDS: u64 = 1000;

impl Proxy {
    /// Starts every plugin as Envoy does when it reads a static listener: in a canary and in the
    /// main thread, then in each worker.
    pub(crate) fn start_all(&mut self) -> Moved {
        for plugin in 0..self.plugins.len() {
            self.try_canary(plugin)?;
            self.start_in(0, plugin)?;
        }
        for thread in 1..self.threads.len() {
            for plugin in 0..self.plugins.len() {
                match self.plugins[plugin].threads {
                    Threads::All => self.start_in(thread, plugin)?,
                    Threads::Main => self.threads[thread].handles.push(None),
                }
            }
        }
        self.run_until_idle()
    }

    /// Starts the plugin in a VM that is thrown away, without done and delete.
    fn try_canary(&mut self, plugin: usize) -> Moved {
        let logged = self.world.log.len();
        let started = match self.new_vm(0, plugin)? {
            Ok(vm) => self.start_root(vm, plugin)?.map(drop),
            Err(error) => Err(error),
        };
        self.vms.pop();
        started.map_err(|mut source| {
            source.attach(&self.world.log[logged..]);
            HostError::Start {
                plugin: self.world.plugins[plugin].name.to_string(),
                source,
            }
        })
    }

    /// Starts the plugin in a thread. What the canary survived and this does not goes unnoticed in
    /// Envoy: streams pass without the filter.
    fn start_in(&mut self, thread: usize, plugin: usize) -> Moved {
        let handle = match self.vm_in(thread, plugin)? {
            Ok(vm) => match self.start_root(vm, plugin)? {
                Ok(root) => Some(Handle {
                    vm,
                    root,
                    loaded: self.world.clock.now(),
                }),
                Err(error) => {
                    self.bury(vm, plugin, &error)?;
                    None
                }
            },
            Err(error) => {
                self.log_thread_failure(plugin, &error);
                None
            }
        };
        self.threads[thread].handles.push(handle);
        Ok(())
    }

    /// The thread's VM for a plugin: one that it has, or a new one.
    fn vm_in(
        &mut self,
        thread: usize,
        plugin: usize,
    ) -> Result<Result<usize, StartError>, HostError> {
        let identity = self.plugins[plugin].vm_identity;
        let shares = |(other, handle): (usize, &Option<Handle>)| {
            handle.filter(|_| self.plugins[other].vm_identity == identity)
        };
        match self.threads[thread]
            .handles
            .iter()
            .enumerate()
            .find_map(shares)
        {
            Some(handle) => Ok(Ok(handle.vm)),
            None => self.new_vm(thread, plugin),
        }
    }

    /// Makes a VM and runs its module start.
    fn new_vm(
        &mut self,
        thread: usize,
        plugin: usize,
    ) -> Result<Result<usize, StartError>, HostError> {
        let entry = Entry {
            phase: Phase::Initialize,
            context: 0,
            slot: None,
            fuel_limit: self.fuel_limit,
        };
        let module = self.plugins[plugin].module.clone();
        let state = VmState::new(self.vms.len(), thread, plugin, module.abi());
        let (vm, started) = Vm::start(&module, state, &mut self.world, entry);
        self.vms.push(vm);
        let vm = self.vms.len() - 1;
        if let Called::Trapped(reason) = self.after(None, plugin, "(start)", started)? {
            return Ok(Err(StartError::trap("(start)", reason)));
        }
        let at = (Phase::Initialize, 0, None);
        if self.vms[vm].callbacks.initialize.is_some() {
            if let Called::Trapped(reason) =
                self.call(vm, at, "_initialize", |all| &all.initialize, ())?
            {
                return Ok(Err(StartError::trap("_initialize", reason)));
            }
            let main = match self.call(vm, at, "main", |all| &all.main, (0, 0))? {
                Called::Missing => self.call(vm, at, "__main_void", |all| &all.main_void, ())?,
                called => called,
            };
            if let Called::Trapped(reason) = main {
                return Ok(Err(StartError::trap("main", reason)));
            }
        } else if let Called::Trapped(reason) = self.call(vm, at, "_start", |all| &all.start, ())? {
            return Ok(Err(StartError::trap("_start", reason)));
        }
        Ok(Ok(vm))
    }

    /// Creates, starts and configures a root context.
    fn start_root(
        &mut self,
        vm: usize,
        plugin: usize,
    ) -> Result<Result<u32, StartError>, HostError> {
        let root = self.vms[vm].state().add_root(plugin);
        let at = (Phase::ContextCreate, root, None);
        let created = self.call(
            vm,
            at,
            "proxy_on_context_create",
            |all| &all.context_create,
            (root, 0),
        )?;
        self.run_deferred(vm)?;
        if let Called::Trapped(reason) = created {
            return Ok(Err(StartError::trap("proxy_on_context_create", reason)));
        }
        let size = size_of_bytes(&self.world.plugins[plugin].vm_configuration);
        let at = (Phase::VmStart, root, None);
        let started = self.call(
            vm,
            at,
            "proxy_on_vm_start",
            |all| &all.vm_start,
            (root, size),
        )?;
        self.run_deferred(vm)?;
        match started {
            Called::Returned(0) => return Ok(Err(StartError::VmStartRefused { log: Vec::new() })),
            Called::Trapped(reason) => {
                return Ok(Err(StartError::trap("proxy_on_vm_start", reason)));
            }
            Called::Returned(_) | Called::Missing => {}
        }
        let size = size_of_bytes(&self.world.plugins[plugin].configuration);
        let at = (Phase::Configure, root, None);
        let configured = self.call(
            vm,
            at,
            "proxy_on_configure",
            |all| &all.configure,
            (root, size),
        )?;
        self.run_deferred(vm)?;
        Ok(match configured {
            Called::Returned(0) => Err(StartError::ConfigurationRefused { log: Vec::new() }),
            Called::Trapped(reason) => Err(StartError::trap("proxy_on_configure", reason)),
            Called::Returned(_) | Called::Missing => Ok(root),
        })
    }

    /// Ends a root that did not start on its thread.
    fn bury(&mut self, vm: usize, plugin: usize, error: &StartError) -> Moved {
        let latest = self.vms[vm].state().roots.keys().copied().max();
        if let Some(root) = latest {
            self.end_root(vm, root)?;
        }
        self.log_thread_failure(plugin, error);
        Ok(())
    }

    fn log_thread_failure(&mut self, plugin: usize, error: &StartError) {
        let name = &self.world.plugins[plugin].name;
        let message = format!(
            "Failed to configure thread-local Wasm plugin `{name}`, requests pass without it: {error}"
        );
        self.world.log_own(None, LogLevel::Critical, message);
    }

    /// The filters of a new stream: each gets its context id here, in chain order.
    pub(crate) fn open(
        &mut self,
        thread: usize,
        chain: usize,
        stream: Stream,
    ) -> Result<usize, HostError> {
        let slot = self.world.open(Stream {
            chain,
            thread,
            ..stream
        });
        for at in 0..self.entries.chains[chain].plugins.len() {
            let plugin = self.entries.chains[chain].plugins[at];
            let handle = self.handle_for_stream(thread, plugin)?;
            let mut filter = Filter {
                plugin,
                ..Filter::default()
            };
            if let Some(handle) = handle {
                let index = self.world.streams[slot].filters.len();
                filter.vm = Some(handle.vm);
                filter.root = handle.root;
                filter.context =
                    self.vms[handle.vm]
                        .state()
                        .add_stream(handle.root, plugin, slot, index);
            }
            self.world.streams[slot].filters.push(filter);
        }
        Ok(slot)
    }

    /// The VM that a new stream gets, by the failure policy; none if it passes without the filter.
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
        match self.plugins[plugin].policy {
            FailurePolicy::FailClosed => Ok(Some(handle)),
            FailurePolicy::FailOpen | FailurePolicy::DeprecatedFailOpen => Ok(None),
            FailurePolicy::FailReload => self.reload(thread, plugin, handle).map(Some),
        }
    }

    /// Starts a failed VM anew, unless the last start was too short a time ago.
    fn reload(&mut self, thread: usize, plugin: usize, old: Handle) -> Result<Handle, HostError> {
        let jitter = self.world.random.below(BACKOFF_MILLISECONDS / 2 + 1);
        let wait = std::time::Duration::from_millis(BACKOFF_MILLISECONDS + jitter);
        let now = self.world.clock.now();
        if now - old.loaded < wait {
            self.world.timeline.note(format!(
                "`{}` is not reloaded yet",
                self.world.plugins[plugin].name
            ));
            return Ok(old);
        }
        self.world
            .timeline
            .note(format!("`{}` is reloaded", self.world.plugins[plugin].name));
        let started = match self.new_vm(thread, plugin)? {
            Ok(vm) => {
                let root = self.start_root(vm, plugin)?;
                // What did not start must not tick, nor be ended.
                self.vms[vm].failed |= root.is_err();
                root.map(|root| Handle {
                    vm,
                    root,
                    loaded: now,
                })
            }
            Err(error) => Err(error),
        };
        let handle = started.unwrap_or(Handle { loaded: now, ..old });
        self.threads[thread].handles[plugin] = Some(handle);
        Ok(handle)
    }

    /// Ends every root, as at SIGTERM: one that asks for time is not waited for.
    pub(crate) fn shut_down(&mut self) -> Moved {
        for vm in 0..self.vms.len() {
            let mut roots: Vec<u32> = self.vms[vm].state().roots.keys().copied().collect();
            roots.sort_unstable();
            for root in roots {
                self.end_root(vm, root)?;
            }
        }
        Ok(())
    }

    fn end_root(&mut self, vm: usize, root: u32) -> Moved {
        if self.vms[vm].failed {
            return Ok(());
        }
        let done = self.call(
            vm,
            (Phase::Done, root, None),
            "proxy_on_done",
            |all| &all.done,
            (root,),
        )?;
        if matches!(done, Called::Returned(0))
            && let Some(root) = self.vms[vm].state().roots.get_mut(&root)
        {
            root.end = RootEnd::Pending;
        }
        self.run_deferred(vm)?;
        if matches!(done, Called::Returned(0)) {
            Ok(())
        } else {
            self.delete_root(vm, root)
        }
    }

    pub(crate) fn delete_root(&mut self, vm: usize, root: u32) -> Moved {
        if !self.vms[vm].failed {
            self.call(
                vm,
                (Phase::Delete, root, None),
                "proxy_on_delete",
                |all| &all.delete,
                (root,),
            )?;
            self.run_deferred(vm)?;
        }
        let state = self.vms[vm].state();
        state.roots.remove(&root);
        state.contexts.remove(&root);
        Ok(())
    }
}

impl StartError {
    fn trap(callback: &'static str, reason: String) -> Self {
        Self::Trap {
            callback,
            reason,
            log: Vec::new(),
        }
    }

    /// Adds what the guest logged on the way.
    fn attach(&mut self, lines: &[LogLine]) {
        let (Self::VmStartRefused { log }
        | Self::ConfigurationRefused { log }
        | Self::Trap { log, .. }) = self;
        *log = lines
            .iter()
            .filter(|line| !line.prefix.is_empty())
            .cloned()
            .collect();
    }
}

fn size_of_bytes(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
