//! A call-out before the request goes on, written against the imports: the least a module can do.
#![expect(unsafe_code, reason = "the floor that others are measured from")]

use std::cell::RefCell;
use std::collections::BTreeMap;

/// `:method: GET`, `:path: /check` and `:authority: callee`, as the host reads pairs.
const HEADERS: &[u8] = b"\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x06\0\0\0\x0a\0\0\0\x06\0\0\0\
    :method\0GET\0:path\0/check\0:authority\0callee\0";
const NONE: &[u8] = b"\0\0\0\0";

thread_local! {
    /// Which stream waits for which answer.
    static WAITING: RefCell<BTreeMap<u32, u32>> = const { RefCell::new(BTreeMap::new()) };
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_set_effective_context(context: u32) -> u32;
    fn proxy_continue_stream(stream: u32) -> u32;
    fn proxy_add_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *const u8,
        value_size: usize,
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
extern "C" fn proxy_on_request_headers(context: u32, _count: u32, _end: u32) -> u32 {
    let cluster = "callee";
    let mut token = 0;
    // SAFETY: the host reads the texts and writes the token while the call runs.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            HEADERS.as_ptr(),
            HEADERS.len(),
            NONE.as_ptr(),
            0,
            NONE.as_ptr(),
            NONE.len(),
            5_000,
            &raw mut token,
        )
    };
    if status != 0 {
        return 0;
    }
    WAITING.with_borrow_mut(|waiting| waiting.insert(token, context));
    1
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_http_call_response(_: u32, token: u32, _: u32, _: u32, _: u32) {
    let Some(context) = WAITING.with_borrow_mut(|waiting| waiting.remove(&token)) else {
        return;
    };
    let name = "x-bench";
    // SAFETY: the host reads both texts while the call runs.
    unsafe {
        proxy_set_effective_context(context);
        proxy_add_header_map_value(0, name.as_ptr(), name.len(), "1".as_ptr(), 1);
        proxy_continue_stream(0);
    }
}
