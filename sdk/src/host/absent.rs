//! Outside wasm32 there is no host: every call answers [`Status::UNIMPLEMENTED`].

use super::Reply;
use crate::status::Status;

const ANSWER: u32 = Status::UNIMPLEMENTED.as_u32();

pub(super) fn log(_level: u32, _line: &[u8]) -> u32 {
    ANSWER
}

pub(super) fn log_level(_level: &mut u32) -> u32 {
    ANSWER
}

pub(super) fn buffer(_kind: u32, _start: usize, _size: usize) -> (u32, Vec<u8>) {
    (ANSWER, Vec::new())
}

pub(super) fn property(_path: &[u8]) -> (u32, Vec<u8>) {
    (ANSWER, Vec::new())
}

pub(super) fn header_pairs(_map: u32) -> (u32, Vec<u8>) {
    (ANSWER, Vec::new())
}

pub(super) fn add_header(_map: u32, _name: &[u8], _value: &[u8]) -> u32 {
    ANSWER
}

pub(super) fn replace_header(_map: u32, _name: &[u8], _value: &[u8]) -> u32 {
    ANSWER
}

pub(super) fn remove_header(_map: u32, _name: &[u8]) -> u32 {
    ANSWER
}

pub(super) fn send_local_response(_reply: Reply<'_>) -> u32 {
    ANSWER
}

pub(super) fn continue_stream(_direction: u32) -> u32 {
    ANSWER
}

pub(super) fn set_effective_context(_id: u32) -> u32 {
    ANSWER
}

pub(super) fn close_stream(_direction: u32) -> u32 {
    ANSWER
}
