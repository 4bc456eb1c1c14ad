use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::{Undecodable, take};

/// Decodes a stream. Windows beyond those of RFC 7932 are refused: one may ask for a GiB.
pub(super) fn decode(body: &[u8], limit: usize) -> Result<Vec<u8>, Undecodable> {
    let allocators = (
        StandardAlloc::default(),
        StandardAlloc::default(),
        StandardAlloc::default(),
    );
    let mut state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc> =
        BrotliState::new_strict(allocators.0, allocators.1, allocators.2);
    let mut output = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    let (mut left, mut at, mut total) = (body.len(), 0, 0);
    loop {
        let (mut room, mut written) = (buffer.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut at,
            body,
            &mut room,
            &mut written,
            &mut buffer,
            &mut total,
            &mut state,
        );
        take(
            &mut output,
            buffer.get(..written).unwrap_or_default(),
            limit,
        )?;
        match result {
            BrotliResult::ResultSuccess if left == 0 => return Ok(output),
            BrotliResult::NeedsMoreOutput => {}
            _ => return Err(Undecodable::Malformed),
        }
    }
}
