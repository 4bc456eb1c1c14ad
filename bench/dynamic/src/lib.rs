//! Every work of the bench as a dynamic module of Envoy: a shared library in Envoy's own process, written against
//! the ABI of `source/extensions/dynamic_modules/abi/abi.h`, without an SDK: the least that such a module can do.
#![expect(
    unsafe_code,
    reason = "Envoy calls a dynamic module by a C interface, and is called by it"
)]

use std::ffi::{c_char, c_void};
use std::ptr::{null, without_provenance};

const REQUEST: [&str; 5] = [
    "x-bench",
    "x-bench-2",
    "x-bench-3",
    "x-bench-4",
    "x-bench-5",
];
const RESPONSE: [&str; 5] = ["x-out", "x-out-2", "x-out-3", "x-out-4", "x-out-5"];

/// What a filter's configuration and each of its streams are to Envoy: the number of the work.
type Work = *const c_void;
/// Envoy's side of a stream.
type Stream = *mut c_void;

const HEADER: usize = 1;
const HEADERS: usize = 2;
const CALL: usize = 3;
const BUFFER: usize = 4;
const STREAM: usize = 5;
const IDLE: usize = 6;

/// `envoy_dynamic_module_type_http_header_type`.
const REQUEST_HEADER: u32 = 0;
const RESPONSE_HEADER: u32 = 2;
/// `envoy_dynamic_module_type_http_body_type`.
const RECEIVED_REQUEST_BODY: u32 = 0;
const BUFFERED_REQUEST_BODY: u32 = 1;
/// `envoy_dynamic_module_type_http_callout_result`.
const SUCCESS: u32 = 0;
/// Statuses of callbacks.
const CONTINUE: u32 = 0;
const STOP_ITERATION: u32 = 1;
const STOP_ITERATION_AND_BUFFER: u32 = 1;

/// Bytes, whoever owns them.
#[repr(C)]
#[derive(Clone, Copy)]
struct Buffer {
    start: *const u8,
    length: usize,
}

impl Buffer {
    fn of(text: &str) -> Self {
        Self {
            start: text.as_ptr(),
            length: text.len(),
        }
    }

    const NONE: Self = Self {
        start: null(),
        length: 0,
    };

