#![expect(unsafe_code, reason = "imports are foreign functions")]

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_set_tick_period_milliseconds(milliseconds: u32) -> u32;
}

pub(in crate::host) fn set_tick_period(milliseconds: u32) -> u32 {
    // SAFETY: no pointers.
    unsafe { proxy_set_tick_period_milliseconds(milliseconds) }
}
