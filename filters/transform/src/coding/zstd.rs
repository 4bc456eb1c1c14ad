use std::io::Read;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Undecodable, take};

/// The largest window that a decoder has to know (RFC 9659 asks HTTP for no more).
const MAX_WINDOW: u64 = 8 * 1024 * 1024;

/// Decodes all frames of a body.
pub(super) fn decode(mut body: &[u8], limit: usize) -> Result<Vec<u8>, Undecodable> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(MAX_WINDOW);
    let mut output = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    if body.is_empty() {
        return Err(Undecodable::Malformed);
    }
    while !body.is_empty() {
        match decoder.reset(&mut body) {
            Ok(()) => {}
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                body = body.get(length..).ok_or(Undecodable::Malformed)?;
                continue;
            }
            Err(_) => return Err(Undecodable::Malformed),
        }
        while !decoder.is_finished() || decoder.can_collect() > 0 {
            if !decoder.is_finished() {
                decoder
                    .decode_blocks(&mut body, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(|_| Undecodable::Malformed)?;
            }
            while decoder.can_collect() > 0 {
                let read = decoder.read(&mut buffer);
                let read = read.map_err(|_| Undecodable::Malformed)?;
                take(&mut output, buffer.get(..read).unwrap_or_default(), limit)?;
            }
        }
        let expected = decoder.get_checksum_from_data();
        if expected.is_some() && expected != decoder.get_calculated_checksum() {
            return Err(Undecodable::Malformed);
        }
    }
    Ok(output)
}
