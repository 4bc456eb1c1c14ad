//! `clock_time_get`, `clock_res_get`, `poll_oneoff`.

use std::time::Duration;

use super::Errno;
use crate::call::{Answer, Call};
use crate::clock::START;
use crate::envoy_version::VersionDifference;
use crate::mutation::Rule;

/// The clocks that Envoy has.
#[derive(Clone, Copy)]
enum Clock {
    Realtime,
    Monotonic,
}

impl Clock {
    fn from_id(id: u32) -> Result<Self, Errno> {
        match id {
            0 => Ok(Self::Realtime),
            1 => Ok(Self::Monotonic),
            _ => Err(Errno::NotSupported),
        }
    }
}

/// What the monotonic clock shows when a host starts, as if the machine had been up for an hour: a
/// guest that takes 0 for "never" would not notice otherwise.
const UPTIME: Duration = Duration::from_secs(3600);

pub(super) fn time(call: &mut Call<'_>, clock: u32, _precision: u64, time: u32) -> Answer {
    call.number(clock);
    let clock = Clock::from_id(clock)?;
    let now = call.world().clock;
    let nanoseconds = match clock {
        Clock::Realtime => now.nanoseconds(),
        Clock::Monotonic => {
            let up = now.now().saturating_sub(START) + UPTIME;
            u64::try_from(up.as_nanos()).unwrap_or(u64::MAX)
        }
    };
    call.write_u64(time, nanoseconds)
}

/// One nanosecond, as Envoy has it.
pub(super) fn resolution(call: &mut Call<'_>, clock: u32, resolution: u32) -> Answer {
    call.number(clock);
    Clock::from_id(clock)?;
    let microsecond = call.mutated(Rule::ClocksAreCoarse);
    call.write_u64(resolution, if microsecond { 1000 } else { 1 })
}

/// Returns at once, and nothing has happened.
pub(super) fn poll(
    call: &mut Call<'_>,
    _subscriptions: u32,
    _events: u32,
    _count: u32,
    happened: u32,
) -> Answer {
    if call.world().is_before(VersionDifference::PollingWorks) {
        return Err(Errno::NoSystemCall.into());
    }
    let events = u32::from(call.mutated(Rule::PollTellsOfAnEvent));
    call.write_u32(happened, events)
}
