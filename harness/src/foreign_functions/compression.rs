//! `compress` and `uncompress`: zlib streams at zlib's default level.

use std::io::Read;

use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};

use super::Returned;
use crate::abi::Status;
use crate::call::Call;
use crate::error::HostError;

/// What a stream may hold. Envoy has no limit.
const MAX_BYTES: usize = 256 << 20;

pub(super) fn compress(argument: &[u8]) -> Returned {
    let mut packed = Vec::new();
    ZlibEncoder::new(argument, Compression::default())
        .read_to_end(&mut packed)
        .map_err(|_| Status::SerializationFailure)?;
    Ok(Some(packed))
}

/// What is no whole stream is refused; what follows the stream is not looked at.
pub(super) fn uncompress(call: &mut Call<'_>, argument: &[u8]) -> Returned {
    let mut unpacked = Vec::new();
    ZlibDecoder::new(argument)
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|_| Status::SerializationFailure)?;
    if unpacked.len() > MAX_BYTES {
        return Err(call.give_up(|timeline| HostError::HostCallLimit {
            call: "proxy_call_foreign_function",
            limit: "256 MiB uncompressed",
            timeline: timeline.first(50),
        }));
    }
    Ok(Some(unpacked))
}
