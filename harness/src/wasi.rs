//! The part of WASI preview 1 that Envoy has: no files, no sockets, no arguments; standard output and
//! error go to the log.
//!
//! Types and answers are those that Envoy 1.40 was seen to have. Where they depart from WASI, as the
//! parameters of `path_link` and `path_symlink` do, they depart here.

mod clocks;
mod descriptors;
mod environment;
mod sockets;

use wasmtime::{Caller, Linker};

use crate::call::{Answer, Call};
use crate::imports::{Number, Parameter, Signature, Versions};
use crate::lints::LintKind;
use crate::mutation::Rule;
use crate::vm::VmState;

/// What a WASI function answers instead of 0; the numbers are WASI's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Errno {
    BadDescriptor = 8,
    Inconsistent = 20,
    Fault = 21,
    Invalid = 28,
    NoEntry = 44,
    NoSystemCall = 52,
    NotSupported = 58,
    NotCapable = 76,
}

impl Errno {
    pub(crate) fn code(self) -> u32 {
        self as u32
    }
}

/// Builds the table and the function that puts it into a linker.
///
/// * `answered`: a function of ours decides.
/// * `standard`: the first parameter, left out here, has to be standard output or error.
/// * `constant`: always this answer, whatever the parameters.
macro_rules! wasi_functions {
    (
        answered { $($name:literal ($($argument:ident: $ty:ty),*) => $answer:path;)* }
        standard { $($standard:literal ($($standard_ty:ty),*);)* }
        constant { $($constant:literal ($($constant_ty:ty),*) => $value:expr;)* }
    ) => {
        /// All that return a number, and `proc_exit`.
        pub(crate) static FUNCTIONS: &[Signature] = &[
            signature("proc_exit", &[Number::I32], &[]),
            $(signature($name, &[$(<$ty as Parameter>::NUMBER),*], &[Number::I32]),)*
            $(signature($standard, &[Number::I32, $(<$standard_ty as Parameter>::NUMBER),*], &[Number::I32]),)*
            $(signature($constant, &[$(<$constant_ty as Parameter>::NUMBER),*], &[Number::I32]),)*
        ];

        /// Whether Envoy answers it before it has a context: those that only look at their
        /// parameters, but for two that leave a line in the trace log.
        pub(crate) fn survives_without_context(name: &str) -> bool {
            let blind = [$($standard,)* $($constant),*];
            blind.contains(&name) && !matches!(name, "fd_close" | "fd_seek")
        }

        /// Puts them into a linker under one of their two modules' names.
        pub(crate) fn define(linker: &mut Linker<VmState>, module: &str) -> wasmtime::Result<()> {
            linker.func_wrap(module, "proc_exit", |caller: Caller<'_, VmState>, code: u32| {
                Call::run_wasi(caller, "proc_exit", |call| exit(call, code)).map(drop)
            })?;
            $(
                linker.func_wrap(module, $name, |caller: Caller<'_, VmState>, $($argument: $ty),*| {
                    Call::run_wasi(caller, $name, |call| $answer(call, $($argument),*))
                })?;
            )*
            $(
                linker.func_wrap(module, $standard, |caller: Caller<'_, VmState>, fd: u32, $(_: $standard_ty),*| {
                    Call::run_wasi(caller, $standard, |call| descriptors::standard(call, fd))
                })?;
            )*
            $(
                linker.func_wrap(module, $constant, |caller: Caller<'_, VmState>, $(_: $constant_ty),*| {
                    Call::run_wasi(caller, $constant, |_| $value)
                })?;
            )*
            Ok(())
        }
    };
}

