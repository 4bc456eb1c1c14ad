//! Call-outs are dispatched by the crate below: it has to know their tokens, or it panics when the
//! answer comes.

#![expect(
    unsafe_code,
    reason = "imports are foreign functions, and the crate below takes bytes for text"
)]

use std::cell::Cell;
use std::ptr::null;
use std::time::Duration;

use proxy_wasm::hostcalls;

use super::super::calls::{GrpcCall, HttpCall};
use super::take;

pub(crate) type Pairs<'a> = [(&'a [u8], &'a [u8])];

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
        milliseconds: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_grpc_call(
        target: *const u8,
        target_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        message: *const u8,
        message_size: usize,
        milliseconds: u32,
        token: *mut u32,
    ) -> u32;
    fn proxy_grpc_stream(
        target: *const u8,
        target_size: usize,
        service: *const u8,
        service_size: usize,
        method: *const u8,
        method_size: usize,
        metadata: *const u8,
        metadata_size: usize,
        token: *mut u32,
    ) -> u32;
    fn proxy_grpc_send(token: u32, message: *const u8, size: usize, ends: u32) -> u32;
    fn proxy_grpc_close(token: u32) -> u32;
    fn proxy_grpc_cancel(token: u32) -> u32;
    fn proxy_get_status(code: *mut u32, data: *mut *mut u8, size: *mut usize) -> u32;
}

const BAD_ARGUMENT: u32 = 2;
const PARSE_FAILURE: u32 = 4;
const INTERNAL_FAILURE: u32 = 10;

/// Whether the crate below copes with how this host refuses a call. It panics on numbers that it
/// does not expect, so the host is first asked for what it has to refuse.
#[derive(Clone, Copy)]
enum Trust {
    Unknown,
    Trusted,
    /// What it answered.
    Foreign(u32),
}

fn check_trust(
    trust: &Cell<Trust>,
    expected: [u32; 2],
    ask: impl FnOnce() -> u32,
) -> Result<(), u32> {
    if let Trust::Unknown = trust.get() {
        let status = ask();
        trust.set(if expected.contains(&status) {
            Trust::Trusted
        } else {
            Trust::Foreign(status)
        });
    }
    match trust.get() {
        Trust::Unknown | Trust::Trusted => Ok(()),
        // A host that makes a call to no cluster at all cannot be told what it refuses.
        Trust::Foreign(0) => Err(INTERNAL_FAILURE),
        Trust::Foreign(status) => Err(status),
    }
}

thread_local! {
    static HTTP: Cell<Trust> = const { Cell::new(Trust::Unknown) };
    static GRPC: Cell<Trust> = const { Cell::new(Trust::Unknown) };
    static GRPC_STREAMS: Cell<Trust> = const { Cell::new(Trust::Unknown) };
}

/// A call to the cluster without a name, which there cannot be.
fn ask_http() -> u32 {
    let mut token = 0;
    // SAFETY: all sizes are 0, so nothing is read; the host writes four bytes to `token`.
    unsafe {
        proxy_http_call(
            null(),
            0,
            null(),
            0,
            null(),
            0,
            null(),
            0,
            1,
            &raw mut token,
        )
    }
}

/// What is neither the name of a cluster nor the message that could stand in its place.
const NOBODY: &[u8] = b"\xff";

/// A call to nobody.
fn ask_grpc() -> u32 {
    let target = NOBODY;
    let mut token = 0;
    // SAFETY: the host reads one byte of `target`, all other sizes are 0; it writes four bytes to
    // `token`.
    unsafe {
        proxy_grpc_call(
            target.as_ptr(),
            target.len(),
            null(),
            0,
            null(),
            0,
            null(),
            0,
            null(),
            0,
            1,
            &raw mut token,
        )
    }
}

/// A stream to nobody.
fn ask_grpc_stream() -> u32 {
    let target = NOBODY;
    let mut token = 0;
    // SAFETY: as in `ask_grpc`.
    unsafe {
        proxy_grpc_stream(
            target.as_ptr(),
            target.len(),
            null(),
            0,
            null(),
            0,
            null(),
            0,
            &raw mut token,
        )
    }
}

/// Bytes as the text that the crate below asks for.
fn text(bytes: &[u8]) -> &str {
    // SAFETY: `proxy-wasm` 0.2.5 does nothing with the text but copy its bytes behind their length
    // (`hostcalls::utils::serialize_map`), or hand its pointer and length to the host. Header
    // values are bytes, and a client may send any.
    unsafe { str::from_utf8_unchecked(bytes) }
}

fn texts<'a>(pairs: &Pairs<'a>) -> Vec<(&'a str, &'a str)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

pub(in crate::host) fn http_call(call: HttpCall<'_>) -> Result<u32, u32> {
    HTTP.with(|trust| check_trust(trust, [BAD_ARGUMENT, INTERNAL_FAILURE], ask_http))?;
    hostcalls::dispatch_http_call(
        call.cluster,
        texts(call.headers),
        Some(call.body),
        texts(call.trailers),
        Duration::from_millis(call.milliseconds.into()),
    )
    .map_err(|status| status as u32)
}

pub(in crate::host) fn status(code: &mut u32) -> (u32, Vec<u8>) {
    // SAFETY: the host writes four bytes to an exclusively borrowed `u32`, and one pointer and one
    // size to locals of `take`.
    take(|data, size| unsafe { proxy_get_status(code, data, size) })
}

fn metadata<'a>(pairs: &Pairs<'a>) -> Vec<(&'a str, &'a [u8])> {
    let pairs = pairs.iter();
    pairs.map(|(name, value)| (text(name), *value)).collect()
}

pub(in crate::host) fn grpc_call(call: GrpcCall<'_>) -> Result<u32, u32> {
    GRPC.with(|trust| check_trust(trust, [PARSE_FAILURE, INTERNAL_FAILURE], ask_grpc))?;
    hostcalls::dispatch_grpc_call(
        text(call.target),
        call.service,
        call.method,
        metadata(call.metadata),
        Some(call.message),
        Duration::from_millis(call.milliseconds.into()),
    )
    .map_err(|status| status as u32)
}

pub(in crate::host) fn grpc_stream(call: GrpcCall<'_>) -> Result<u32, u32> {
    let expected = [PARSE_FAILURE, INTERNAL_FAILURE];
    GRPC_STREAMS.with(|trust| check_trust(trust, expected, ask_grpc_stream))?;
    hostcalls::open_grpc_stream(
        text(call.target),
        call.service,
        call.method,
        metadata(call.metadata),
    )
    .map_err(|status| status as u32)
}

pub(in crate::host) fn grpc_send(token: u32, message: &[u8]) -> u32 {
    // SAFETY: the host reads the slice while the call runs and keeps no pointer.
    unsafe { proxy_grpc_send(token, message.as_ptr(), message.len(), 0) }
}

pub(in crate::host) fn grpc_close(token: u32) -> u32 {
    // SAFETY: no pointers.
    unsafe { proxy_grpc_close(token) }
}

pub(in crate::host) fn grpc_cancel(token: u32) -> u32 {
    // SAFETY: no pointers.
    unsafe { proxy_grpc_cancel(token) }
}
