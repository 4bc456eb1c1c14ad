//! Data and queues that all VMs of a vm_id share.

use super::{check, found, raw};
use crate::status::{HostError, Status};

/// A value and the number of its last change; `None` for a key that nobody set.
pub(crate) fn data(key: &[u8]) -> Result<Option<(Vec<u8>, u32)>, HostError> {
    let mut cas = 0;
    let (status, bytes) = raw::shared::data(key, &mut cas);
    found("proxy_get_shared_data", status, (bytes, cas))
}

/// Sets a value, if its number is still `cas`; 0 sets whatever is there, and a key that nobody set
/// takes any number.
pub(crate) fn set_data(key: &[u8], value: &[u8], cas: u32) -> Result<(), HostError> {
    check(
        "proxy_set_shared_data",
        raw::shared::set_data(key, value, cas),
    )
}

/// Makes a queue of this VM's vm_id, or finds it, and has its items announced to this root.
pub(crate) fn register_queue(name: &[u8]) -> Result<u32, HostError> {
    let mut token = 0;
    let status = raw::shared::register_queue(name, &mut token);
    check("proxy_register_shared_queue", status)?;
    Ok(token)
}

/// Finds a queue; `None` when nobody has registered it yet. An empty vm_id is one's own.
pub(crate) fn resolve_queue(vm_id: &[u8], name: &[u8]) -> Result<Option<u32>, HostError> {
    let mut token = 0;
    let status = raw::shared::resolve_queue(vm_id, name, &mut token);
    found("proxy_resolve_shared_queue", status, token)
}

/// Appends an item; `false` when there is no such queue any more.
pub(crate) fn enqueue(token: u32, item: &[u8]) -> Result<bool, HostError> {
    let status = raw::shared::enqueue(token, item);
    Ok(found("proxy_enqueue_shared_queue", status, ())?.is_some())
}

/// Takes the first item; `None` when there is none.
pub(crate) fn dequeue(token: u32) -> Result<Option<Vec<u8>>, HostError> {
    let (status, item) = raw::shared::dequeue(token);
    if Status::new(status) == Status::EMPTY {
        return Ok(None);
    }
    check("proxy_dequeue_shared_queue", status)?;
    Ok(Some(item))
}
