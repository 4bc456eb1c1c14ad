//! Who holds a root context, and what happens when nobody does.
//!
//! A plugin in a thread holds its root, and so does every stream in it. When the last one lets go,
//! the root is told to end; a VM without held roots is gone, with roots that asked for time.

use crate::entries::Threads;
use crate::error::HostError;
use crate::mutation::Rule;
use crate::proxy::{Called, Handle, Moved, Proxy};
use crate::stream::Filter;
use crate::vm::{Phase, Role, RootEnd};

impl Proxy {
    /// The filters of a new stream: each gets its context id here, in chain order.
    pub(crate) fn open(
        &mut self,
        slot: usize,
        thread: usize,
        chain: usize,
    ) -> Result<(), HostError> {
        let stream = &mut self.world.streams[slot];
        (stream.thread, stream.chain) = (thread, chain);
        // A stream that is reset before its headers gets no filters.
        let resets = stream
            .refused
            .is_some_and(|refused| refused.status.is_none());
        let plugins = self.entries.chains[chain].plugins.len();
        for at in 0..if resets { 0 } else { plugins } {
            let plugin = self.entries.chains[chain].plugins[at];
            let handle = self.handle_for_stream(thread, plugin)?;
            let mut filter = Filter {
                plugin,
                ..Filter::default()
            };
            if let Some(handle) = handle {
                self.take(handle.vm, handle.root);
                let index = self.world.streams[slot].filters.len();
                if self.world.mutated(Rule::StreamIdsSkip) {
                    let state = self.vms[handle.vm].state();
                    let unused = state.add_stream(handle.root, plugin, slot, index);
                    state.contexts.remove(&unused);
                }
                filter.vm = Some(handle.vm);
                filter.root = handle.root;
                filter.context =
                    self.vms[handle.vm]
                        .state()
                        .add_stream(handle.root, plugin, slot, index);
            }
            self.world.streams[slot].filters.push(filter);
        }
        Ok(())
    }

    /// A plugin in a thread, or a stream, begins to use a root.
    pub(crate) fn take(&mut self, vm: usize, root: u32) {
        if let Some(root) = self.vms[vm].state().roots.get_mut(&root) {
            root.holders += 1;
        }
    }

    /// It uses the root no longer. What follows from that waits for the host to be idle.
    pub(crate) fn release(&mut self, vm: usize, root: u32) {
        let Some(held) = self.vms[vm].state().roots.get_mut(&root) else {
            return;
        };
        held.holders = held.holders.saturating_sub(1);
        if held.holders == 0 {
            self.released.push_back((vm, root));
        }
    }

    /// The streams of a chain let go of their roots.
    pub(crate) fn release_filters(&mut self, slot: usize) {
        for filter in 0..self.world.streams[slot].filters.len() {
            let filter = &self.world.streams[slot].filters[filter];
            if let Some(vm) = filter.vm {
                let root = filter.root;
                self.release(vm, root);
            }
        }
    }

    /// A stream's context is deleted. It is known until Envoy has done with what it does now.
    pub(crate) fn bury_later(&mut self, vm: usize, context: u32) {
        if self.world.mutated(Rule::DeletedContextsAreUnknownAtOnce) {
            self.vms[vm].state().contexts.remove(&context);
        } else {
            self.buried.push((vm, context));
        }
    }

    /// Forgets the contexts that were deleted.
    pub(crate) fn bury(&mut self) {
        for (vm, context) in std::mem::take(&mut self.buried) {
            if let Some(vm) = self.vms.get_mut(vm) {
                vm.state().contexts.remove(&context);
            }
        }
    }

    /// Ends a root that nobody holds, and its VM with the last one. False if none waits.
    pub(crate) fn let_go(&mut self) -> Result<bool, HostError> {
        let Some((vm, root)) = self.released.pop_front() else {
            return Ok(false);
        };
        let held = self.vms[vm].state().roots.get(&root);
        if held.is_none_or(|root| root.holders > 0) {
            return Ok(true);
        }
        self.end_root(vm, root)?;
        self.drop_unheld(vm)?;
        Ok(true)
    }

    /// Drops a VM in which no root is held.
    pub(crate) fn drop_unheld(&mut self, vm: usize) -> Moved {
        let state = self.vms[vm].state();
        let plugin = state.first_plugin;
        if state.roots.values().any(|root| root.holders > 0) || self.vms[vm].role != Role::Thread {
            return Ok(());
        }
        // Roots that did not start lived on for the others.
        let mut left: Vec<u32> = self.vms[vm].state().roots.keys().copied().collect();
        left.sort_unstable();
        for root in left {
            self.end_root(vm, root)?;
        }
        self.throw_away(vm);
        self.leave_base(plugin);
        Ok(())
    }

    /// Tells a root to end, once.
    fn end_root(&mut self, vm: usize, root: u32) -> Moved {
        let alive = |root: &crate::vm::Root| root.end == RootEnd::Alive;
        if self.vms[vm].failed || !self.vms[vm].state().roots.get(&root).is_some_and(alive) {
            return Ok(());
        }
        let at = (Phase::Done, root, None);
        let done = self.call(vm, at, "proxy_on_done", |all| &all.done, (root,))?;
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
            let at = (Phase::Delete, root, None);
            self.call(vm, at, "proxy_on_delete", |all| &all.delete, (root,))?;
            self.run_deferred(vm)?;
        }
        let state = self.vms[vm].state();
        state.roots.remove(&root);
        state.contexts.remove(&root);
        Ok(())
    }

    /// Ends everything as at SIGTERM: each worker's streams and then its roots, the youngest first,
    /// and at last the main thread's. A root that asks for time is not waited for.
    pub(crate) fn shut_down(&mut self) -> Moved {
        self.run_until_idle()?;
        self.ended = true;
        for thread in (1..self.threads.len()).chain([0]) {
            for slot in 0..self.world.streams.len() {
                let stream = &mut self.world.streams[slot];
                if stream.thread == thread && stream.is_open() {
                    let timeline = &mut stream.exchange.timeline;
                    timeline.note("the proxy shuts down");
                    self.reset(slot)?;
                }
            }
            while self.log_closed()? {}
            if thread == 0 {
                self.flush_stats()?;
            }
            for plugin in self.ending_order() {
                self.release_plugin(thread, plugin);
                while self.let_go()? {}
            }
        }
        Ok(())
    }

    /// Plugins in the order in which a thread ends them: the youngest first, and at last those that
    /// run in the main thread only: services, also the youngest first, and then stats sinks, the oldest
    /// first.
    fn ending_order(&self) -> Vec<usize> {
        let in_all = |plugin: &usize| self.plugins[*plugin].threads == Threads::All;
        let youngest_first = (0..self.plugins.len()).rev().filter(in_all);
        let services = self.entries.services.iter().rev();
        let singletons = services.filter(|(_, threads)| *threads == Threads::Main);
        youngest_first
            .chain(singletons.map(|(plugin, _)| *plugin))
            .chain(self.entries.stats_sinks.iter().copied())
            .collect()
    }

    /// A thread needs a plugin no longer.
    pub(crate) fn release_plugin(&mut self, thread: usize, plugin: usize) {
        if let Some(Handle { vm, root, .. }) = self.threads[thread].handles[plugin].take() {
            self.release(vm, root);
        }
    }
}
