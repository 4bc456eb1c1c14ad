//! Ticks.

use super::{check, raw};
use crate::status::HostError;

/// From now on, ticks come every so many milliseconds to the root of the effective context; 0 for
/// none.
pub(crate) fn set_tick_period(milliseconds: u32) -> Result<(), HostError> {
    check(
        "proxy_set_tick_period_milliseconds",
        raw::timers::set_tick_period(milliseconds),
    )
}
