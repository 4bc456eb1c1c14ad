//! The callbacks of a connection: `proxy_on_new_connection` and kin.

use super::CloseType;
use crate::abi::Direction;
use crate::error::HostError;
use crate::exchange::Outcome;
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::plugin::FailurePolicy;
use crate::proxy::{Called, Moved, Proxy};
use crate::vm::Phase;

impl Proxy {
    /// Whether the chain goes on behind this filter.
    pub(super) fn new_connection(&mut self, slot: usize, filter: usize) -> Result<bool, HostError> {
        self.create_stream_context(slot, filter)?;
        let passes = self.guarded_tcp(slot, filter, |proxy, vm, context| {
            let at = (Phase::Stream, context, Some(slot));
            proxy.call(
                vm,
                at,
                "proxy_on_new_connection",
                |all| &all.new_connection,
                (context,),
            )
        })?;
        let passes = self.passes(slot, passes, Rule::TcpConnectionsAreNotHeld);
        self.hold_or_pass(slot, filter, Direction::Request, passes);
        Ok(passes && !self.world.streams[slot].finished)
    }

    /// Tells a filter what was read from downstream; true if it lets it pass.
    pub(super) fn downstream_data(
        &mut self,
        slot: usize,
        filter: usize,
        end: bool,
    ) -> Result<bool, HostError> {
        let tcp = self.tcp(slot);
        let at = &mut tcp.filters[filter];
        at.sees_downstream = true;
        at.continued = false;
        let off = u32::from(self.world.mutated(Rule::TcpDataIsMiscounted));
        let told = end && !self.world.mutated(Rule::TcpEndIsNotTold);
        let size = number(self.tcp(slot).read.len()) + off;
        let passes = self.guarded_tcp(slot, filter, |proxy, vm, context| {
            let at = (Phase::Stream, context, Some(slot));
            proxy.call(
                vm,
                at,
                "proxy_on_downstream_data",
                |all| &all.downstream_data,
                (context, size, u32::from(told)),
            )
        })?;
        let passes = self.passes(slot, passes, Rule::TcpDataIsNotHeld);
        let stays = passes && self.world.mutated(Rule::TcpBuffersStayInView);
        let at = &mut self.tcp(slot).filters[filter];
        let continued = std::mem::take(&mut at.continued);
        at.sees_downstream &= !passes || stays;
        if passes && continued && end && !self.world.streams[slot].finished {
            let what = "the end of the data was continued and let pass";
            self.lint_filter(slot, filter, LintKind::EndToldTwice, what);
        }
        self.hold_or_pass(slot, filter, Direction::Request, passes);
        Ok(passes && !self.world.streams[slot].finished)
    }

    /// Tells a filter what was read from the upstream; true if it lets it pass. With the end comes
    /// `proxy_on_upstream_connection_close`, whatever the filter does about the data.
    pub(super) fn upstream_data(
        &mut self,
        slot: usize,
        filter: usize,
        end: bool,
    ) -> Result<bool, HostError> {
        if !self.world.streams[slot].filters[filter].created {
            return Ok(true);
        }
        let tcp = self.tcp(slot);
        tcp.filters[filter].sees_upstream = true;
        let off = u32::from(self.world.mutated(Rule::TcpAnswersAreMiscounted));
        let told = end && !self.world.mutated(Rule::TcpUpstreamEndIsNotTold);
        let size = number(self.tcp(slot).write.len()) + off;
        let passes = self.guarded_tcp(slot, filter, |proxy, vm, context| {
            let at = (Phase::Stream, context, Some(slot));
            proxy.call(
                vm,
                at,
                "proxy_on_upstream_data",
                |all| &all.upstream_data,
                (context, size, u32::from(told)),
            )
        })?;
        let passes = self.passes(slot, passes, Rule::TcpAnswersAreNotHeld);
        let tcp = self.tcp(slot);
        tcp.filters[filter].sees_upstream &= !passes;
        let held = tcp.write.len();
        if end && !passes && held > 0 && !self.world.streams[slot].finished {
            let what = format!("{held} bytes of the upstream are held at its end");
            self.lint_filter(slot, filter, LintKind::UpstreamEndHeld, what);
        }
        self.hold_or_pass(slot, filter, Direction::Response, passes);
        let untold = end && self.world.mutated(Rule::TcpUpstreamCloseIsNotTold);
        // Envoy does not look whether the data's callback has closed the connection.
        let over = self.world.streams[slot].finished;
        let untold = untold || (over && self.world.mutated(Rule::TcpClosedFilterHearsNoMore));
        if end && !untold {
            let kind = match self.world.mutated(Rule::TcpUpstreamCloseHasAType) {
                true => CloseType::Local,
                false => CloseType::Unknown,
            };
            self.tell(slot, filter, |proxy, vm, context| {
                let at = (Phase::Stream, context, Some(slot));
                let arguments = (context, kind as u32);
                proxy.call(
                    vm,
                    at,
                    "proxy_on_upstream_connection_close",
                    |all| &all.upstream_connection_close,
                    arguments,
                )
            })?;
        }
        Ok(passes && !self.world.streams[slot].finished)
    }

