use super::{lower_half, number, play, status, taken};

pub(in crate::host) fn data(key: &[u8], cas: &mut u32) -> (u32, Vec<u8>) {
    let (status, bytes, number) = play("proxy_get_shared_data", key);
    *cas = lower_half(number);
    (status, if status == 0 { bytes } else { Vec::new() })
}

pub(in crate::host) fn set_data(_key: &[u8], value: &[u8], _cas: u32) -> u32 {
    status("proxy_set_shared_data", value)
}

pub(in crate::host) fn register_queue(name: &[u8], token: &mut u32) -> u32 {
    number("proxy_register_shared_queue", name, token)
}

pub(in crate::host) fn resolve_queue(_vm_id: &[u8], name: &[u8], token: &mut u32) -> u32 {
    number("proxy_resolve_shared_queue", name, token)
}

pub(in crate::host) fn enqueue(_token: u32, item: &[u8]) -> u32 {
    status("proxy_enqueue_shared_queue", item)
}

pub(in crate::host) fn dequeue(_token: u32) -> (u32, Vec<u8>) {
    taken("proxy_dequeue_shared_queue", b"")
}