wasi_functions! {
answered {
    "args_sizes_get" (count: u32, size: u32) => environment::argument_sizes;
    "clock_res_get" (clock: u32, resolution: u32) => clocks::resolution;
    "clock_time_get" (clock: u32, precision: u64, time: u32) => clocks::time;
    "environ_get" (variables: u32, buffer: u32) => environment::get;
    "environ_sizes_get" (count: u32, size: u32) => environment::sizes;
    "fd_fdstat_get" (fd: u32, stat: u32) => descriptors::stat;
    "fd_pwrite" (fd: u32, iovs: u32, count: u32, offset: u64, written: u32) => descriptors::write_at;
    "fd_readdir" (fd: u32, buffer: u32, size: u32, cookie: u64, used: u32) => descriptors::read_directory;
    "fd_renumber" (fd: u32, to: u32) => descriptors::renumber;
    "fd_tell" (fd: u32, position: u32) => descriptors::tell;
    "fd_write" (fd: u32, iovs: u32, count: u32, written: u32) => descriptors::write;
    "path_readlink" (fd: u32, path: u32, path_size: u32, buffer: u32, size: u32, used: u32) => descriptors::read_link;
    "poll_oneoff" (subscriptions: u32, events: u32, count: u32, happened: u32) => clocks::poll;
    "random_get" (buffer: u32, size: u32) => random;
    "sock_accept" (fd: u32, flags: u32, accepted: u32) => sockets::accept;
    "sock_recv" (fd: u32, iovs: u32, count: u32, flags: u32, size: u32, received: u32) => sockets::receive;
    "sock_send" (fd: u32, iovs: u32, count: u32, flags: u32, size: u32) => sockets::send;
}
standard {
    "fd_allocate" (u64, u64);
    "fd_datasync" ();
    "fd_fdstat_set_rights" (u64, u64);
    "fd_filestat_set_size" (u64);
    "fd_filestat_set_times" (u64, u64, u32);
    "fd_sync" ();
}
constant {
    "args_get" (u32, u32) => Ok(());
    "fd_advise" (u32, u64, u64, u32) => Ok(());
    "fd_close" (u32) => Ok(());
    "fd_fdstat_set_flags" (u32, u32) => no(Errno::NoSystemCall);
    "fd_filestat_get" (u32, u32) => no(Errno::BadDescriptor);
    "fd_pread" (u32, u32, u32, u64, u32) => no(Errno::NoSystemCall);
    "fd_prestat_dir_name" (u32, u32, u32) => no(Errno::NoSystemCall);
    "fd_prestat_get" (u32, u32) => no(Errno::BadDescriptor);
    "fd_read" (u32, u32, u32, u32) => no(Errno::NoSystemCall);
    "fd_seek" (u32, u64, u32, u32) => Ok(());
    "path_create_directory" (u32, u32, u32) => no(Errno::NotSupported);
    "path_filestat_get" (u32, u32, u32, u32, u32) => no(Errno::NotSupported);
    "path_filestat_set_times" (u32, u32, u32, u32, u64, u64, u32) => no(Errno::NotSupported);
    "path_link" (u32, u32, u32, u32, u32, u32) => no(Errno::NotSupported);
    "path_open" (u32, u32, u32, u32, u32, u64, u64, u32, u32) => no(Errno::NoEntry);
    "path_remove_directory" (u32, u32, u32) => no(Errno::NotSupported);
    "path_rename" (u32, u32, u32, u32, u32, u32) => no(Errno::NotSupported);
    "path_symlink" (u32, u32, u32, u32) => no(Errno::NotSupported);
    "path_unlink_file" (u32, u32, u32) => no(Errno::NotSupported);
    "sched_yield" () => Ok(());
    "sock_shutdown" (u32, u32) => no(Errno::NotSupported);
}
}

const fn signature(
    name: &'static str,
    parameters: &'static [Number],
    results: &'static [Number],
) -> Signature {
    Signature {
        name,
        parameters,
        results,
        versions: Versions::All,
    }
}

fn no(errno: Errno) -> Answer {
    Err(errno.into())
}

/// Notes the wish and comes back: the guest goes on behind it.
#[expect(clippy::unnecessary_wraps, reason = "an answer as the others")]
fn exit(call: &mut Call<'_>, code: u32) -> Answer {
    call.number(code);
    call.lint(LintKind::ExitReturns, format!("`proc_exit({code})`"));
    Ok(())
}

/// The most that Envoy hands out at once.
const RANDOM_LIMIT: u32 = 64 * 1024;
const RANDOM_OVER: u32 = RANDOM_LIMIT + 1;

/// Bytes of the host's generator, which starts the same in every host.
fn random(call: &mut Call<'_>, buffer: u32, size: u32) -> Answer {
    call.number(size);
    let limit = match size {
        RANDOM_LIMIT if call.mutated(Rule::RandomLimitIsOneLess) => RANDOM_LIMIT - 1,
        RANDOM_OVER if call.mutated(Rule::RandomLimitIsOneMore) => RANDOM_OVER,
        _ => RANDOM_LIMIT,
    };
    if size > limit {
        return no(Errno::Invalid);
    }
    if size == 0 {
        return Ok(());
    }
    let mut bytes = Vec::with_capacity(size as usize);
    while bytes.len() < size as usize {
        bytes.extend(call.world().random.next().to_le_bytes());
    }
    bytes.truncate(size as usize);
    call.write(buffer, &bytes)
}

/// What may be called while the module starts: all that a libc's start-up may reach, and by an
/// oversight of Envoy's not the rest.
pub(crate) fn allowed_at_start(name: &str) -> bool {
    !matches!(
        name,
        "fd_close" | "fd_read" | "fd_seek" | "path_open" | "proc_exit" | "sched_yield"
    )
}

/// What an allocator may call.
pub(crate) fn allowed_in_allocator(name: &str) -> bool {
    matches!(name, "clock_time_get" | "fd_write" | "poll_oneoff")
}
