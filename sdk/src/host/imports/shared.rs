#![expect(
    unsafe_code,
    reason = "imports are foreign functions, and what they hand over is owned through raw pointers"
)]

use super::take;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> u32;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
        cas: u32,
    ) -> u32;
    fn proxy_register_shared_queue(name: *const u8, name_size: usize, token: *mut u32) -> u32;
    fn proxy_resolve_shared_queue(
        vm_id: *const u8,
        vm_id_size: usize,
        name: *const u8,
        name_size: usize,
        token: *mut u32,
    ) -> u32;
    fn proxy_enqueue_shared_queue(token: u32, item: *const u8, item_size: usize) -> u32;
    fn proxy_dequeue_shared_queue(token: u32, data: *mut *mut u8, size: *mut usize) -> u32;
}

pub(in crate::host) fn data(key: &[u8], cas: &mut u32) -> (u32, Vec<u8>) {
    // SAFETY: the host reads `key` while the call runs, writes one pointer and one size to locals of
    // `take`, and four bytes to an exclusively borrowed `u32`.
    take(|data, size| unsafe { proxy_get_shared_data(key.as_ptr(), key.len(), data, size, cas) })
}

pub(in crate::host) fn set_data(key: &[u8], value: &[u8], cas: u32) -> u32 {
    // SAFETY: the host reads both slices while the call runs and keeps no pointer.
    unsafe { proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas) }
}

pub(in crate::host) fn register_queue(name: &[u8], token: &mut u32) -> u32 {
    // SAFETY: the host reads the slice while the call runs, and writes four bytes to an exclusively
    // borrowed `u32`.
    unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), token) }
}

pub(in crate::host) fn resolve_queue(vm_id: &[u8], name: &[u8], token: &mut u32) -> u32 {
    // SAFETY: as in `register_queue`.
    unsafe {
        proxy_resolve_shared_queue(
            vm_id.as_ptr(),
            vm_id.len(),
            name.as_ptr(),
            name.len(),
            token,
        )
    }
}

pub(in crate::host) fn enqueue(token: u32, item: &[u8]) -> u32 {
    // SAFETY: the host reads the slice while the call runs and keeps no pointer.
    unsafe { proxy_enqueue_shared_queue(token, item.as_ptr(), item.len()) }
}

pub(in crate::host) fn dequeue(token: u32) -> (u32, Vec<u8>) {
    // SAFETY: the host writes one pointer and one size to locals of `take`.
    take(|data, size| unsafe { proxy_dequeue_shared_queue(token, data, size) })
}
