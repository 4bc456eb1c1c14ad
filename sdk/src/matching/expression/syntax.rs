/// A part of an expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// One byte of these.
    Set(Box<Set>),
    /// One after the other.
    Sequence(Vec<Self>),
    /// Any of these.
    Any(Vec<Self>),
    /// Again and again; without a highest number, without end.
    Repeat(Box<Self>, u32, Option<u32>),
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Set([u64; 4]);

const DEEP: &str = "the expression is nested too deeply";
const ENDS: &str = "the expression ends too early";
const UNKNOWN: &str = "the expression has something that is not offered: look-around, \
                       back references, flags, named classes, or anchors inside";
/// Groups in groups, which the parser follows on the stack.
const DEPTH: usize = 20;

impl Set {
    pub(super) fn byte(byte: u8) -> Self {
        let mut set = Self::default();
        set.add(byte, byte);
        set
    }

    fn add(&mut self, first: u8, last: u8) {
        for byte in first..=last {
            if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
                *word |= 1 << (byte & 63);
            }
        }
    }

    fn unite(&mut self, other: Self) {
        for (word, more) in self.0.iter_mut().zip(other.0) {
            *word |= more;
        }
    }

    pub(super) fn without(bytes: Self) -> Self {
        Self(bytes.0.map(|word| !word))
    }

    pub(super) fn has(&self, byte: u8) -> bool {
        let word = self.0.get(usize::from(byte >> 6)).copied();
        word.unwrap_or_default() >> (byte & 63) & 1 == 1
    }

    /// With each letter in both cases.
    pub(super) fn without_case(mut self) -> Self {
        for upper in b'A'..=b'Z' {
            let lower = upper.to_ascii_lowercase();
            if self.has(upper) || self.has(lower) {
                self.add(upper, upper);
                self.add(lower, lower);
            }
        }
        self
    }
}

/// Parses an expression that matches a whole text, so that `^` at its beginning and `$` at its end
/// say nothing new.
pub(super) fn parse(text: &[u8], ignore_case: bool) -> Result<Node, &'static str> {
    let text = text.strip_prefix(b"^").unwrap_or(text);
    let text = match text {
        [rest @ .., b'\\', b'$'] if !escaped(rest) => text,
        [rest @ .., b'$'] => rest,
        _ => text,
    };
    let mut parser = Parser {
        rest: text,
        ignore_case,
    };
    let expression = parser.alternatives(0)?;
    match parser.rest {
        [] => Ok(expression),
        _ => Err("the expression closes a group that it has not opened"),
    }
}

