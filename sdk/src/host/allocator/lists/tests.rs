use std::alloc::System;
use std::cell::RefCell;
use std::collections::BTreeMap;

use super::*;

/// A heap that notes under which layout it has handed out what, and refuses to be told otherwise.
#[derive(Default)]
struct Ledger(RefCell<BTreeMap<usize, Layout>>);

impl Ledger {
    fn take_in(&self, pointer: *mut u8, layout: Layout) {
        let noted = self.0.borrow_mut().remove(&pointer.addr());
        assert_eq!(noted, Some(layout), "given back under another layout");
    }

    fn hand_out(&self, pointer: *mut u8, layout: Layout) -> *mut u8 {
        assert!(
            layout.size() > 0,
            "nobody may ask a heap for an empty block"
        );
        let noted = self.0.borrow_mut().insert(pointer.addr(), layout);
        assert_eq!(noted, None, "handed out twice");
        pointer
    }
}

// SAFETY: `System` does the work.
unsafe impl GlobalAlloc for Ledger {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        self.hand_out(unsafe { System.alloc(layout) }, layout)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.take_in(pointer, layout);
        // SAFETY: the ledger knows the block under this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.take_in(pointer, layout);
        // SAFETY: as above; the caller promises that the size is one.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        let grown = Layout::from_size_align(size, layout.align()).unwrap();
        self.hand_out(moved, grown)
    }
}

/// A block in the owner's hands, every byte of which is `mark`.
struct Owned {
    pointer: *mut u8,
    layout: Layout,
    mark: u8,
}

impl Owned {
    fn fill(&mut self, mark: u8) {
        self.mark = mark;
        // SAFETY: the block is as long as its layout says, and this is its only owner.
        unsafe { self.pointer.write_bytes(mark, self.layout.size()) }
    }

    /// Whether nobody has written into the first `size` bytes.
    fn check(&self, size: usize) {
        assert!(self.pointer.addr().is_multiple_of(self.layout.align()));
        // SAFETY: as above, and all of it was written by `fill`.
        let bytes = unsafe { std::slice::from_raw_parts(self.pointer, size) };
        assert!(
            bytes.iter().all(|byte| *byte == self.mark),
            "{:?}",
            self.layout
        );
    }
}

/// Plays allocations at random, as many of them alive as `alive` says, and answers how many blocks the
/// heap has out when everything is given back.
fn play(seed: u64, alive: usize, turns: usize) -> usize {
    let lists = Lists::new(Ledger::default());
    let mut state = seed;
    let mut below = |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % limit
    };
    let mut owned: Vec<Owned> = Vec::new();
    for turn in 0..turns {
        let mark = u8::try_from(turn % 251).unwrap();
        // Mostly small, around the limits of lists, and some that no list takes.
        let size = match below(8) {
            0..4 => 1 + below(64),
            4 => STEP * (1 + below(LISTS + 2)),
            5 => 1 + STEP * below(LISTS + 2),
            _ => 1 + below(4_000),
        };
        match below(3) {
            0 if owned.len() < alive => {
                let layout = Layout::from_size_align(size, 1 << below(6)).unwrap();
                // SAFETY: no block is empty.
                let pointer = unsafe { lists.alloc(layout) };
                assert!(!pointer.is_null());
                let mut block = Owned {
                    pointer,
                    layout,
                    mark,
                };
                block.fill(mark);
                owned.push(block);
            }
            1 if !owned.is_empty() => {
                let at = below(owned.len());
                let block = &mut owned[at];
                let kept = size.min(block.layout.size());
                // SAFETY: the block came from here under this layout.
                block.pointer = unsafe { lists.realloc(block.pointer, block.layout, size) };
                block.layout = Layout::from_size_align(size, block.layout.align()).unwrap();
                block.check(kept);
                block.fill(mark);
            }
            _ if !owned.is_empty() => {
                let block = owned.swap_remove(below(owned.len()));
                block.check(block.layout.size());
                // SAFETY: as above.
                unsafe { lists.dealloc(block.pointer, block.layout) };
            }
            _ => {}
        }
    }
    for block in owned {
        block.check(block.layout.size());
        // SAFETY: as above.
        unsafe { lists.dealloc(block.pointer, block.layout) };
    }
    let kept = lists.heap.0.borrow().len();
    // So that a checker of leaks has nothing to say.
    for (list, size) in lists.lists.iter().zip((STEP..).step_by(STEP)) {
        let mut pointer = list.first.get();
        while !pointer.is_null() {
            // SAFETY: each block in a list begins with the address of the next.
            let next = unsafe { pointer.cast::<*mut u8>().read() };
            let block = Layout::from_size_align(size, STEP / 2).unwrap();
            // SAFETY: the ledger checks it.
            unsafe { lists.heap.dealloc(pointer, block) };
            pointer = next;
        }
    }
    assert_eq!(lists.heap.0.borrow().len(), 0, "lost blocks");
    kept
}

#[test]
fn nobody_writes_into_the_block_of_another_and_none_is_lost() {
    for seed in 0..40 {
        play(seed, 200, 4_000);
    }
}

#[test]
fn lists_keep_no_more_than_their_share() {
    let most = LISTS * usize::try_from(KEPT).unwrap();
    assert!(play(7, 20_000, 200_000) <= most);
}

#[test]
fn a_block_that_was_given_back_is_handed_out_again() {
    let lists = Lists::new(Ledger::default());
    let (small, large) = (
        Layout::from_size_align(17, 1).unwrap(),
        Layout::from_size_align(32, 8).unwrap(),
    );
    // SAFETY: no block is empty, and each is given back once.
    unsafe {
        let first = lists.alloc(small);
        lists.dealloc(first, small);
        assert_eq!(lists.alloc(large), first);
        lists.dealloc(first, large);
        lists.give_back(lists.alloc(small), small);
    }
    assert_eq!(lists.heap.0.borrow().len(), 0);
}
