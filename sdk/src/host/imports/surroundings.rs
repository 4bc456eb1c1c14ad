#![expect(
    unsafe_code,
    reason = "imports are foreign functions, and what they hand over is owned through raw pointers"
)]

use super::take;

/// How large an environment may be. A host that says more is not believed: allocating would end the VM.
const ENVIRONMENT_BYTES: usize = 1 << 24;

/// `errno::overflow` of WASI.
const OVERFLOW: u32 = 61;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_current_time_nanoseconds(time: *mut u64) -> u32;
    fn proxy_call_foreign_function(
        name: *const u8,
        name_size: usize,
        argument: *const u8,
        argument_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> u32;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn environ_sizes_get(count: *mut usize, size: *mut usize) -> u32;
    fn environ_get(pointers: *mut *mut u8, bytes: *mut u8) -> u32;
    fn random_get(target: *mut u8, size: usize) -> u32;
}

pub(in crate::host) fn time(nanoseconds: &mut u64) -> u32 {
    // SAFETY: the host writes eight bytes to an exclusively borrowed `u64`.
    unsafe { proxy_get_current_time_nanoseconds(nanoseconds) }
}

pub(in crate::host) fn environment() -> (u32, Vec<u8>) {
    let (mut count, mut size) = (0, 0);
    // SAFETY: the host writes a number each to two locals.
    let status = unsafe { environ_sizes_get(&raw mut count, &raw mut size) };
    if status != 0 {
        return (status, Vec::new());
    }
    // Each variable ends with a NUL.
    if count > size || size > ENVIRONMENT_BYTES {
        return (OVERFLOW, Vec::new());
    }
    let mut pointers = vec![std::ptr::null_mut(); count];
    let mut bytes = vec![0; size];
    // SAFETY: the host writes as many pointers and bytes as it said; the environment of a VM never
    // changes. The pointers are into `bytes` and are not used.
    let status = unsafe { environ_get(pointers.as_mut_ptr(), bytes.as_mut_ptr()) };
    (status, bytes)
}

pub(in crate::host) fn random(target: &mut [u8]) -> u32 {
    // SAFETY: the host writes as many bytes as the exclusively borrowed slice has.
    unsafe { random_get(target.as_mut_ptr(), target.len()) }
}

pub(in crate::host) fn foreign_function(name: &[u8], argument: &[u8]) -> (u32, Vec<u8>) {
    // SAFETY: the host reads both slices while the call runs, and writes one pointer and one size to
    // locals of `take`.
    take(|data, size| unsafe {
        proxy_call_foreign_function(
            name.as_ptr(),
            name.len(),
            argument.as_ptr(),
            argument.len(),
            data,
            size,
        )
    })
}
