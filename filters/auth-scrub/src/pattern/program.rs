//! An expression as instructions, all of whose ways are followed at once: the work is the length of
//! the text times the number of instructions, whatever the two are.

use super::syntax::{Expression, Set};

/// How many instructions an expression may have.
const INSTRUCTIONS: usize = 500;

/// The longest text that is looked at. Paths are not longer unless somebody tries something.
pub(crate) const LONGEST: usize = 8 * 1_024;

const TOO_LARGE: &str = "the expression is too large";

pub(super) struct Program(Vec<Instruction>);

enum Instruction {
    Set(Box<Set>),
    /// Goes on at both.
    Split(usize, usize),
    Jump(usize),
}

impl Program {
    pub(super) fn new(expression: &Expression) -> Result<Self, &'static str> {
        let mut program = Self(Vec::new());
        program.emit(expression, &mut 10_000)?;
        Ok(program)
    }

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
    fn emit(&mut self, expression: &Expression, work: &mut u32) -> Result<(), &'static str> {
        *work = work.checked_sub(1).ok_or(TOO_LARGE)?;
        match expression {
            Expression::Set(set) => {
                self.push(Instruction::Set(set.clone()))?;
            }
            Expression::Sequence(parts) => {
                for part in parts {
                    self.emit(part, work)?;
                }
            }
            Expression::Any(branches) => {
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
            Expression::Repeat(inside, least, most) => {
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

    /// Whether the whole text matches.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        if text.len() > LONGEST {
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
    fn enter(&mut self, at: usize, program: &Program, todo: &mut Vec<usize>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{syntax, template};

    fn matches(expression: &str, text: &str) -> bool {
        let parsed = syntax::parse(expression.as_bytes(), false).unwrap();
        Program::new(&parsed).unwrap().matches(text.as_bytes())
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
            let made = syntax::parse(expression.as_bytes(), false)
                .and_then(|parsed| Program::new(&parsed).map(|_| ()));
            assert!(made.is_err(), "{expression}");
        }
        let deep = "(".repeat(100) + &")".repeat(100);
        assert!(syntax::parse(deep.as_bytes(), false).is_err());
    }

    #[test]
    fn a_text_that_is_hard_for_others_takes_no_longer() {
        let text = "a".repeat(LONGEST) + "b";
        assert!(!matches("(a+)+c", &text[1..]));
        assert!(!matches("a*", &"a".repeat(LONGEST + 1)));
    }

    #[test]
    fn templates_match_segments() {
        for (pattern, yes, no) in [
            ("/users/{id}", "/users/7", "/users/"),
            ("/users/{id=*}/x", "/users/7/x", "/users/7/8/x"),
            ("/files/**", "/files/a/b", "/file"),
            ("/{all=**}", "/", ""),
            ("/*/a.b", "/x/a.b", "/x/acb"),
        ] {
            let program = Program::new(&template::parse(pattern.as_bytes(), false).unwrap());
            let program = program.unwrap();
            assert!(program.matches(yes.as_bytes()), "{pattern}");
            assert!(!program.matches(no.as_bytes()), "{pattern}");
        }
        for pattern in [
            "users",
            "/a/**/b",
            "/{}",
            "/{a",
            "/{a=b}",
            "/a*",
            "/{a=**}/b",
        ] {
            assert!(
                template::parse(pattern.as_bytes(), false).is_err(),
                "{pattern}"
            );
        }
    }
}
