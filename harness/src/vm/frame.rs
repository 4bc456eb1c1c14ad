//! What belongs to a callback, kept while the guest makes others in the middle of it.

use super::{Phase, VmState};
use crate::expressions::Work;

/// The part of a VM's state that each callback has for itself.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    phase: Phase,
    export: &'static str,
    current: u32,
    effective: u32,
    entered_for: u32,
    slot: Option<usize>,
    in_allocator: bool,
    host_calls: u32,
    copied: usize,
    crossings: u32,
    grown_inside: usize,
    work: Work,
    callback: u64,
    stops: bool,
}

impl VmState {
    pub(crate) fn frame(&self) -> Frame {
        Frame {
            phase: self.phase,
            export: self.export,
            current: self.current,
            effective: self.effective,
            entered_for: self.entered_for,
            slot: self.slot,
            in_allocator: self.in_allocator,
            host_calls: self.host_calls,
            copied: self.copied,
            crossings: self.crossings,
            grown_inside: self.grown_inside,
            work: self.work,
            callback: self.callback,
            stops: self.stops,
        }
    }

    /// Goes on with a callback that others were made in the middle of.
    pub(crate) fn return_to(&mut self, frame: Frame) {
        self.phase = frame.phase;
        self.export = frame.export;
        self.current = frame.current;
        self.effective = frame.effective;
        self.entered_for = frame.entered_for;
        self.slot = frame.slot;
        self.in_allocator = frame.in_allocator;
        self.host_calls = frame.host_calls;
        self.copied = frame.copied;
        self.crossings = frame.crossings;
        self.grown_inside = frame.grown_inside;
        self.work = frame.work;
        self.callback = frame.callback;
        self.stops = frame.stops;
    }
}
