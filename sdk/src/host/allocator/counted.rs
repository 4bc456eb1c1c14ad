//! Counts the allocations of a thread, for tests of what a stream takes.
#![expect(
    unsafe_code,
    reason = "a global allocator is an unsafe trait; each method passes its arguments on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counted;

fn count() {
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: all is done by `System`, with the arguments of the caller.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as of the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as of the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as of the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// How often `work` allocates, or makes an allocation larger.
pub(crate) fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

#[test]
fn allocations_are_counted() {
    assert_eq!(allocations(|| ()), 0);
    let mut bytes: Vec<u8> = Vec::new();
    assert_eq!(allocations(|| bytes.reserve_exact(1)), 1);
    assert_eq!(allocations(|| bytes.reserve_exact(1000)), 1);
    assert_eq!(allocations(|| drop(bytes)), 0);
}
