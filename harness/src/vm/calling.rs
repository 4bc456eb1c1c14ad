//! What is recorded of a callback.

use super::{Arguments, Entry, Failure, Results, VmState};
use crate::timeline::Event;
use crate::world::World;

/// A callback that is being made.
#[derive(Clone, Copy)]
pub(crate) struct Calling {
    pub(crate) entry: Entry,
    pub(super) name: &'static str,
    pub(crate) plugin: usize,
    /// Whether its cost is kept by itself.
    pub(super) counts: bool,
}

impl Calling {
    /// Records that it begins. To be handed back at its end: how large the guest's memories are.
    pub(crate) fn begin(
        self,
        world: &mut World,
        state: &mut VmState,
        arguments: &impl Arguments,
    ) -> usize {
        let event = Event::Callback {
            plugin: world.plugins[self.plugin].name.clone(),
            name: self.name,
            arguments: arguments.list(),
        };
        world.timeline(self.entry.slot).push(event);
        if let Some(slot) = self.entry.slot {
            world.streams[slot].exchange.cost.crossings += 1;
        }
        state.export = self.name;
        state.grown_inside = 0;
        state.memory_total
    }

    pub(crate) fn end<R: Results>(
        self,
        world: &mut World,
        state: &VmState,
        before: usize,
        result: &Result<R, Failure>,
    ) {
        if let Some(phases) = &mut world.phases
            && self.counts
        {
            let before = before + state.grown_inside;
            let grown = state.memory_total.saturating_sub(before) as u64;
            let plugin = &world.plugins[self.plugin].name;
            phases.add(plugin, self.name, state.spent, grown);
        }
        if let Ok(result) = result
            && let Some(result) = result.shown()
        {
            let name = self.name;
            let timeline = world.timeline(self.entry.slot);
            timeline.push(Event::Returned { name, result });
        }
    }
}
