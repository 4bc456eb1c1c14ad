//! `proxy_get_current_time_nanoseconds`, `proxy_set_tick_period_milliseconds`.

use std::time::Duration;

use crate::call::{Answer, Call};
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
    let root = state.context().map(|context| context.root);
    if let Some(root) = root.and_then(|root| state.roots.get_mut(&root)) {
        root.tick = (!period.is_zero()).then_some(Tick {
            period,
            due: now + period,
        });
    }
    Ok(())
}
