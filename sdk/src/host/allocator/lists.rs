//! Lists of small blocks that were given back, in front of a heap. A stream makes a handful of small
//! allocations and gives all of them back, so that the next stream finds each in its list.
#![expect(unsafe_code, reason = "an allocator hands out memory by raw pointers")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr::{self, null_mut};

/// Blocks are multiples of this, and aligned to half of it.
const STEP: usize = 16;

/// How many sizes have a list.
const LISTS: usize = 64;

/// How many blocks a list keeps; the rest goes back to the heap, where it becomes one with its
/// neighbours. All lists together keep a megabyte.
const KEPT: u32 = 32;

/// An allocator for one thread.
pub(super) struct Lists<H> {
    heap: H,
    lists: [List; LISTS],
}

/// Blocks of one size, each of which begins with the address of the next.
struct List {
    first: Cell<*mut u8>,
    length: Cell<u32>,
}

// SAFETY: a module without atomics has one thread.
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
unsafe impl<H> Sync for Lists<H> {}

impl List {
    const fn new() -> Self {
        Self {
            first: Cell::new(null_mut()),
            length: Cell::new(0),
        }
    }
}

impl<H> Lists<H> {
    pub(super) const fn new(heap: H) -> Self {
        Self {
            heap,
            lists: [const { List::new() }; LISTS],
        }
    }

    /// The list of blocks for a layout.
    #[inline]
    fn list(&self, layout: Layout) -> Option<&List> {
        if layout.align() > STEP / 2 {
            return None;
        }
        self.lists.get(layout.size().wrapping_sub(1) / STEP)
    }
}

/// What is asked of the heap for a layout that has a list.
fn block(layout: Layout) -> Layout {
    // Neither fails: such a layout is small.
    let size = layout.size().next_multiple_of(STEP);
    Layout::from_size_align(size, STEP / 2).unwrap_or(layout)
}

impl<H: GlobalAlloc> Lists<H> {
    /// What a list does not have.
    ///
    /// # Safety
    ///
    /// As for [`GlobalAlloc::alloc`].
    #[cold]
    #[inline(never)]
    unsafe fn ask(&self, layout: Layout) -> *mut u8 {
        let asked = self.list(layout).map_or(layout, |_| block(layout));
        // SAFETY: as the caller promises; a block is not empty.
        unsafe { self.heap.alloc(asked) }
    }

    /// Gives the heap what no list takes.
    ///
    /// # Safety
    ///
    /// As for [`GlobalAlloc::dealloc`].
    #[cold]
    #[inline(never)]
    unsafe fn give_back(&self, pointer: *mut u8, layout: Layout) {
        let asked = self.list(layout).map_or(layout, |_| block(layout));
        // SAFETY: as the caller promises; it came from the heap under this layout, see `ask`.
        unsafe { self.heap.dealloc(pointer, asked) };
    }
}

// SAFETY: each block comes from the heap and is in one list or in one owner's hands. Layouts that find
// the same list are served by blocks of the same size and alignment, which are not less than any of
// theirs; so a block may be given back, and handed out again, under any of them.
unsafe impl<H: GlobalAlloc> GlobalAlloc for Lists<H> {
    // In one place: put in wherever something is allocated, it would be 12 KB.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(list) = self.list(layout) {
            let first = list.first.get();
            if !first.is_null() {
                // SAFETY: a block in a list has room for an address, is aligned for it, and begins with it.
                list.first.set(unsafe { first.cast::<*mut u8>().read() });
                list.length.set(list.length.get() - 1);
                return first;
            }
        }
        // SAFETY: as the caller promises.
        unsafe { self.ask(layout) }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(list) = self.list(layout) {
            let length = list.length.get();
            if length < KEPT {
                list.length.set(length + 1);
                // SAFETY: the caller is done with the block, which has room for an address and is aligned
                // for it.
                unsafe { pointer.cast::<*mut u8>().write(list.first.get()) };
                list.first.set(pointer);
                return;
            }
        }
        // SAFETY: as the caller promises.
        unsafe { self.give_back(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(grown) = Layout::from_size_align(size, layout.align()) else {
            return null_mut();
        };
        match (self.list(layout), self.list(grown)) {
            // SAFETY: as the caller promises; both are the heap's own.
            (None, None) => unsafe { self.heap.realloc(pointer, layout, size) },
            (Some(before), Some(after)) if ptr::eq(before, after) => pointer,
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

#[cfg(test)]
// Said, since fuzzing takes this file by its path too.
#[path = "lists/tests.rs"]
mod tests;
