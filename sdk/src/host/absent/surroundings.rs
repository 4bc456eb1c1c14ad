use super::{play, taken};

pub(in crate::host) fn time(nanoseconds: &mut u64) -> u32 {
    let (status, _, number) = play("proxy_get_current_time_nanoseconds", b"");
    *nanoseconds = number;
    status
}

pub(in crate::host) fn environment() -> (u32, Vec<u8>) {
    taken("environ_get", b"")
}

pub(in crate::host) fn random(target: &mut [u8]) -> u32 {
    let (status, bytes, _) = play("random_get", b"");
    for (place, byte) in target.iter_mut().zip(bytes.iter().cycle()) {
        *place = *byte;
    }
    status
}

pub(in crate::host) fn foreign_function(_name: &[u8], argument: &[u8]) -> (u32, Vec<u8>) {
    taken("proxy_call_foreign_function", argument)
}
