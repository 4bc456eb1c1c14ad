//! `proxy_get_current_time_nanoseconds`, `proxy_set_tick_period_milliseconds`.

use std::time::Duration;

use crate::agenda::Event;
use crate::call::{Answer, Call};
use crate::mutation::Rule;
use crate::vm::Tick;

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
    if let Some(id) = state.context().map(|context| context.root)
        && let Some(root) = state.roots.get_mut(&id)
    {
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
