use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

use super::{Undecodable, take};

/// The bits of a member's flags (RFC 1952, 2.3.1).
const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// As zlib compresses unless told otherwise.
const LEVEL: u8 = 6;

/// Compresses a body into one member.
#[must_use]
pub fn encode(body: &[u8]) -> Vec<u8> {
    // Deflate, no flags, no time, no hint, unknown system.
    let mut output = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    output.extend(miniz_oxide::deflate::compress_to_vec(body, LEVEL));
    output.extend(crc32fast::hash(body).to_le_bytes());
    output.extend(length(body).to_le_bytes());
    output
}

/// The length modulo 2^32.
fn length(body: &[u8]) -> u32 {
    let low = u64::try_from(body.len()).unwrap_or(0) & u64::from(u32::MAX);
    u32::try_from(low).unwrap_or(0)
}

/// Decodes all members of a body. What is no member behind the last one is a fault.
pub(super) fn decode(mut body: &[u8], limit: usize) -> Result<Vec<u8>, Undecodable> {
    let mut output = Vec::new();
    loop {
        let data = header(body).ok_or(Undecodable::Malformed)?;
        let start = output.len();
        let rest = member(data, &mut output, limit)?;
        let Some((trailer, rest)) = rest.split_first_chunk::<8>() else {
            return Err(Undecodable::Malformed);
        };
        let made = output.get(start..).unwrap_or_default();
        let mut expected = crc32fast::hash(made).to_le_bytes().to_vec();
        expected.extend(length(made).to_le_bytes());
        if trailer[..] != expected {
            return Err(Undecodable::Malformed);
        }
        if rest.is_empty() {
            return Ok(output);
        }
        body = rest;
    }
}

/// What follows a member's header.
fn header(member: &[u8]) -> Option<&[u8]> {
    let (fixed, mut rest) = member.split_first_chunk::<10>()?;
    let [0x1f, 0x8b, 8, flags, ..] = *fixed else {
        return None;
    };
    if flags & RESERVED != 0 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|&byte| byte == 0)?;
            rest = rest.get(end + 1..)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

/// Decodes a member's data; what follows it.
fn member<'b>(
    mut data: &'b [u8],
    output: &mut Vec<u8>,
    limit: usize,
) -> Result<&'b [u8], Undecodable> {
    let mut state = InflateState::new_boxed(DataFormat::Raw);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let result = inflate(&mut state, data, &mut buffer, MZFlush::None);
        data = data.get(result.bytes_consumed..).unwrap_or_default();
        let made = buffer.get(..result.bytes_written).unwrap_or_default();
        take(output, made, limit)?;
        match result.status {
            Ok(MZStatus::StreamEnd) => return Ok(data),
            Ok(_) if result.bytes_consumed + result.bytes_written > 0 => {}
            _ => return Err(Undecodable::Malformed),
        }
    }
}
