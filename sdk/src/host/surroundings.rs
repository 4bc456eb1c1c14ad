//! What a VM has around it: time, its environment, randomness, and what the host does by name.

use super::{check, raw};
use crate::status::HostError;

/// How many random bytes the host hands out at a time.
const RANDOM_BYTES: usize = 65_536;

/// Nanoseconds since 1970, by the clock of the system.
pub(crate) fn time() -> Result<u64, HostError> {
    let mut nanoseconds = 0;
    let status = raw::surroundings::time(&mut nanoseconds);
    check("proxy_get_current_time_nanoseconds", status)?;
    Ok(nanoseconds)
}

/// The VM's environment: `NAME=value`, each closed by a NUL. What fails answers with a number of
/// WASI's.
pub(crate) fn environment() -> Result<Vec<u8>, HostError> {
    let (status, bytes) = raw::surroundings::environment();
    check("environ_get", status)?;
    Ok(bytes)
}

/// Fills `target` with randomness.
pub(crate) fn random(target: &mut [u8]) -> Result<(), HostError> {
    target
        .chunks_mut(RANDOM_BYTES)
        .try_for_each(|chunk| check("random_get", raw::surroundings::random(chunk)))
}

/// Calls a function of the host by its name.
pub(crate) fn foreign_function(name: &str, argument: &[u8]) -> Result<Vec<u8>, HostError> {
    let (status, result) = raw::surroundings::foreign_function(name.as_bytes(), argument);
    check("proxy_call_foreign_function", status)?;
    Ok(result)
}
