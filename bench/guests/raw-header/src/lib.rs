//! Two header operations, written against the imports: the least a module can do.
#![expect(unsafe_code, reason = "the floor that others are measured from")]

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
    fn proxy_remove_header_map_value(map: u32, name: *const u8, name_size: usize) -> u32;
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
extern "C" fn proxy_on_request_headers(_context: u32, _count: u32, _end: u32) -> u32 {
    let (name, value) = ("x-bench", "1");
    // SAFETY: the host reads both texts while the call runs.
    unsafe {
        proxy_add_header_map_value(0, name.as_ptr(), name.len(), value.as_ptr(), value.len());
    }
    0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(_context: u32, _count: u32, _end: u32) -> u32 {
    let name = "x-powered-by";
    // SAFETY: the host reads the text while the call runs.
    unsafe { proxy_remove_header_map_value(2, name.as_ptr(), name.len()) };
    0
}
