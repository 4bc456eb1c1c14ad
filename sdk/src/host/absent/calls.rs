use super::super::calls::{GrpcCall, HttpCall};
use super::{number, play};

pub(crate) type Pairs<'a> = [(&'a [u8], &'a [u8])];

fn token(call: &'static str, bytes: &[u8]) -> Result<u32, u32> {
    let mut token = 0;
    match number(call, bytes, &mut token) {
        0 => Ok(token),
        status => Err(status),
    }
}

pub(in crate::host) fn http_call(call: HttpCall<'_>) -> Result<u32, u32> {
    token("proxy_http_call", call.body)
}

pub(in crate::host) fn status(code: &mut u32) -> (u32, Vec<u8>) {
    let (status, bytes, _) = play("proxy_get_status", b"");
    *code = status;
    (status, bytes)
}

pub(in crate::host) fn grpc_call(call: GrpcCall<'_>) -> Result<u32, u32> {
    token("proxy_grpc_call", call.message)
}

pub(in crate::host) fn grpc_stream(call: GrpcCall<'_>) -> Result<u32, u32> {
    token("proxy_grpc_stream", call.target)
}

pub(in crate::host) fn grpc_send(_token: u32, message: &[u8]) -> u32 {
    play("proxy_grpc_send", message).0
}

pub(in crate::host) fn grpc_close(token: u32) -> u32 {
    play("proxy_grpc_close", &token.to_le_bytes()).0
}

pub(in crate::host) fn grpc_cancel(token: u32) -> u32 {
    play("proxy_grpc_cancel", &token.to_le_bytes()).0
}
