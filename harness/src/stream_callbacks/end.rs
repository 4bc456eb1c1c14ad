//! The end of a stream: `proxy_on_log`, `proxy_on_done`, `proxy_on_delete`.

use crate::error::HostError;
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::proxy::{Called, Moved, Proxy};
use crate::vm::Phase;

impl Proxy {
    /// The end of a stream: log for every filter, then done and delete for each.
    pub(crate) fn end_contexts(&mut self, slot: usize) -> Moved {
        let log_last = self.world.mutated(Rule::LogAfterDone);
        if !log_last {
            self.log_contexts(slot)?;
        }
        self.world.streams[slot].ends = true;
        let filters = self.world.streams[slot].filters.len();
        let backwards = filters > 1 && self.world.mutated(Rule::DoneOfTheLastFilterFirst);
        let nth = |step| if backwards { filters - 1 - step } else { step };
        let done_first = filters > 1 && self.world.mutated(Rule::DoneOfAllBeforeDelete);
        for filter in (0..filters).map(nth).filter(|_| done_first) {
            self.done_with(slot, filter)?;
        }
        for filter in (0..filters).map(nth) {
            if self.world.mutated(Rule::DeleteBeforeDone) {
                self.delete_context(slot, filter)?;
            }
            let deleted = done_first || self.done_with(slot, filter)?;
            if deleted && !self.world.mutated(Rule::NoDelete) {
                self.delete_context(slot, filter)?;
            }
            let filter = &self.world.streams[slot].filters[filter];
            if let Some(vm) = filter.vm {
                let context = filter.context;
                self.bury_later(vm, context);
            }
        }
        self.world.streams[slot].ends = false;
        if log_last {
            self.log_contexts(slot)?;
        }
        self.release_filters(slot);
        self.check_budget(slot)
    }

    fn log_contexts(&mut self, slot: usize) -> Moved {
        let late = self.world.mutated(Rule::LogsReadWhatTheyMake);
        let stream = &mut self.world.streams[slot];
        stream.logs = true;
        stream.had_response = late || stream.response.headers.is_some();
        stream.had_trailers = late || stream.response.seen_trailers().is_some();
        let filters = self.world.streams[slot].filters.len();
        let backwards = filters > 1 && self.world.mutated(Rule::LogOfTheLastFilterFirst);
        let loggers_first = filters > 0 && self.logs_access_first(slot);
        if loggers_first {
            self.log_access(slot)?;
        }
        for step in 0..filters {
            let filter = if backwards { filters - 1 - step } else { step };
            if !self.world.streams[slot].filters[filter].created
                && self.world.mutated(Rule::UnreachedFiltersAreNotTold)
            {
                continue;
            }
            self.lint_unreached(slot, filter);
            self.create_stream_context(slot, filter)?;
            let Some((vm, context)) = self.sound(slot, filter) else {
                continue;
            };
            if self.world.mutated(Rule::NoLog) {
                continue;
            }
            self.world.streams[slot].filters[filter].logging = true;
            let at = (Phase::Log, context, Some(slot));
            self.call(vm, at, "proxy_on_log", |all| &all.log, (context,))?;
            self.run_deferred(vm)?;
            self.world.streams[slot].filters[filter].logging = false;
        }
        self.world.streams[slot].logs = false;
        if loggers_first {
            return Ok(());
        }
        self.log_access(slot)
    }

    fn logs_access_first(&self, slot: usize) -> bool {
        let chain = self.world.streams[slot].chain;
        !self.entries.chains[chain].access_loggers.is_empty()
            && self.world.mutated(Rule::LoggersLogFirst)
    }

    /// Tells a filter that its stream is over; it is deleted then, whatever it says.
    fn done_with(&mut self, slot: usize, filter: usize) -> Result<bool, HostError> {
        let Some((vm, context)) = self.sound(slot, filter) else {
            return Ok(true);
        };
        if self.world.mutated(Rule::NoDone) {
            return Ok(true);
        }
        let at = (Phase::Done, context, Some(slot));
        let done = self.call(vm, at, "proxy_on_done", |all| &all.done, (context,))?;
        let refused = matches!(done, Called::Returned(0));
        if refused {
            let plugin = self.world.streams[slot].filters[filter].plugin;
            let what = "`proxy_on_done` returned false";
            self.world
                .lint(Some(slot), plugin, LintKind::StreamDoneRefused, what);
        }
        self.run_deferred(vm)?;
        Ok(!refused || !self.world.mutated(Rule::DoneOfAStreamCanBeRefused))
    }

    fn delete_context(&mut self, slot: usize, filter: usize) -> Moved {
        if let Some((vm, context)) = self.sound(slot, filter) {
            let at = (Phase::Delete, context, Some(slot));
            self.call(vm, at, "proxy_on_delete", |all| &all.delete, (context,))?;
            self.run_deferred(vm)?;
        }
        Ok(())
    }
}
