//! The allocator of modules. A stream makes a handful of small allocations, and the one of `std` spends
//! more on them than on what they are for.

use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};

/// It extends one heap, so that bodies of ever new sizes do not leave holes behind.
#[global_allocator]
static ALLOCATOR: WasmDynamicTalc = new_wasm_dynamic_allocator();
