//! A call-out before the request goes on, written against the imports: the least a module can do.
#![expect(unsafe_code, reason = "the floor that others are measured from")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr::{null_mut, slice_from_raw_parts_mut};

/// `:method: GET`, `:path: /check` and `:authority: callee`, as the host reads pairs.
const HEADERS: &[u8] = b"\x03\0\0\0\x07\0\0\0\x03\0\0\0\x05\0\0\0\x06\0\0\0\x0a\0\0\0\x06\0\0\0\
    :method\0GET\0:path\0/check\0:authority\0callee\0";
const NONE: &[u8] = b"\0\0\0\0";

/// The headers of an answer, as the host numbers maps.
const ANSWER: u32 = 6;

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
    fn proxy_get_header_map_value(
        map: u32,
        name: *const u8,
        name_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
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
    // SAFETY: the host reads the texts while the calls run.
    unsafe {
        proxy_set_effective_context(context);
        if !allows() {
            let none = NONE.as_ptr();
            proxy_send_local_response(403, none, 0, none, 0, none, NONE.len(), -1);
            return;
        }
        proxy_add_header_map_value(0, name.as_ptr(), name.len(), "1".as_ptr(), 1);
        proxy_continue_stream(0);
    }
}

/// Whether the answer has the status 200. One that did not come has none.
fn allows() -> bool {
    let name = ":status";
    let (mut data, mut length) = (null_mut(), 0);
    // SAFETY: the host reads the name and writes both places while the call runs; what it was given by the allocator
    // is given back once, with its length.
    unsafe {
        proxy_get_header_map_value(
            ANSWER,
            name.as_ptr(),
            name.len(),
            &raw mut data,
            &raw mut length,
        );
        !data.is_null() && *Box::from_raw(slice_from_raw_parts_mut(data, length)) == *b"200"
    }
}
