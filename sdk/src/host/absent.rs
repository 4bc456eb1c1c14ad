//! Outside wasm32 there is no host: every call answers [`Status::UNIMPLEMENTED`]. In unit tests it
//! answers what [`double`](super::double) says.

pub(super) mod calls;
pub(super) mod metrics;
pub(super) mod shared;
pub(super) mod surroundings;
pub(super) mod timers;

use super::Reply;
#[cfg(not(test))]
use crate::status::Status;

/// What a call answers: its status, bytes and a number.
#[cfg(not(test))]
fn play(_call: &'static str, _bytes: &[u8]) -> (u32, Vec<u8>, u64) {
    (Status::UNIMPLEMENTED.as_u32(), Vec::new(), 0)
}

#[cfg(test)]
fn play(call: &'static str, bytes: &[u8]) -> (u32, Vec<u8>, u64) {
    let answer = super::double::play(call, bytes);
    (answer.status, answer.bytes, answer.number)
}

fn status(call: &'static str, bytes: &[u8]) -> u32 {
    play(call, bytes).0
}

/// A status and bytes, which stand only beside success.
fn taken(call: &'static str, argument: &[u8]) -> (u32, Vec<u8>) {
    let (status, bytes, _) = play(call, argument);
    (status, if status == 0 { bytes } else { Vec::new() })
}

/// A status and a number, which a host writes even beside failure.
fn number(call: &'static str, argument: &[u8], target: &mut u32) -> u32 {
    let (status, _, number) = play(call, argument);
    *target = lower_half(number);
    status
}

fn lower_half(number: u64) -> u32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

pub(super) fn log(_level: u32, _line: &[u8]) -> u32 {
    0
}

pub(super) fn log_level(level: &mut u32) -> u32 {
    number("proxy_get_log_level", b"", level)
}

pub(super) fn buffer(_kind: u32, _start: usize, _size: usize) -> (u32, Vec<u8>) {
    taken("proxy_get_buffer_bytes", b"")
}

pub(super) fn set_buffer(_kind: u32, _start: usize, _length: usize, data: &[u8]) -> u32 {
    status("proxy_set_buffer_bytes", data)
}

pub(super) fn property(path: &[u8]) -> (u32, Vec<u8>) {
    taken("proxy_get_property", path)
}

pub(super) fn set_property(_name: &[u8], value: &[u8]) -> u32 {
    status("proxy_set_property", value)
}

pub(super) fn header_pairs(_map: u32) -> (u32, Vec<u8>) {
    taken("proxy_get_header_map_pairs", b"")
}

pub(super) fn add_header(_map: u32, _name: &[u8], value: &[u8]) -> u32 {
    status("proxy_add_header_map_value", value)
}

pub(super) fn replace_header(_map: u32, _name: &[u8], value: &[u8]) -> u32 {
    status("proxy_replace_header_map_value", value)
}

pub(super) fn remove_header(_map: u32, name: &[u8]) -> u32 {
    status("proxy_remove_header_map_value", name)
}

pub(super) fn send_local_response(reply: Reply<'_>) -> u32 {
    status("proxy_send_local_response", reply.body)
}

pub(super) fn continue_stream(_direction: u32) -> u32 {
    status("proxy_continue_stream", b"")
}

pub(super) fn set_effective_context(_id: u32) -> u32 {
    status("proxy_set_effective_context", b"")
}

pub(super) fn close_stream(_direction: u32) -> u32 {
    status("proxy_close_stream", b"")
}