    /// # Safety
    ///
    /// Whoever owns the bytes keeps them as long as they are used.
    unsafe fn bytes(&self) -> &[u8] {
        if self.start.is_null() {
            return &[];
        }
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

#[repr(C)]
struct Header {
    name: Buffer,
    value: Buffer,
}

unsafe extern "C" {
    fn envoy_dynamic_module_callback_http_add_header(
        stream: Stream,
        map: u32,
        name: Buffer,
        value: Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_set_header(
        stream: Stream,
        map: u32,
        name: Buffer,
        value: Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_get_body_chunks_size(stream: Stream, body: u32) -> usize;
    fn envoy_dynamic_module_callback_http_get_body_chunks(
        stream: Stream,
        body: u32,
        chunks: *mut Buffer,
    ) -> bool;
    fn envoy_dynamic_module_callback_http_filter_http_callout(
        stream: Stream,
        number: *mut u64,
        cluster: Buffer,
        headers: *const Header,
        headers_size: usize,
        body: Buffer,
        timeout: u64,
    ) -> u32;
    fn envoy_dynamic_module_callback_http_filter_continue_decoding(stream: Stream);
    fn envoy_dynamic_module_callback_http_send_response(
        stream: Stream,
        status: u32,
        headers: *const Header,
        headers_size: usize,
        body: Buffer,
        details: Buffer,
    );
}

fn add(stream: Stream, map: u32, name: &str, value: &str) {
    // SAFETY: Envoy reads both texts while the call runs, in which the stream lives.
    unsafe {
        envoy_dynamic_module_callback_http_add_header(
            stream,
            map,
            Buffer::of(name),
            Buffer::of(value),
        );
    }
}

/// The body's bytes in Envoy's own memory; how many there are.
fn look(stream: Stream, body: u32) -> usize {
    // SAFETY: Envoy writes as many chunks as it has said, in this call's time.
    unsafe {
        let count = envoy_dynamic_module_callback_http_get_body_chunks_size(stream, body);
        let mut chunks = vec![Buffer::NONE; count];
        if !envoy_dynamic_module_callback_http_get_body_chunks(stream, body, chunks.as_mut_ptr()) {
            return 0;
        }
        chunks.iter().map(|chunk| chunk.length).sum()
    }
}

/// Asks a server; whether the request has to wait for it.
fn ask(stream: Stream) -> bool {
    let headers = [(":method", "GET"), (":path", "/check"), ("host", "callee")];
    let headers = headers.map(|(name, value)| Header {
        name: Buffer::of(name),
        value: Buffer::of(value),
    });
    let mut number = 0;
    // SAFETY: Envoy reads what it is given and writes the number while the call runs.
    let refused = unsafe {
        envoy_dynamic_module_callback_http_filter_http_callout(
            stream,
            &raw mut number,
            Buffer::of("callee"),
            headers.as_ptr(),
            headers.len(),
            Buffer::NONE,
            5_000,
        )
    };
    refused == 0
}

/// Whether an answer has the status 200.
fn allows(headers: *const Header, count: usize) -> bool {
    if headers.is_null() {
        return false;
    }
    // SAFETY: Envoy keeps the headers and their texts while it tells of the answer, which is while this runs.
    unsafe {
        let mut headers = std::slice::from_raw_parts(headers, count).iter();
        let status = headers.find(|header| header.name.bytes() == b":status");
        status.is_some_and(|header| header.value.bytes() == b"200")
    }
}

/// Another version than Envoy's own is taken with a warning in its log.
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    c"v0.1.0".as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    _filter: *mut c_void,
    name: Buffer,
    _configuration: Buffer,
) -> Work {
    // SAFETY: Envoy's text lives as long as this call.
    let name = unsafe { std::slice::from_raw_parts(name.start, name.length) };
    without_provenance(match name {
        b"header" => HEADER,
        b"headers" => HEADERS,
        b"call" => CALL,
        b"buffer" => BUFFER,
        b"stream" => STREAM,
        b"idle" => IDLE,
        // Null refuses a configuration.
        _ => 0,
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(_work: Work) {}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_new(work: Work, _stream: Stream) -> Work {
    work
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    stream: Stream,
    work: Work,
    is_last: bool,
) -> u32 {
    match work.addr() {
        HEADER => add(stream, REQUEST_HEADER, "x-bench", "1"),
        HEADERS => REQUEST
            .iter()
            .for_each(|name| add(stream, REQUEST_HEADER, name, "1")),
        CALL if ask(stream) => return STOP_ITERATION,
        BUFFER if !is_last => return STOP_ITERATION,
        _ => {}
    }
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    stream: Stream,
    work: Work,
    is_last: bool,
) -> u32 {
    match work.addr() {
        BUFFER if !is_last => STOP_ITERATION_AND_BUFFER,
        BUFFER => {
            let length = look(stream, BUFFERED_REQUEST_BODY) + look(stream, RECEIVED_REQUEST_BODY);
            add(stream, REQUEST_HEADER, "x-bench", &length.to_string());
            CONTINUE
        }
        STREAM => {
            look(stream, RECEIVED_REQUEST_BODY);
            CONTINUE
        }
        _ => CONTINUE,
    }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_trailers(_: Stream, _: Work) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_headers(
    stream: Stream,
    work: Work,
    _is_last: bool,
) -> u32 {
    match work.addr() {
        HEADER => {
            // SAFETY: Envoy reads the name while the call runs; no value takes the header away.
            unsafe {
                envoy_dynamic_module_callback_http_set_header(
                    stream,
                    RESPONSE_HEADER,
                    Buffer::of("x-powered-by"),
                    Buffer::NONE,
                );
            }
        }
        HEADERS => RESPONSE
            .iter()
            .for_each(|name| add(stream, RESPONSE_HEADER, name, "1")),
        _ => {}
    }
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_body(
    _: Stream,
    _: Work,
    _is_last: bool,
) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_response_trailers(_: Stream, _: Work) -> u32 {
    CONTINUE
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_http_callout_done(
    stream: Stream,
    _work: Work,
    _number: u64,
    result: u32,
    headers: *const Header,
    headers_size: usize,
    _chunks: *const Buffer,
    _chunks_size: usize,
) {
    if result != SUCCESS || !allows(headers, headers_size) {
        let none = Buffer::NONE;
        // SAFETY: the stream waits since its headers, and there is nothing else to read.
        unsafe {
            envoy_dynamic_module_callback_http_send_response(stream, 403, null(), 0, none, none);
        }
        return;
    }
    add(stream, REQUEST_HEADER, "x-bench", "1");
    // SAFETY: the stream waits since its headers.
    unsafe { envoy_dynamic_module_callback_http_filter_continue_decoding(stream) };
}

/// Callbacks that Envoy demands and no work needs.
macro_rules! unused {
    ($($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name() {}
        )*
    };
}

unused! {
    envoy_dynamic_module_on_http_filter_stream_complete
    envoy_dynamic_module_on_http_filter_destroy
    envoy_dynamic_module_on_http_filter_http_stream_headers
    envoy_dynamic_module_on_http_filter_http_stream_data
    envoy_dynamic_module_on_http_filter_http_stream_trailers
    envoy_dynamic_module_on_http_filter_http_stream_complete
    envoy_dynamic_module_on_http_filter_http_stream_reset
    envoy_dynamic_module_on_http_filter_scheduled
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark
}
