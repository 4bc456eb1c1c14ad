//! A look at each piece of a body, written against the imports: the least a module can do.
#![expect(unsafe_code, reason = "the floor that others are measured from")]

use std::ptr::{null_mut, slice_from_raw_parts_mut};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
}

#[unsafe(no_mangle)]
extern "C" fn proxy_abi_version_0_2_1() {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
    Box::leak(vec![0; size].into_boxed_slice()).as_mut_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_context_create(_context: u32, _parent: u32) {}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_request_body(_context: u32, size: usize, _end: u32) -> u32 {
    let (mut data, mut length) = (null_mut(), 0);
    // SAFETY: the host writes both places while the call runs; what it was given by the allocator is given
    // back once, with its length.
    unsafe {
        proxy_get_buffer_bytes(0, 0, size, &raw mut data, &raw mut length);
        if !data.is_null() {
            drop(Box::from_raw(slice_from_raw_parts_mut(data, length)));
        }
    }
    0
}
