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

/// What [`grpc_call`] and [`grpc_stream`] begin. A stream has neither message nor time limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrpcCall<'a> {
    /// `envoy.config.core.v3.GrpcService`, serialized.
    pub(crate) target: &'a [u8],
    pub(crate) service: &'a str,
    pub(crate) method: &'a str,
    pub(crate) metadata: &'a Pairs<'a>,
    pub(crate) message: &'a [u8],
    /// Not 0, which would be for ever.
    pub(crate) milliseconds: u32,
}

/// Makes a gRPC call; the token comes back with the answer.
pub(crate) fn grpc_call(call: GrpcCall<'_>) -> Result<u32, HostError> {
    token("proxy_grpc_call", raw::calls::grpc_call(call))
}

/// Begins a gRPC stream; the token comes back with all that arrives.
pub(crate) fn grpc_stream(call: GrpcCall<'_>) -> Result<u32, HostError> {
    token("proxy_grpc_stream", raw::calls::grpc_stream(call))
}

/// Sends a message on a gRPC stream.
pub(crate) fn grpc_send(token: u32, message: &[u8]) -> Result<(), HostError> {
    check("proxy_grpc_send", raw::calls::grpc_send(token, message))
}

/// Says that no message follows on a gRPC stream.
pub(crate) fn grpc_close(token: u32) -> Result<(), HostError> {
    check("proxy_grpc_close", raw::calls::grpc_close(token))
}

/// Resets a gRPC call or stream; nothing is heard of it any more.
pub(crate) fn grpc_cancel(token: u32) -> Result<(), HostError> {
    check("proxy_grpc_cancel", raw::calls::grpc_cancel(token))
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
    GrpcMessage = 5,
}

/// Bytes that a call-out received.
pub(crate) fn received(what: Received, size: usize) -> Result<Vec<u8>, HostError> {
    let (status, bytes) = raw::buffer(what as u32, 0, size);
    check("proxy_get_buffer_bytes", status)?;
    Ok(bytes)
}
