//! Envoy has no sockets; what a socket would hand out is set to 0 all the same.

use super::{Errno, no};
use crate::call::{Answer, Call};

pub(super) fn accept(call: &mut Call<'_>, fd: u32, _flags: u32, accepted: u32) -> Answer {
    call.number(fd);
    call.write_u32(accepted, 0)?;
    no(Errno::NotSupported)
}

pub(super) fn receive(
    call: &mut Call<'_>,
    fd: u32,
    _iovs: u32,
    _count: u32,
    _flags: u32,
    size: u32,
    flags: u32,
) -> Answer {
    call.number(fd);
    call.write_u32(size, 0)?;
    // `roflags` has 16 bits.
    call.write(flags, &[0; 2])?;
    no(Errno::NotSupported)
}

pub(super) fn send(
    call: &mut Call<'_>,
    fd: u32,
    _iovs: u32,
    _count: u32,
    _flags: u32,
    size: u32,
) -> Answer {
    call.number(fd);
    call.write_u32(size, 0)?;
    no(Errno::NotSupported)
}
