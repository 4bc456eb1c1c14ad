use super::status;

pub(in crate::host) fn set_tick_period(milliseconds: u32) -> u32 {
    status(
        "proxy_set_tick_period_milliseconds",
        &milliseconds.to_le_bytes(),
    )
}
