mod syntax;

use std::fmt;

use self::syntax::{Node, Set};
use super::{MatchError, Pattern};

/// How many instructions an expression may have.
const INSTRUCTIONS: usize = 500;

const TOO_LARGE: &str = "the expression is too large";

/// A regular expression that matches whole texts: RE2's syntax, as far as it can be told of bytes
/// without tables.
///
/// There are groups, alternatives, repetitions, classes with ranges, `.`, `\d \w \s` and their
/// opposites, all of ASCII; and no flags, named classes, look-around, back references, nor anchors but
/// `^` at the beginning and `$` at the end, which say nothing new.
///
/// It is kept as instructions, all of whose ways are followed at once: the work is the length of the
/// text times the number of instructions, at most [`LONGEST`](Self::LONGEST) times 500.
///
/// ```
/// use attache::matching::{Expression, MatchError, Pattern};
///
/// let expression = Expression::read(r"/v\d+/(users|orders)(/.*)?", false)?;
/// assert!(expression.matches(b"/v2/users/7"));
/// assert!(!expression.matches(b"/x/v2/users"));
/// # Ok::<(), MatchError>(())
/// ```
#[derive(Clone)]
pub struct Expression(Vec<Instruction>);

#[derive(Clone)]
enum Instruction {
    Set(Box<Set>),
    /// Goes on at both.
    Split(usize, usize),
    Jump(usize),
}

impl Pattern for Expression {
    fn read(text: &str, ignore_case: bool) -> Result<Self, MatchError> {
        let node = syntax::parse(text.as_bytes(), ignore_case).map_err(MatchError)?;
        let mut program = Self(Vec::new());
        program.emit(&node, &mut 10_000).map_err(MatchError)?;
        Ok(program)
    }

    fn matches(&self, text: &[u8]) -> bool {
        if text.len() > Self::LONGEST {
            return false;
        }
        let mut now = Ways::new(self.0.len());
        let mut then = Ways::new(self.0.len());
        let mut todo = Vec::new();
        now.enter(0, self, &mut todo);
        for &byte in text {
            then.clear();
            for &at in &now.list {
                if let Some(Instruction::Set(set)) = self.0.get(at)
                    && set.has(byte)
                {
                    then.enter(at + 1, self, &mut todo);
                }
            }
            std::mem::swap(&mut now, &mut then);
            if now.list.is_empty() {
                return false;
            }
        }
        now.list.contains(&self.0.len())
    }
}

impl Expression {
    /// The longest text that one may match. Paths are not longer unless somebody tries something.
    ///
    /// ```
    /// use attache::matching::{Expression, MatchError, Pattern};
    ///
    /// let anything = Expression::read(".*", false)?;
    /// assert!(anything.matches(&vec![b'a'; Expression::LONGEST]));
    /// assert!(!anything.matches(&vec![b'a'; Expression::LONGEST + 1]));
    /// # Ok::<(), MatchError>(())
    /// ```
    pub const LONGEST: usize = 8 * 1_024;