    /// The end of a filter: unlike that of an HTTP filter, it is done before it logs.
    pub(super) fn end_filter(&mut self, slot: usize, filter: usize, close: CloseType) -> Moved {
        let at = &self.world.streams[slot].filters[filter];
        let (Some(vm), context, created) = (at.vm, at.context, at.created) else {
            return Ok(());
        };
        if created {
            let phase = |phase| (phase, context, Some(slot));
            let silent = self.world.mutated(Rule::TcpCloseIsNotTold);
            self.tell_unless(silent, slot, filter, |proxy, vm, context| {
                proxy.call(
                    vm,
                    phase(Phase::Stream),
                    "proxy_on_downstream_connection_close",
                    |all| &all.downstream_connection_close,
                    (context, close as u32),
                )
            })?;
            let logs_first = self.world.mutated(Rule::TcpLogsBeforeDone);
            if logs_first {
                self.log_filter(slot, filter, phase(Phase::Log))?;
            }
            let silent = self.world.mutated(Rule::TcpFiltersAreNotDone);
            self.tell_unless(silent, slot, filter, |proxy, vm, context| {
                let at = phase(Phase::Done);
                proxy.call(vm, at, "proxy_on_done", |all| &all.done, (context,))
            })?;
            if !logs_first {
                self.log_filter(slot, filter, phase(Phase::Log))?;
            }
            let silent = self.world.mutated(Rule::TcpFiltersAreNotDeleted);
            self.tell_unless(silent, slot, filter, |proxy, vm, context| {
                let at = phase(Phase::Delete);
                proxy.call(vm, at, "proxy_on_delete", |all| &all.delete, (context,))
            })?;
        }
        self.bury_later(vm, context);
        Ok(())
    }

    fn log_filter(&mut self, slot: usize, filter: usize, at: (Phase, u32, Option<usize>)) -> Moved {
        let silent = self.world.mutated(Rule::TcpFiltersDoNotLog);
        self.tell_unless(silent, slot, filter, |proxy, vm, context| {
            proxy.call(vm, at, "proxy_on_log", |all| &all.log, (context,))
        })
    }

    /// Whether a filter lets pass what it was told of, unless this rule is another.
    fn passes(&self, slot: usize, passes: bool, rule: Rule) -> bool {
        passes || (!self.world.streams[slot].finished && self.world.mutated(rule))
    }

    fn lint_filter(&mut self, slot: usize, filter: usize, kind: LintKind, what: impl Into<String>) {
        let plugin = self.world.streams[slot].filters[filter].plugin;
        self.world.lint(Some(slot), plugin, kind, what);
    }

    fn tell_unless<R>(
        &mut self,
        silent: bool,
        slot: usize,
        filter: usize,
        call: impl FnOnce(&mut Self, usize, u32) -> Result<Called<R>, HostError>,
    ) -> Moved {
        if silent {
            return Ok(());
        }
        self.tell(slot, filter, call)
    }

    /// Makes a callback that cannot hold anything; not if the VM has failed.
    fn tell<R>(
        &mut self,
        slot: usize,
        filter: usize,
        call: impl FnOnce(&mut Self, usize, u32) -> Result<Called<R>, HostError>,
    ) -> Moved {
        let at = &self.world.streams[slot].filters[filter];
        let (Some(vm), context) = (at.vm, at.context) else {
            return Ok(());
        };
        if self.vms[vm].failed {
            return Ok(());
        }
        call(self, vm, context)?;
        self.run_deferred(vm)
    }

    /// Makes a callback and says whether it lets pass. A VM that has failed, before or in it, closes
    /// the connection, unless the plugin is set to let everything pass.
    fn guarded_tcp(
        &mut self,
        slot: usize,
        filter: usize,
        call: impl FnOnce(&mut Self, usize, u32) -> Result<Called<u32>, HostError>,
    ) -> Result<bool, HostError> {
        let at = &self.world.streams[slot].filters[filter];
        let (Some(vm), context, plugin) = (at.vm, at.context, at.plugin) else {
            return Ok(true);
        };
        let called = if self.vms[vm].failed {
            Called::Trapped(String::new())
        } else {
            call(self, vm, context)?
        };
        let passes = match called {
            Called::Missing => true,
            Called::Returned(result) if !self.vms[vm].failed => result == 0,
            Called::Returned(_) | Called::Trapped(_) => {
                let open = self.plugins[plugin].policy == FailurePolicy::DeprecatedFailOpen
                    || self.world.mutated(Rule::TcpTrapsPass);
                if !open {
                    self.close_connection(slot, CloseType::Local, Outcome::Reset)?;
                }
                open
            }
        };
        self.run_deferred(vm)?;
        Ok(passes)
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
