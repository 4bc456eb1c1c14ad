//! The two descriptors that there are, 1 and 2, and what may be done with them.

use super::{Errno, no};
use crate::abi::LogLevel;
use crate::call::{Answer, Call};
use crate::logging;
use crate::mutation::Rule;

/// Bytes of one element of a list of buffers: address and length.
const IOVEC: u32 = 8;

/// Answers 0 for standard output and error.
pub(super) fn standard(call: &mut Call<'_>, fd: u32) -> Answer {
    call.number(fd);
    level(fd)?;
    Ok(())
}

/// The level at which a descriptor logs.
fn level(fd: u32) -> Result<LogLevel, Errno> {
    match fd {
        1 => Ok(LogLevel::Info),
        2 => Ok(LogLevel::Error),
        _ => Err(Errno::BadDescriptor),
    }
}

/// Logs the buffers as one line, without one line feed at its end.
pub(super) fn write(call: &mut Call<'_>, fd: u32, iovs: u32, count: u32, written: u32) -> Answer {
    call.number(fd);
    let level = match level(fd)? {
        LogLevel::Error if call.mutated(Rule::StandardErrorIsInfo) => LogLevel::Info,
        level => level,
    };
    let mut line = Vec::new();
    for index in 0..count {
        let at = index
            .checked_mul(IOVEC)
            .and_then(|offset| iovs.checked_add(offset))
            .ok_or(Errno::Fault)?;
        let (pointer, size) = (call.read_u32(at)?, call.read_u32(at.saturating_add(4))?);
        if size > 0 {
            call.append(pointer, size, &mut line)?;
        }
    }
    let size = u32::try_from(line.len()).unwrap_or(u32::MAX);
    if size > 0 {
        if line.last() == Some(&b'\n') && !call.mutated(Rule::LineFeedsAreLogged) {
            line.pop();
        }
        while line.last() == Some(&b'\n') && call.mutated(Rule::AllLineFeedsGo) {
            line.pop();
        }
        logging::line(call, level, &line);
    }
    // The line is out even where this fails.
    let less = u32::from(size > 0 && call.mutated(Rule::LessIsWritten));
    call.write_u32(written, size - less)
}

/// There is no position to write at: it is [`write`].
pub(super) fn write_at(
    call: &mut Call<'_>,
    fd: u32,
    iovs: u32,
    count: u32,
    _offset: u64,
    written: u32,
) -> Answer {
    write(call, fd, iovs, count, written)
}

/// The right to write and nothing else; where it cannot be put is not noticed.
pub(super) fn stat(call: &mut Call<'_>, fd: u32, stat: u32) -> Answer {
    const RIGHT_TO_WRITE: u8 = 64;
    standard(call, fd)?;
    let mut bytes = [0; 24];
    let rights = if call.mutated(Rule::DescriptorsHaveNoRights) {
        0
    } else {
        RIGHT_TO_WRITE
    };
    bytes[8] = rights;
    let _ = call.write(stat, &bytes);
    Ok(())
}

pub(super) fn tell(call: &mut Call<'_>, fd: u32, position: u32) -> Answer {
    standard(call, fd)?;
    let told = u64::from(call.mutated(Rule::DescriptorsHavePositions));
    call.write_u64(position, told)
}

/// No descriptor is a folder; the number of bytes used is set to 0 all the same.
pub(super) fn read_directory(
    call: &mut Call<'_>,
    fd: u32,
    _buffer: u32,
    _size: u32,
    _cookie: u64,
    used: u32,
) -> Answer {
    call.number(fd);
    call.write_u32(used, 0)?;
    no(Errno::Inconsistent)
}

/// There are no links; the number of bytes used is set to 0 all the same.
pub(super) fn read_link(
    call: &mut Call<'_>,
    fd: u32,
    _path: u32,
    _path_size: u32,
    _buffer: u32,
    _size: u32,
    used: u32,
) -> Answer {
    call.number(fd);
    call.write_u32(used, 0)?;
    no(Errno::NotSupported)
}

pub(super) fn renumber(call: &mut Call<'_>, fd: u32, to: u32) -> Answer {
    standard(call, fd)?;
    standard(call, to)?;
    no(Errno::NotSupported)
}
