//! Call-outs: how they are made, and what is read of their answers.

use super::{check, raw};
use crate::status::{HostError, Status};

pub(crate) use super::raw::calls::Pairs;

/// What [`http_call`] sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HttpCall<'a> {
    pub(crate) cluster: &'a str,
    pub(crate) headers: &'a Pairs<'a>,
    pub(crate) body: &'a [u8],
    pub(crate) trailers: &'a Pairs<'a>,
    /// Not 0, which would be for ever.
    pub(crate) milliseconds: u32,
}

/// Makes an HTTP call; the token comes back with the answer.
pub(crate) fn http_call(call: HttpCall<'_>) -> Result<u32, HostError> {
    token("proxy_http_call", raw::calls::http_call(call))
}

fn token(call: &'static str, answer: Result<u32, u32>) -> Result<u32, HostError> {
    answer.map_err(|status| HostError {
        call,
        status: Status::new(status),
    })
}

/// Code and text of the last call-out that failed.
pub(crate) fn call_status() -> Result<(u32, Vec<u8>), HostError> {
    let mut code = 0;
    let (status, text) = raw::calls::status(&mut code);
    check("proxy_get_status", status)?;
    Ok((code, text))
}

/// What was received, while the callback runs that says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Received {
    HttpBody = 4,
}

/// Bytes that a call-out received.
pub(crate) fn received(what: Received, size: usize) -> Result<Vec<u8>, HostError> {
    let (status, bytes) = raw::buffer(what as u32, 0, size);
    check("proxy_get_buffer_bytes", status)?;
    Ok(bytes)
}
