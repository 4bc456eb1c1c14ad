//! The imports of module `env`, and the pointers they take.
#![expect(
    unsafe_code,
    reason = "imports are foreign functions, and what they hand over is owned through raw pointers"
)]

pub(super) mod calls;
pub(super) mod metrics;
pub(super) mod shared;
pub(super) mod surroundings;
pub(super) mod timers;

use std::ptr::{null_mut, slice_from_raw_parts_mut};

use super::Reply;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, data: *const u8, size: usize) -> u32;
    fn proxy_get_log_level(level: *mut u32) -> u32;
    fn proxy_get_buffer_bytes(
        kind: u32,
        start: usize,
        length: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        kind: u32,
        start: usize,
        length: usize,
        data: *const u8,
        size: usize,
    ) -> u32;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_replace_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
    fn proxy_continue_stream(direction: u32) -> u32;
    fn proxy_close_stream(direction: u32) -> u32;
    fn proxy_set_effective_context(id: u32) -> u32;
}

/// Calls the host for bytes and takes them over.
fn take(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> (u32, Vec<u8>) {
    let mut data = null_mut();
    let mut size = 0;
    let status = call(&raw mut data, &raw mut size);
    if status != 0 || data.is_null() || size == 0 {
        return (status, Vec::new());
    }
    // SAFETY: the host fills bytes that it got from this module's exported `malloc`, which hands
    // out a boxed slice of exactly the size asked for and keeps no claim on it (`proxy-wasm`,
    // `src/allocator.rs`). Nobody else knows the pointer, so this is the box's only owner.
    let bytes = unsafe { Box::from_raw(slice_from_raw_parts_mut(data, size)) };
    (status, bytes.into_vec())
}

pub(super) fn log(level: u32, line: &[u8]) -> u32 {
    // SAFETY: the host reads `line` while the call runs and keeps no pointer.
    unsafe { proxy_log(level, line.as_ptr(), line.len()) }
}

pub(super) fn log_level(level: &mut u32) -> u32 {
    // SAFETY: the host writes four bytes to an exclusively borrowed `u32`.
    unsafe { proxy_get_log_level(level) }
}

pub(super) fn buffer(kind: u32, start: usize, length: usize) -> (u32, Vec<u8>) {
    // SAFETY: the host writes one pointer and one size to locals of `take`.
    take(|data, size| unsafe { proxy_get_buffer_bytes(kind, start, length, data, size) })
}

pub(super) fn set_buffer(kind: u32, start: usize, length: usize, data: &[u8]) -> u32 {
    // SAFETY: the host reads `data` while the call runs and keeps no pointer.
    unsafe { proxy_set_buffer_bytes(kind, start, length, data.as_ptr(), data.len()) }
}

pub(super) fn property(path: &[u8]) -> (u32, Vec<u8>) {
    // SAFETY: as in `buffer`; the host reads `path` while the call runs.
    take(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })
}

pub(super) fn set_property(name: &[u8], value: &[u8]) -> u32 {
    // SAFETY: the host reads both slices while the call runs and keeps no pointer.
    unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) }
}

pub(super) fn header_pairs(map: u32) -> (u32, Vec<u8>) {
    // SAFETY: as in `buffer`.
    take(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
}

pub(super) fn add_header(map: u32, name: &[u8], value: &[u8]) -> u32 {
    // SAFETY: the host reads both slices while the call runs and keeps no pointer.
    unsafe {
        proxy_add_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    }
}

pub(super) fn replace_header(map: u32, name: &[u8], value: &[u8]) -> u32 {
    // SAFETY: the host reads both slices while the call runs and keeps no pointer.
    unsafe {
        proxy_replace_header_map_value(map, name.as_ptr(), name.len(), value.as_ptr(), value.len())
    }
}

pub(super) fn remove_header(map: u32, name: &[u8]) -> u32 {
    // SAFETY: the host reads the slice while the call runs and keeps no pointer.
    unsafe { proxy_remove_header_map_value(map, name.as_ptr(), name.len()) }
}

pub(super) fn send_local_response(reply: Reply<'_>) -> u32 {
    let Reply {
        status,
        details,
        body,
        headers,
        grpc_status,
    } = reply;
    // SAFETY: the host reads the three slices while the call runs and keeps no pointer.
    unsafe {
        proxy_send_local_response(
            u32::from(status),
            details.as_ptr(),
            details.len(),
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            grpc_status,
        )
    }
}

pub(super) fn continue_stream(direction: u32) -> u32 {
    // SAFETY: no pointers.
    unsafe { proxy_continue_stream(direction) }
}

pub(super) fn set_effective_context(id: u32) -> u32 {
    // SAFETY: no pointers.
    unsafe { proxy_set_effective_context(id) }
}

pub(super) fn close_stream(direction: u32) -> u32 {
    // SAFETY: no pointers.
    unsafe { proxy_close_stream(direction) }
}
