//! `proxy_get_shared_data`, `proxy_set_shared_data`.

use std::collections::HashMap;

use crate::abi::Status;
use crate::call::{Answer, Call};
use crate::mutation::Rule;
use crate::pairs::Pair;
use crate::vm::VmState;
use crate::world::World;

/// Key-value data of all VMs with one `vm_id`, across threads and plugins.
#[derive(Default)]
pub(crate) struct SharedData {
    values: HashMap<String, HashMap<Vec<u8>, Value>>,
    /// One count for everything, as Envoy has one for the process.
    last_cas: u32,
}

#[derive(Clone)]
struct Value {
    bytes: Vec<u8>,
    cas: u32,
}

impl SharedData {
    /// The keys of all VM ids.
    pub(crate) fn len(&self) -> usize {
        self.values.values().map(HashMap::len).sum()
    }

    fn get(&self, vm_id: &str, key: &[u8]) -> Option<&Value> {
        self.values.get(vm_id)?.get(key)
    }

    /// Sets a value. A `cas` of 0 does not care about what is there.
    fn set(&mut self, vm_id: &str, key: Vec<u8>, bytes: Vec<u8>, cas: u32) -> Result<(), Status> {
        let values = self.values.entry(vm_id.to_owned()).or_default();
        if cas != 0 && values.get(&key).is_some_and(|value| value.cas != cas) {
            return Err(Status::CasMismatch);
        }
        self.last_cas += 1;
        values.insert(
            key,
            Value {
                bytes,
                cas: self.last_cas,
            },
        );
        Ok(())
    }

    /// Gives a value another number.
    fn number(&mut self, vm_id: &str, key: &[u8], cas: u32) {
        let values = self.values.get_mut(vm_id);
        if let Some(value) = values.and_then(|values| values.get_mut(key)) {
            value.cas = cas;
        }
    }

    /// Drops the data of a `vm_id`, whose last VM is gone.
    pub(crate) fn forget(&mut self, vm_id: &str) {
        self.values.remove(vm_id);
    }
}

pub(crate) fn get(
    call: &mut Call<'_>,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
    cas: u32,
) -> Answer {
    let key = call.bytes(key, key_size)?;
    let state = call.state();
    let found = state
        .world
        .shared_data
        .get(vm_id(state), &key)
        .cloned()
        .ok_or(Status::NotFound)?;
    call.give(&found.bytes, value, value_size)?;
    call.write_u32(cas, found.cas)
}

pub(crate) fn set(
    call: &mut Call<'_>,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
    cas: u32,
) -> Answer {
    let key = call.bytes(key, key_size)?;
    let value = call.bytes(value, value_size)?;
    call.number(cas);
    let state = call.state();
    let vm_id = vm_id(state).to_owned();
    if state.world.mutator.is_some() {
        return set_otherwise(&mut state.world, &vm_id, (key, value), cas);
    }
    Ok(state.world.shared_data.set(&vm_id, key, value, cas)?)
}

/// As [`set`], where the rules may be others.
fn set_otherwise(world: &mut World, vm_id: &str, (key, value): Pair, cas: u32) -> Answer {
    let known = world.shared_data.get(vm_id, &key).map(|value| value.cas);
    let cas = match known {
        // Nothing has this number.
        Some(_) if cas == 0 && world.mutated(Rule::Cas0IsNoWildcard) => u32::MAX,
        Some(_) if cas != 0 && world.mutated(Rule::CasIsNotLookedAt) => 0,
        None if cas != 0 && world.mutated(Rule::NewKeysHaveNoCas) => {
            return Err(Status::CasMismatch.into());
        }
        _ => cas,
    };
    if value.is_empty() && known.is_some() && world.mutated(Rule::EmptyValuesAreNotKept) {
        return Ok(());
    }
    world.shared_data.set(vm_id, key.clone(), value, cas)?;
    if let Some(known) = known
        && world.mutated(Rule::CasStays)
    {
        world.shared_data.number(vm_id, &key, known);
    }
    if world.mutated(Rule::CasSkips) {
        world.shared_data.last_cas += 1;
    }
    Ok(())
}

/// All plugins of a VM have the same.
fn vm_id(state: &VmState) -> &str {
    &state.world.plugins[state.first_plugin].vm_id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_takes_any_cas_and_an_old_one_only_its_own_or_0() {
        let mut data = SharedData::default();
        let mut set = |cas| data.set("vm", b"k".to_vec(), Vec::new(), cas);
        assert_eq!(set(77), Ok(()));
        assert_eq!(set(77), Err(Status::CasMismatch));
        assert_eq!(set(1), Ok(()));
        assert_eq!(set(0), Ok(()));
        assert_eq!(data.get("vm", b"k").map(|value| value.cas), Some(3));
        assert!(data.get("other", b"k").is_none());
    }
}
