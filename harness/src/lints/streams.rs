//! Surprises that show in how a stream stands, not in one call.

use super::LintKind;
use crate::abi::Direction;
use crate::proxy::Proxy;
use crate::stream::{Iteration, Side, Stream};

impl Proxy {
    /// After a trap: streams that wait in the VM, and that nothing will resume.
    pub(crate) fn lint_hanging(&mut self, vm: usize, trapped: Option<usize>) {
        for slot in 0..self.world.streams.len() {
            let stream = &self.world.streams[slot];
            if trapped == Some(slot) || !stream.is_open() {
                continue;
            }
            let waits = |side: &Side| side.iteration != Iteration::Continue;
            let hangs = |filter: &&crate::stream::Filter| {
                filter.vm == Some(vm) && (waits(&filter.request) || waits(&filter.response))
            };
            if let Some(filter) = stream.filters.iter().find(hangs) {
                let plugin = filter.plugin;
                let what = "the VM failed outside of this stream, which waits";
                self.world
                    .lint(Some(slot), plugin, LintKind::FailureLeavesStreams, what);
            }
        }
    }

    /// A filter is created at the end of a stream that never came to it.
    pub(crate) fn lint_unreached(&mut self, slot: usize, filter: usize) {
        let filter = &self.world.streams[slot].filters[filter];
        let (Some(vm), false) = (filter.vm, filter.created) else {
            return;
        };
        if self.vms[vm].failed || self.vms[vm].callbacks.log.is_none() {
            return;
        }
        let plugin = filter.plugin;
        let what = "`proxy_on_log` comes without any callback before it";
        self.world
            .lint(Some(slot), plugin, LintKind::UnreachedFilterLogs, what);
    }

    /// A body callback that continued, or is not there, let paused headers go on: meant at the end
    /// of a body, hardly in the middle of it.
    pub(crate) fn lint_released(
        &mut self,
        slot: usize,
        filter: usize,
        direction: Direction,
        end: bool,
    ) {
        let at = &mut self.world.streams[slot].filters[filter];
        let (plugin, vm) = (at.plugin, at.vm);
        let side = at.side(direction);
        if side.headers_continued || side.iteration != Iteration::StopSingle {
            return;
        }
        let exported = vm.is_some_and(|vm| {
            let all = &self.vms[vm].callbacks;
            match direction {
                Direction::Request => all.request_body.is_some(),
                Direction::Response => all.response_body.is_some(),
            }
        });
        let what = match (exported, end) {
            (false, _) => format!("the module has no callback for the {direction} body"),
            (true, false) => format!("the {direction} body callback continued before the end"),
            (true, true) => return,
        };
        self.world
            .lint(Some(slot), plugin, LintKind::HeadersReleasedByBody, what);
    }

    /// A stream that waits in headers while its body is there, when nothing is on the agenda that
    /// could resume it: the filter may wait for the body.
    pub(crate) fn lint_waiting(&mut self, slot: usize) {
        if self.world.agenda.len() > 0 {
            return;
        }
        for direction in [Direction::Request, Direction::Response] {
            let stream = &mut self.world.streams[slot];
            let Some(filter) = waits_in_headers(stream, direction) else {
                continue;
            };
            let (plugin, vm) = (stream.filters[filter].plugin, stream.filters[filter].vm);
            let flow = stream.flow(direction);
            let body = flow.reading || flow.buffered.as_ref().is_some_and(|held| !held.is_empty());
            let listens = vm.is_some_and(|vm| {
                let all = &self.vms[vm].callbacks;
                match direction {
                    Direction::Request => all.request_body.is_some(),
                    Direction::Response => all.response_body.is_some(),
                }
            });
            if body && listens {
                let what = format!("the {direction} waits in its headers, and its body behind it");
                self.world
                    .lint(Some(slot), plugin, LintKind::PausedHeadersHoldBody, what);
            }
        }
    }
}

fn waits_in_headers(stream: &mut Stream, direction: Direction) -> Option<usize> {
    (0..stream.filters.len()).find(|filter| {
        let side = stream.side(*filter, direction);
        side.stopped_all() && !side.headers_continued
    })
}
