//! What compilers expect of their environment: `pthread_equal` and
//! `emscripten_notify_memory_growth`. No capability restricts them.

use wasmtime::{Caller, Linker};

use crate::call::Call;
use crate::imports::{Number, Signature, Versions};
use crate::timeline::Argument;
use crate::vm::VmState;

const I32: Number = Number::I32;

/// Both, for every version of the ABI.
pub(crate) static FUNCTIONS: &[Signature] = &[
    Signature {
        name: "pthread_equal",
        parameters: &[I32, I32],
        results: &[I32],
        versions: Versions::All,
    },
    Signature {
        name: "emscripten_notify_memory_growth",
        parameters: &[I32],
        results: &[],
        versions: Versions::All,
    },
];

pub(crate) fn define(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "pthread_equal",
        |caller: Caller<'_, VmState>, left: u32, right: u32| {
            let equal = u32::from(left == right);
            Call::run(caller, "pthread_equal", |call| {
                call.number(left);
                call.number(right);
                call.record.returned = Some(Argument::Number(equal.into()));
                Ok(())
            })
            .map(|_| equal)
        },
    )?;
    linker.func_wrap(
        "env",
        "emscripten_notify_memory_growth",
        |caller: Caller<'_, VmState>, memory: u32| {
            Call::run(caller, "emscripten_notify_memory_growth", |call| {
                call.number(memory);
                Ok(())
            })
            .map(drop)
        },
    )?;
    Ok(())
}
