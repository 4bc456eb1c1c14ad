//! Access loggers: plugins whose `proxy_on_log` is called on the root context.

use crate::mutation::Rule;
use crate::proxy::{Moved, Proxy};
use crate::vm::Phase;

impl Proxy {
    /// Lets the access loggers of a stream's chain write, after the filters' own logs and before
    /// they are done. The root may read the stream and not touch it.
    pub(crate) fn log_access(&mut self, slot: usize) -> Moved {
        let (chain, thread) = {
            let stream = &self.world.streams[slot];
            (stream.chain, stream.thread)
        };
        for at in 0..self.entries.chains[chain].access_loggers.len() {
            let plugin = self.entries.chains[chain].access_loggers[at];
            let Some(handle) = self.handle_for_stream(thread, plugin)? else {
                continue;
            };
            let (vm, root) = (handle.vm, handle.root);
            if self.vms[vm].failed || self.world.mutated(Rule::LoggersAreNotAsked) {
                continue;
            }
            if !self.world.mutated(Rule::LoggersSeeNoStream) {
                self.set_logged(vm, root, Some(slot));
            }
            let at = (Phase::Log, root, Some(slot));
            self.call(vm, at, "proxy_on_log", |all| &all.log, (root,))?;
            self.run_deferred(vm)?;
            if !self.world.mutated(Rule::LoggersKeepTheStream) {
                self.set_logged(vm, root, None);
            }
        }
        Ok(())
    }

    fn set_logged(&mut self, vm: usize, root: u32, slot: Option<usize>) {
        if let Some(context) = self.vms[vm].state().contexts.get_mut(&root) {
            context.logs = slot;
        }
    }
}
