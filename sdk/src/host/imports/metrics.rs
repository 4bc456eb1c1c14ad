#![expect(unsafe_code, reason = "imports are foreign functions")]

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
}

pub(in crate::host) fn define(kind: u32, name: &[u8], id: &mut u32) -> u32 {
    // SAFETY: the host reads the slice while the call runs, and writes four bytes to an exclusively
    // borrowed `u32`.
    unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), id) }
}

pub(in crate::host) fn increment(id: u32, offset: i64) -> u32 {
    // SAFETY: no pointers.
    unsafe { proxy_increment_metric(id, offset) }
}

pub(in crate::host) fn record(id: u32, value: u64) -> u32 {
    // SAFETY: no pointers.
    unsafe { proxy_record_metric(id, value) }
}

pub(in crate::host) fn value(id: u32, value: &mut u64) -> u32 {
    // SAFETY: the host writes eight bytes to an exclusively borrowed `u64`.
    unsafe { proxy_get_metric(id, value) }
}
