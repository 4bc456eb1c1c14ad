//! Ten header operations, written against the imports: the least a module can do.
#![expect(unsafe_code, reason = "the floor that others are measured from")]

const REQUEST: [&str; 5] = [
    "x-bench",
    "x-bench-2",
    "x-bench-3",
    "x-bench-4",
    "x-bench-5",
];
const RESPONSE: [&str; 5] = ["x-out", "x-out-2", "x-out-3", "x-out-4", "x-out-5"];

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> u32;
}

fn add(map: u32, names: [&str; 5]) {
    for name in names {
        // SAFETY: the host reads both texts while the call runs.
        unsafe {
            proxy_add_header_map_value(map, name.as_ptr(), name.len(), "1".as_ptr(), 1);
        }
    }
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
    add(0, REQUEST);
    0
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_response_headers(_context: u32, _count: u32, _end: u32) -> u32 {
    add(2, RESPONSE);
    0
}