/// Whether what ends here leaves a byte after it escaped.
fn escaped(text: &[u8]) -> bool {
    text.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

struct Parser<'a> {
    rest: &'a [u8],
    ignore_case: bool,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let has = self.rest.first() == Some(&byte);
        if has {
            self.next();
        }
        has
    }

    fn alternatives(&mut self, depth: usize) -> Result<Node, &'static str> {
        if depth > DEPTH {
            return Err(DEEP);
        }
        let mut branches = vec![self.sequence(depth)?];
        while self.take(b'|') {
            branches.push(self.sequence(depth)?);
        }
        Ok(match branches.len() {
            1 => branches.remove(0),
            _ => Node::Any(branches),
        })
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, &'static str> {
        let mut parts = Vec::new();
        while !matches!(self.rest.first(), None | Some(b'|' | b')')) {
            let atom = self.atom(depth)?;
            parts.push(self.repeated(atom)?);
        }
        Ok(Node::Sequence(parts))
    }

    fn atom(&mut self, depth: usize) -> Result<Node, &'static str> {
        let is_class = self.rest.first() == Some(&b'[');
        let set = match self.next().ok_or(ENDS)? {
            b'(' => {
                if self.take(b'?') && !self.take(b':') {
                    return Err(UNKNOWN);
                }
                let inside = self.alternatives(depth + 1)?;
                return if self.take(b')') {
                    Ok(inside)
                } else {
                    Err(ENDS)
                };
            }
            b'[' => self.class()?,
            b'.' => Set::without(Set::byte(b'\n')),
            b'\\' => self.escape()?,
            b'*' | b'+' | b'?' | b'{' => return Err("the expression repeats nothing"),
            b'^' | b'$' => return Err(UNKNOWN),
            byte => Set::byte(byte),
        };
        // What a class leaves out was made so before it was turned round.
        let set = match self.ignore_case && !is_class {
            true => set.without_case(),
            false => set,
        };
        Ok(Node::Set(Box::new(set)))
    }

    /// What follows an expression and says how often it is meant.
    fn repeated(&mut self, atom: Node) -> Result<Node, &'static str> {
        let (least, most) = match self.rest.first() {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => {
                self.next();
                let least = self.number()?;
                let most = match self.take(b',') {
                    false => Some(least),
                    true if self.rest.first() == Some(&b'}') => None,
                    true => Some(self.number()?),
                };
                if self.rest.first() != Some(&b'}') || most.is_some_and(|most| most < least) {
                    return Err("the expression repeats a number of times that is none");
                }
                (least, most)
            }
            _ => return Ok(atom),
        };
        self.next();
        // Which of several ways is taken first does not matter to whether there is one.
        self.take(b'?');
        match self.rest.first() {
            Some(b'*' | b'+' | b'?' | b'{') => Err("the expression repeats a repetition"),
            _ => Ok(Node::Repeat(Box::new(atom), least, most)),
        }
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        let mut number = 0_u32;
        let mut digits = 0;
        while let Some(digit @ b'0'..=b'9') = self.rest.first().copied() {
            number = number * 10 + u32::from(digit - b'0');
            digits += 1;
            if number > 1_000 {
                return Err("the expression repeats more than 1000 times");
            }
            self.next();
        }
        if digits == 0 {
            return Err("the expression repeats a number of times that is none");
        }
        Ok(number)
    }

    fn escape(&mut self) -> Result<Set, &'static str> {
        let byte = self.next().ok_or(ENDS)?;
        let mut set = Set::default();
        match byte.to_ascii_lowercase() {
            b'd' => set.add(b'0', b'9'),
            b'w' => {
                set.add(b'0', b'9');
                set.add(b'A', b'Z');
                set.add(b'_', b'_');
                set.add(b'a', b'z');
            }
            b's' => {
                for blank in b"\t\n\x0c\r " {
                    set.add(*blank, *blank);
                }
            }
            _ => {
                return match byte {
                    b'n' => Ok(Set::byte(b'\n')),
                    b'r' => Ok(Set::byte(b'\r')),
                    b't' => Ok(Set::byte(b'\t')),
                    byte if byte.is_ascii_punctuation() => Ok(Set::byte(byte)),
                    _ => Err(UNKNOWN),
                };
            }
        }
        Ok(match byte.is_ascii_uppercase() {
            true => Set::without(set),
            false => set,
        })
    }

    fn class(&mut self) -> Result<Set, &'static str> {
        let negated = self.take(b'^');
        let mut set = Set::default();
        let mut is_first = true;
        loop {
            let byte = match self.next().ok_or(ENDS)? {
                b']' if !is_first => break,
                b'[' if self.rest.first() == Some(&b':') => return Err(UNKNOWN),
                b'\\' => match self.rest.first() {
                    Some(b'd' | b'w' | b's' | b'D' | b'W' | b'S') => {
                        set.unite(self.escape()?);
                        is_first = false;
                        continue;
                    }
                    _ => self.literal()?,
                },
                byte if byte.is_ascii() => byte,
                _ => return Err("the expression has letters beyond ASCII in a class"),
            };
            is_first = false;
            let is_range = matches!(self.rest, [b'-', last, ..] if *last != b']');
            let last = if is_range {
                self.next();
                match self.next().ok_or(ENDS)? {
                    b'\\' => self.literal()?,
                    last => last,
                }
            } else {
                byte
            };
            if last < byte || !last.is_ascii() {
                return Err("the expression has a range that ends before it begins");
            }
            set.add(byte, last);
        }
        if self.ignore_case {
            set = set.without_case();
        }
        Ok(match negated {
            true => Set::without(set),
            false => set,
        })
    }

    /// The one byte that an escape stands for.
    fn literal(&mut self) -> Result<u8, &'static str> {
        match self.next().ok_or(ENDS)? {
            b'n' => Ok(b'\n'),
            b'r' => Ok(b'\r'),
            b't' => Ok(b'\t'),
            byte if byte.is_ascii_punctuation() => Ok(byte),
            _ => Err(UNKNOWN),
        }
    }
}
