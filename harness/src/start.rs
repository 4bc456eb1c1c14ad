//! Starting plugins in threads.

use crate::entries::Threads;
use crate::error::{HostError, StartError};
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::proxy::{Called, Handle, Moved, Proxy};
use crate::timeline::LogLine;
use crate::vm::{Phase, Role, RootEnd};

impl Proxy {
    /// Starts every plugin as Envoy does when it reads a static listener: in a canary and in the
    /// main thread, then in each worker.
    pub(crate) fn start_all(&mut self) -> Moved {
        let plugins = self.plugins.len();
        let backwards = plugins > 1 && self.world.mutated(Rule::LastPluginStartsFirst);
        let in_place = self.world.mutated(Rule::DiscoveredPluginsStartInPlace);
        let mut order: Vec<usize> = (0..plugins).collect();
        // What is discovered comes when the listener is there already.
        order.sort_by_key(|plugin| self.plugins[*plugin].discovered && !in_place);
        if backwards {
            order.reverse();
        }
        let with_main = plugins > 1 && self.world.mutated(Rule::WorkersStartWithTheMainThread);
        let main_last = plugins > 1 && self.world.mutated(Rule::MainThreadStartsLast);
        let main_idle = self.world.mutated(Rule::MainThreadDoesNotStart);
        for plugin in order.iter().copied() {
            self.create(plugin)?;
            if !main_last && !main_idle {
                self.start_in(0, plugin)?;
            }
            for thread in (1..self.threads.len()).filter(|_| with_main) {
                self.start_in(thread, plugin)?;
            }
        }
        for thread in (1..self.threads.len()).chain(main_last.then_some(0)) {
            for plugin in order.iter().copied() {
                if self.plugins[plugin].threads == Threads::All && !(with_main && thread > 0) {
                    self.start_in(thread, plugin)?;
                }
            }
        }
        self.run_until_idle()
    }

    /// Starts the plugin in a thread. What the canary survived and this does not goes unnoticed in
    /// Envoy: streams pass without the filter.
    pub(crate) fn start_in(&mut self, thread: usize, plugin: usize) -> Moved {
        let loaded = self.world.clock.now();
        let root = self.root_in(thread, plugin)?;
        self.threads[thread].handles[plugin] = root.map(|(vm, root)| {
            self.take(vm, root);
            Handle { vm, root, loaded }
        });
        if root.is_none() {
            let name = &self.world.plugins[plugin].name;
            let what = format!("`{name}` did not start in {}", thread_name(thread));
            self.world
                .lint(None, plugin, LintKind::ThreadStartFailure, what);
        }
        Ok(())
    }

    /// The plugin's root in a thread: one that serves already, or a new one in the VM that the
    /// thread has, or in a new VM. None if it does not start.
    pub(crate) fn root_in(
        &mut self,
        thread: usize,
        plugin: usize,
    ) -> Result<Option<(usize, u32)>, HostError> {
        let base = self.plugins[plugin].base;
        let known = self.vm_on(thread, base);
        if let Some(vm) = known
            && let Some(root) = self.root_of(vm, plugin)
            && self.vms[vm].state().roots[&root].holders > 0
        {
            return Ok(Some((vm, root)));
        }
        let made = match known {
            Some(vm) => Ok(vm),
            None => self.new_vm(Role::Thread, thread, plugin)?,
        };
        let vm = made.as_ref().ok().copied();
        let message = match made {
            Ok(vm) => match self.start_root(vm, plugin)? {
                Ok(root) => return Ok(Some((vm, root))),
                Err(StartError::VmStartRefused { .. }) => "Failed to start thread-local Wasm",
                Err(_) => "Failed to configure thread-local Wasm plugin",
            },
            Err(_) => "Failed to initialize Wasm code",
        };
        self.bases[base].failed = true;
        self.log_vm_failure(message);
        if let Some(vm) = vm {
            self.drop_unheld(vm)?;
        }
        Ok(None)
    }

    /// The VM that a thread has of a base; one that failed counts no longer.
    pub(crate) fn vm_on(&self, thread: usize, base: usize) -> Option<usize> {
        self.vms.iter().rposition(|vm| {
            let home = vm.role == Role::Thread && !vm.failed && vm.thread() == thread;
            home && self.plugins[vm.first_plugin()].base == base
        })
    }

