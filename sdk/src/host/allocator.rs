//! The allocator of modules: `talc`, which extends one heap and is 5 KB smaller than the allocator of
//! `std`, behind lists of small blocks that were given back. A stream makes a handful of small
//! allocations and gives all of them back, so that the next stream finds each in its list.
#![expect(unsafe_code, reason = "an allocator hands out memory by raw pointers")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr::{self, null_mut};

use talc::wasm::{WasmDynamicTalc, new_wasm_dynamic_allocator};

/// Blocks are multiples of this, and aligned to half of it.
const STEP: usize = 16;

/// How many sizes have a list.
const LISTS: usize = 64;

/// How many blocks a list keeps; the rest goes back to the heap, where it becomes one with its
/// neighbours. All lists together keep a megabyte.
const KEPT: u32 = 32;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator {
    heap: new_wasm_dynamic_allocator(),
    lists: [const { List::new() }; LISTS],
};

struct Allocator {
    heap: WasmDynamicTalc,
    lists: [List; LISTS],
}

/// Blocks of one size, each of which begins with the address of the next.
struct List {
    first: Cell<*mut u8>,
    length: Cell<u32>,
}

// SAFETY: a module without atomics has one thread (see the condition at the `mod` line).
unsafe impl Sync for Allocator {}

impl List {
    const fn new() -> Self {
        Self {
            first: Cell::new(null_mut()),
            length: Cell::new(0),
        }
    }
}

impl Allocator {
    /// The list of blocks for a layout, and what is asked of the heap where it is empty.
    #[inline]
    fn list(&self, layout: Layout) -> Option<(&List, Layout)> {
        if layout.align() > STEP / 2 {
            return None;
        }
        let index = layout.size().wrapping_sub(1) / STEP;
        let list = self.lists.get(index)?;
        let block = Layout::from_size_align((index + 1) * STEP, STEP / 2);
        Some((list, block.ok()?))
    }
}

// SAFETY: each block comes from the heap and is in one list or in one owner's hands. Layouts that find
// the same list are served by blocks of the same size and alignment, which are not less than any of
// theirs; so a block may be given back, and handed out again, under any of them.
unsafe impl GlobalAlloc for Allocator {
    // In one place: put in wherever something is allocated, it would be 12 KB.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((list, block)) = self.list(layout) else {
            // SAFETY: as the caller promises.
            return unsafe { self.heap.alloc(layout) };
        };
        let first = list.first.get();
        if first.is_null() {
            // SAFETY: a block is not empty.
            return unsafe { self.heap.alloc(block) };
        }
        // SAFETY: a block in a list has room for an address, is aligned for it, and begins with it.
        list.first.set(unsafe { first.cast::<*mut u8>().read() });
        list.length.set(list.length.get() - 1);
        first
    }

    #[inline(never)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some((list, block)) = self.list(layout) else {
            // SAFETY: as the caller promises; what has no list came from the heap as it was asked for.
            unsafe { self.heap.dealloc(pointer, layout) };
            return;
        };
        if list.length.get() == KEPT {
            // SAFETY: what has a list came from the heap as its block.
            unsafe { self.heap.dealloc(pointer, block) };
            return;
        }
        // SAFETY: the caller is done with the block, which has room for an address and is aligned for it.
        unsafe { pointer.cast::<*mut u8>().write(list.first.get()) };
        list.first.set(pointer);
        list.length.set(list.length.get() + 1);
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(grown) = Layout::from_size_align(size, layout.align()) else {
            return null_mut();
        };
        match (self.list(layout), self.list(grown)) {
            // SAFETY: as the caller promises; both are the heap's own.
            (None, None) => unsafe { self.heap.realloc(pointer, layout, size) },
            (Some((before, _)), Some((after, _))) if ptr::eq(before, after) => pointer,
            _ => {
                // SAFETY: `size` is not zero, as the caller promises.
                let moved = unsafe { self.alloc(grown) };
                if !moved.is_null() {
                    // SAFETY: both are as long as that, and not the same; the caller is done with the old one.
                    unsafe {
                        ptr::copy_nonoverlapping(pointer, moved, layout.size().min(size));
                        self.dealloc(pointer, layout);
                    }
                }
                moved
            }
        }
    }
}
