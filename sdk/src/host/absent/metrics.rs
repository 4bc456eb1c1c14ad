use super::{number, play, status};

pub(in crate::host) fn define(_kind: u32, name: &[u8], id: &mut u32) -> u32 {
    number("proxy_define_metric", name, id)
}

pub(in crate::host) fn increment(_id: u32, offset: i64) -> u32 {
    status("proxy_increment_metric", &offset.to_le_bytes())
}

pub(in crate::host) fn record(_id: u32, value: u64) -> u32 {
    status("proxy_record_metric", &value.to_le_bytes())
}

pub(in crate::host) fn value(_id: u32, value: &mut u64) -> u32 {
    let (status, _, number) = play("proxy_get_metric", b"");
    *value = number;
    status
}
