//! `proxy_get_current_time_nanoseconds`, `proxy_set_tick_period_milliseconds`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::agenda::Event;
use crate::call::{Answer, Call};
use crate::mutation::Rule;
use crate::vm::Tick;

/// The table in which Envoy keeps the timers of a VM: one for each root that ever asked for a period,
/// be it of 0.
#[derive(Default)]
pub(crate) struct TimerTable {
    roots: BTreeSet<u32>,
    /// Whether it has moved since the tick that is being made began. Envoy holds on to the place of
    /// the root's timer meanwhile (`Wasm::tickHandler`), and looks there when the tick is over.
    pub(crate) moved: bool,
}

impl TimerTable {
    fn insert(&mut self, root: u32) {
        if self.roots.insert(root) && is_full(self.roots.len() - 1) {
            self.moved = true;
        }
    }
}

/// Whether a table of so many (`absl::flat_hash_map`) has no room for one more. It has a power of two
/// of slots, less one, and leaves an eighth of them free.
fn is_full(count: usize) -> bool {
    let slots = (count + 1).next_power_of_two() - 1;
    count > 0 && count == slots - slots / 8
}

pub(crate) fn current_time(call: &mut Call<'_>, time: u32) -> Answer {
    let now = call.world().clock.nanoseconds();
    call.write_u64(time, now)
}

/// Sets the timer of the root of the effective context; 0 stops it.
pub(crate) fn set_tick_period(call: &mut Call<'_>, milliseconds: u32) -> Answer {
    call.number(milliseconds);
    let state = call.state();
    let now = state.world.clock.now();
    let period = Duration::from_millis(milliseconds.into());
    let vm = state.index;
    let Some(id) = state.context().map(|context| context.root) else {
        return Ok(());
    };
    state.timers.insert(id);
    if let Some(root) = state.roots.get_mut(&id) {
        if let Some(old) = root.tick.take() {
            state.world.cancel(old.due);
        }
        let period = if period.is_zero() && state.world.mutated(Rule::PeriodOf0Ticks) {
            Duration::from_millis(1)
        } else {
            period
        };
        if !period.is_zero() {
            let event = Event::Tick { vm, root: id };
            let at_once = state.world.mutated(Rule::FirstTickAtOnce);
            let first = if at_once { now } else { now + period };
            let due = state.world.schedule(first, event);
            root.tick = Some(Tick { period, due });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_timers_moves_when_it_is_full() {
        let full: Vec<usize> = (0..60).filter(|count| is_full(*count)).collect();
        assert_eq!(full, [1, 3, 7, 14, 28, 56]);
    }
}