    /// The root of a plugin, or of one like it, in a VM.
    fn root_of(&mut self, vm: usize, plugin: usize) -> Option<u32> {
        let identity = self.plugins[plugin].identity;
        let state = self.vms[vm].state();
        let mut alive = state
            .roots
            .iter()
            .filter(|(_, root)| root.end == RootEnd::Alive);
        let like = |id: &u32| {
            let context = state.contexts.get(id);
            context.is_some_and(|context| self.plugins[context.plugin].identity == identity)
        };
        alive.find(|(id, _)| like(id)).map(|(id, _)| *id)
    }

    /// Creates, starts and configures a root context. One that is left of a failed start is
    /// started again.
    pub(crate) fn start_root(
        &mut self,
        vm: usize,
        plugin: usize,
    ) -> Result<Result<u32, StartError>, HostError> {
        let (root, known) = match self.root_of(vm, plugin) {
            Some(root) => (root, true),
            None => (self.vms[vm].state().add_root(plugin), false),
        };
        if !known {
            let at = (Phase::ContextCreate, root, None);
            let name = "proxy_on_context_create";
            // Envoy does not notice a trap here: start is called nevertheless, configure is not.
            let created = self.call(vm, at, name, |all| &all.context_create, (root, 0))?;
            self.run_deferred(vm)?;
            if let Called::Trapped(reason) = created {
                let what = format!("`{name}` failed: {reason}");
                self.world.lint(None, plugin, LintKind::FailedAtStart, what);
            } else {
                self.lint_failed_inside(vm, plugin, name);
            }
        }
        let other_roots = self.vms[vm].state().roots.len() > 1;
        let once = other_roots && self.world.mutated(Rule::VmStartsOnce);
        let size = size_of_bytes(&self.world.plugins[plugin].vm_configuration);
        let size = size + u32::from(self.world.mutated(Rule::VmConfigurationIsMiscounted));
        let unharmed = !self.vms[vm].failed;
        let at = (Phase::VmStart, root, None);
        let name = "proxy_on_vm_start";
        let started = match once {
            true => Called::Missing,
            false => self.call(vm, at, name, |all| &all.vm_start, (root, size))?,
        };
        self.run_deferred(vm)?;
        match started {
            Called::Returned(0) if self.world.mutated(Rule::VmStartIsNotAsked) => {}
            // Envoy does not ask for the answer of one that it starts again.
            Called::Returned(0) if !known => {
                return Ok(Err(StartError::VmStartRefused { log: Vec::new() }));
            }
            Called::Trapped(reason) => return Ok(Err(StartError::trap(name, reason))),
            Called::Returned(_) | Called::Missing => {}
        }
        if self.vms[vm].failed {
            if unharmed {
                self.lint_failed_inside(vm, plugin, name);
            }
            return Ok(Ok(root));
        }
        let size = size_of_bytes(&self.world.plugins[plugin].configuration);
        let size = size + u32::from(self.world.mutated(Rule::ConfigurationIsMiscounted));
        let at = (Phase::Configure, root, None);
        let name = "proxy_on_configure";
        let configured = self.call(vm, at, name, |all| &all.configure, (root, size))?;
        self.run_deferred(vm)?;
        Ok(match configured {
            Called::Returned(0) if self.world.mutated(Rule::ConfigureIsNotAsked) => Ok(root),
            Called::Returned(0) => Err(StartError::ConfigurationRefused { log: Vec::new() }),
            Called::Trapped(reason) => Err(StartError::trap(name, reason)),
            Called::Returned(_) | Called::Missing => {
                self.lint_failed_inside(vm, plugin, name);
                Ok(root)
            }
        })
    }

    /// Nor does Envoy notice a trap inside of a host call of the start: the callback's answer counts.
    fn lint_failed_inside(&mut self, vm: usize, plugin: usize, callback: &str) {
        if self.vms[vm].failed {
            let what = format!("a trap inside of a host call of `{callback}`");
            self.world.lint(None, plugin, LintKind::FailedAtStart, what);
        }
    }
}

impl StartError {
    pub(crate) fn trap(callback: &'static str, reason: String) -> Self {
        Self::Trap {
            callback,
            reason,
            log: Vec::new(),
        }
    }

    /// Adds what the guest logged on the way.
    pub(crate) fn attach(&mut self, lines: &[LogLine]) {
        let (Self::VmStartRefused { log }
        | Self::ConfigurationRefused { log }
        | Self::ThreadFailed { log }
        | Self::RefusedBefore { log }
        | Self::Trap { log, .. }) = self
        else {
            return;
        };
        *log = lines
            .iter()
            .filter(|line| !line.prefix.is_empty())
            .cloned()
            .collect();
    }
}

fn thread_name(thread: usize) -> String {
    match thread {
        0 => "the main thread".to_owned(),
        worker => format!("worker {}", worker - 1),
    }
}

fn size_of_bytes(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