    fn push(&mut self, instruction: Instruction) -> Result<usize, &'static str> {
        if self.0.len() >= INSTRUCTIONS {
            return Err(TOO_LARGE);
        }
        self.0.push(instruction);
        Ok(self.0.len() - 1)
    }

    fn patch(&mut self, at: usize, instruction: Instruction) {
        if let Some(place) = self.0.get_mut(at) {
            *place = instruction;
        }
    }

    /// `work` bounds what repetitions of nothing cost.
    fn emit(&mut self, node: &Node, work: &mut u32) -> Result<(), &'static str> {
        *work = work.checked_sub(1).ok_or(TOO_LARGE)?;
        match node {
            Node::Set(set) => {
                self.push(Instruction::Set(set.clone()))?;
            }
            Node::Sequence(parts) => {
                for part in parts {
                    self.emit(part, work)?;
                }
            }
            Node::Any(branches) => {
                let mut ends = Vec::new();
                for (index, branch) in branches.iter().enumerate() {
                    if index + 1 == branches.len() {
                        self.emit(branch, work)?;
                        break;
                    }
                    let split = self.push(Instruction::Jump(0))?;
                    self.emit(branch, work)?;
                    ends.push(self.push(Instruction::Jump(0))?);
                    self.patch(split, Instruction::Split(split + 1, self.0.len()));
                }
                for end in ends {
                    self.patch(end, Instruction::Jump(self.0.len()));
                }
            }
            Node::Repeat(inside, least, most) => {
                for _ in 0..*least {
                    self.emit(inside, work)?;
                }
                match most {
                    None => {
                        let split = self.push(Instruction::Jump(0))?;
                        self.emit(inside, work)?;
                        self.push(Instruction::Jump(split))?;
                        self.patch(split, Instruction::Split(split + 1, self.0.len()));
                    }
                    Some(most) => {
                        let mut splits = Vec::new();
                        for _ in *least..*most {
                            splits.push(self.push(Instruction::Jump(0))?);
                            self.emit(inside, work)?;
                        }
                        for split in splits {
                            self.patch(split, Instruction::Split(split + 1, self.0.len()));
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where the ways are, each place once.
struct Ways {
    list: Vec<usize>,
    seen: Vec<bool>,
}

impl Ways {
    fn new(instructions: usize) -> Self {
        Self {
            list: Vec::new(),
            // One more: the end.
            seen: vec![false; instructions + 1],
        }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.seen.fill(false);
    }

    /// Goes to `at`, and on to where that leads without a byte.
    fn enter(&mut self, at: usize, program: &Expression, todo: &mut Vec<usize>) {
        todo.push(at);
        while let Some(at) = todo.pop() {
            match self.seen.get_mut(at) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            match program.0.get(at) {
                Some(Instruction::Split(one, other)) => todo.extend([*one, *other]),
                Some(Instruction::Jump(to)) => todo.push(*to),
                Some(Instruction::Set(_)) | None => self.list.push(at),
            }
        }
    }
}

/// Without what it matches.
impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Expression")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(expression: &str, text: &str) -> bool {
        let read = Expression::read(expression, false).unwrap();
        read.matches(text.as_bytes())
    }

    #[test]
    fn expressions_match_the_whole_text() {
        for (expression, yes, no) in [
            ("abc", "abc", "abcd"),
            ("^abc$", "abc", "xabc"),
            ("a|bc|", "", "b"),
            ("(a|b)+c", "abac", "c"),
            ("(?:a|b)*?c", "c", "abd"),
            ("a?b", "b", "aab"),
            ("a{2}", "aa", "aaa"),
            ("a{2,}", "aaaa", "a"),
            ("a{0,2}b", "aab", "aaab"),
            ("[a-c_]+", "ab_c", "abd"),
            ("[^/]+", "a.b", "a/b"),
            ("[]a-]+", "a]-", "b"),
            (r"\d+\.\w\s", "10.a ", "10xa "),
            (r"\D\W\S", "a-b", "1-b"),
            (r"[\d\-]+", "1-2", "1.2"),
            (r"a\$", "a$", "a"),
            (r"a\\$", r"a\", "a"),
            (".*", "any", "a\nb"),
            ("é+", "é", "e"),
            ("(a*)*b", "aab", "aac"),
        ] {
            assert!(matches(expression, yes), "{expression} {yes}");
            assert!(!matches(expression, no), "{expression} {no}");
        }
    }

    #[test]
    fn what_is_not_offered_or_too_large_is_refused() {
        for expression in [
            "(",
            ")",
            "[",
            "[a",
            "a{",
            "a{2",
            "a{2,1}",
            "a{,2}",
            "a{1001}",
            "*",
            "a**",
            "(?i)a",
            "(?=a)",
            r"\1",
            r"\pL",
            r"\",
            "a^b",
            "a$b",
            "[[:alpha:]]",
            "[z-a]",
            "[é]",
            "(a{100}){100}",
            "(((){1000}){1000}){1000}",
            "(a|b){300}",
        ] {
            assert!(Expression::read(expression, false).is_err(), "{expression}");
        }
        let deep = "(".repeat(100) + &")".repeat(100);
        assert!(Expression::read(&deep, false).is_err());
    }

    #[test]
    fn a_text_that_is_hard_for_others_takes_no_longer() {
        let text = "a".repeat(Expression::LONGEST) + "b";
        assert!(!matches("(a+)+c", &text[1..]));
        assert!(!matches("a*", &"a".repeat(Expression::LONGEST + 1)));
    }
}
