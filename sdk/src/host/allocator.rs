//! The allocator of modules: `talc`, which extends one heap and is 5 KB smaller than the allocator of
//! `std`, behind lists of small blocks that were given back.

#[cfg(test)]
mod counted;
mod lists;

#[cfg(test)]
pub(crate) use self::counted::allocations;

#[cfg(all(
    feature = "allocator",
    target_arch = "wasm32",
    not(target_feature = "atomics")
))]
#[global_allocator]
static ALLOCATOR: lists::Lists<talc::wasm::WasmDynamicTalc> =
    lists::Lists::new(talc::wasm::new_wasm_dynamic_allocator());
