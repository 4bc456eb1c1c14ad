//! The part of the binary format that Envoy reads by itself, before V8 sees a module.

/// Whether Envoy finds its way through a module: every section, and every name of a function, ends
/// within the bytes. What V8 would refuse is not looked at.
pub(super) fn are_readable(bytes: &[u8]) -> bool {
    const HEADER: usize = 8;
    const CUSTOM: u8 = 0;
    let Some(bytes) = bytes.get(HEADER..) else {
        return bytes.len() == HEADER;
    };
    let mut reader = Reader(bytes);
    while !reader.0.is_empty() {
        let Some((id, content)) = reader.section() else {
            return false;
        };
        let mut section = Reader(content);
        if id == CUSTOM && section.bytes() == Some(b"name") && !names_are_readable(section) {
            return false;
        }
    }
    true
}

/// Whether a valid module defines a memory that threads share; wasmtime tells the types of imports and
/// exports only.
pub(super) fn share_memory(bytes: &[u8]) -> bool {
    const HEADER: usize = 8;
    const MEMORIES: u8 = 5;
    let mut reader = Reader(bytes.get(HEADER..).unwrap_or_default());
    while let Some((id, content)) = reader.section() {
        if id == MEMORIES {
            return any_is_shared(Reader(content)).unwrap_or(false);
        }
    }
    false
}

/// A memory is its flags, how many pages it has at first, and at the most if the flags say so.
fn any_is_shared(mut memories: Reader<'_>) -> Option<bool> {
    const MAXIMUM: u32 = 1;
    const SHARED: u32 = 2;
    for _ in 0..memories.number()? {
        let flags = memories.number()?;
        if flags & SHARED != 0 {
            return Some(true);
        }
        memories.skip_number()?;
        if flags & MAXIMUM != 0 {
            memories.skip_number()?;
        }
    }
    Some(false)
}

/// The function names of a name section; what else it holds is skipped.
fn names_are_readable(mut names: Reader<'_>) -> bool {
    const FUNCTIONS: u8 = 1;
    while !names.0.is_empty() {
        let Some((id, content)) = names.section() else {
            return false;
        };
        if id != FUNCTIONS {
            continue;
        }
        let mut functions = Reader(content);
        let Some(count) = functions.number() else {
            return false;
        };
        if (0..count).any(|_| functions.number().and_then(|_| functions.bytes()).is_none()) {
            return false;
        }
    }
    true
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn section(&mut self) -> Option<(u8, &'a [u8])> {
        let (id, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((*id, self.bytes()?))
    }

    /// Bytes after their count.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = self.number()? as usize;
        let (bytes, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Steps over a number in LEB128 of any size.
    fn skip_number(&mut self) -> Option<()> {
        let last = self.0.iter().position(|byte| byte & 0x80 == 0)?;
        self.0 = &self.0[last + 1..];
        Some(())
    }

    /// An unsigned number in LEB128.
    fn number(&mut self) -> Option<u32> {
        let mut number = 0;
        for shift in (0..32).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn sections_end_within_the_module() {
        for (rest, readable) in [
            (&b""[..], true),
            (b"\x01\x01\x00", true),
            (b"\x63garbage", false),
            (b"\x01\x02\x00", false),
            (b"\x01\xff\xff\xff\xff\xff", false),
            (b"\x01", false),
        ] {
            assert_eq!(are_readable(&[HEADER, rest].concat()), readable, "{rest:?}");
        }
        assert!(!are_readable(&HEADER[..6]));
    }

    #[test]
    fn a_shared_memory_is_found_behind_others() {
        for (memories, shared) in [
            ("(memory 1)", false),
            (
                "(memory 300 70000) (memory i64 5000000000) (memory i64 1 2)",
                false,
            ),
            ("(memory 1 1 shared)", true),
            (
                "(memory 300) (memory i64 1 5000000000) (memory 1 2 shared)",
                true,
            ),
            ("", false),
        ] {
            let module = wat::parse_str(format!("(module (func) {memories})")).expect("a module");
            assert_eq!(share_memory(&module), shared, "{memories}");
        }
    }

    #[test]
    fn names_of_functions_end_within_their_section() {
        let named = |content: &[u8]| {
            let mut section = vec![0, 5 + u8::try_from(content.len()).expect("short"), 4];
            section.extend(b"name");
            section.extend(content);
            are_readable(&[HEADER, &section].concat())
        };
        assert!(named(b""));
        assert!(named(b"\x01\x04\x01\x00\x01f"));
        assert!(named(b"\x02\x01\xff"), "only functions are looked at");
        assert!(!named(b"\x01\x7f\x00"));
        assert!(!named(b"\x01\x03\x02\xff\xff"));
    }
}
