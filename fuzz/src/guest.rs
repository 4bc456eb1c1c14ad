//! What the SDK does with bytes of the host, and with its memory.
#![expect(unsafe_code, reason = "an allocator hands out memory by raw pointers")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::collections::BTreeMap;

use attache::ContentType;

#[path = "../../sdk/src/host/allocator/lists.rs"]
mod lists;
#[path = "../../sdk/src/pairs.rs"]
mod serialized;

use lists::Lists;

/// A map as the host hands it over, and values of headers: what is read is written as it was.
pub fn decoding(data: &[u8]) {
    if let Some(ranges) = serialized::ranges(data) {
        let part = |range: std::ops::Range<usize>| data.get(range).unwrap_or_default();
        let pairs: Vec<(&[u8], &[u8])> = ranges
            .into_iter()
            .map(|pair| (part(pair.name), part(pair.value)))
            .collect();
        let again = serialized::serialize(&pairs).unwrap_or_default();
        let read = serialized::ranges(&again).map(|ranges| ranges.len());
        assert_eq!(read, Some(pairs.len()));
        assert!(data.is_empty() || again.len() == data.len());
    }
    if let Some(kind) = ContentType::parse(data) {
        let _ = (kind.is_json(), kind.is_grpc(), kind.suffix());
        let length = |(name, value): (&[u8], attache::Parameter<'_>)| {
            let found = kind.parameters().any(|(other, _)| other == name);
            assert!(found);
            value.bytes().count()
        };
        assert!(kind.parameters().map(length).sum::<usize>() <= data.len());
    }
}

/// A heap that knows what it has handed out, and takes the rest back at its end.
#[derive(Default)]
struct Noting(RefCell<BTreeMap<usize, Layout>>);

// SAFETY: the system's allocator does all of it.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let pointer = unsafe { System.alloc(layout) };
        self.0.borrow_mut().insert(pointer as usize, layout);
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let noted = self.0.borrow_mut().remove(&(pointer as usize));
        assert_eq!(noted, Some(layout), "given back under another layout");
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) };
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        for (pointer, layout) in std::mem::take(&mut *self.0.borrow_mut()) {
            // SAFETY: nobody has it any more but a list, which nobody asks again.
            unsafe { System.dealloc(pointer as *mut u8, layout) };
        }
    }
}

/// A block in the hands of its owner, full of one byte.
struct Owned {
    pointer: *mut u8,
    layout: Layout,
    byte: u8,
}

impl Owned {
    fn new(pointer: *mut u8, layout: Layout, byte: u8) -> Self {
        assert!(!pointer.is_null() && (pointer as usize).is_multiple_of(layout.align()));
        // SAFETY: the block is as long as its layout says.
        unsafe { pointer.write_bytes(byte, layout.size()) };
        Self {
            pointer,
            layout,
            byte,
        }
    }

    /// Whether the first `count` bytes are still its own.
    fn is_whole(&self, pointer: *const u8, count: usize) -> bool {
        // SAFETY: the block has as many, all of them written.
        let bytes = unsafe { std::slice::from_raw_parts(pointer, count) };
        bytes.iter().all(|byte| *byte == self.byte)
    }
}

/// Three bytes a step: what is done, and with how much, or with which.
pub fn allocator(data: &[u8]) {
    let lists = Lists::new(Noting::default());
    let mut owned: Vec<Owned> = Vec::new();
    for (number, step) in data.chunks_exact(3).enumerate() {
        let size = 1 + usize::from(u16::from_le_bytes([step[1], step[2]])) % 2_048;
        let align = 1 << (step[0] >> 4 & 3);
        let byte = number as u8;
        if step[0] % 3 == 0 || owned.is_empty() {
            let Ok(layout) = Layout::from_size_align(size, align) else {
                continue;
            };
            // SAFETY: the size is not zero.
            let pointer = unsafe { lists.alloc(layout) };
            owned.push(Owned::new(pointer, layout, byte));
            continue;
        }
        let block = owned.swap_remove(size % owned.len());
        assert!(block.is_whole(block.pointer, block.layout.size()));
        if step[0] % 3 == 1 {
            // SAFETY: it came from here, under this layout, and nobody else has it.
            unsafe { lists.dealloc(block.pointer, block.layout) };
            continue;
        }
        let Ok(layout) = Layout::from_size_align(size, block.layout.align()) else {
            continue;
        };
        // SAFETY: the same, and the size is not zero.
        let pointer = unsafe { lists.realloc(block.pointer, block.layout, size) };
        assert!(block.is_whole(pointer, size.min(block.layout.size())));
        owned.push(Owned::new(pointer, layout, byte));
    }
    for block in owned {
        assert!(block.is_whole(block.pointer, block.layout.size()));
        // SAFETY: as above.
        unsafe { lists.dealloc(block.pointer, block.layout) };
    }
}
