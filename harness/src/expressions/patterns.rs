//! Regular expressions: RE2's, played by the crate `regex`.
//!
//! Both were made for the same syntax, and differ at its edges. A pattern is written anew in what both
//! read alike. What RE2 refuses is an error; what only one of them has is not answered.

use regex::bytes::{Regex, RegexBuilder};

use super::evaluate::Evaluation;
use super::fault::Fault;

/// Compiled patterns are kept for one evaluation.
const STEPS_A_PATTERN: usize = 20_000;
const LARGEST: usize = 1 << 20;
/// RE2's limit for `{n}`, also of those within each other.
const MOST: u32 = 1000;

/// Whether a text has a part that the pattern describes.
pub(super) fn matches(
    text: &[u8],
    pattern: &[u8],
    evaluation: &mut Evaluation<'_>,
) -> Result<bool, Fault> {
    evaluation.work.charge(text.len() + pattern.len())?;
    if !evaluation.patterns.contains_key(pattern) {
        evaluation.work.charge(STEPS_A_PATTERN)?;
        let compiled = match compile(pattern) {
            Ok(regex) => Some(regex),
            Err(Fault::Error) => None,
            Err(fault) => return Err(fault),
        };
        evaluation.patterns.insert(pattern.to_vec(), compiled);
    }
    let compiled = evaluation.patterns.get(pattern).and_then(Option::as_ref);
    compiled
        .map(|regex| regex.is_match(text))
        .ok_or(Fault::Error)
}

fn compile(pattern: &[u8]) -> Result<Regex, Fault> {
    let pattern = str::from_utf8(pattern).map_err(|_| Fault::Error)?;
    let translated = Translation::of(pattern)?;
    let built = RegexBuilder::new(&translated)
        .size_limit(LARGEST)
        .dfa_size_limit(LARGEST)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => unknown(pattern),
        _ => Fault::Error,
    })
}

fn unknown(pattern: &str) -> Fault {
    Fault::unknown(format!("the pattern `{pattern}`"))
}

/// A pattern on its way to the other syntax.
struct Translation<'a> {
    pattern: &'a str,
    rest: &'a str,
    written: String,
    /// The product of all counts, which bounds those within each other.
    counts: u32,
}

impl<'a> Translation<'a> {
    fn of(pattern: &'a str) -> Result<String, Fault> {
        let mut translation = Self {
            pattern,
            rest: pattern,
            written: String::new(),
            counts: 1,
        };
        while let Some(next) = translation.next() {
            match next {
                '\\' => translation.escape()?,
                '[' => translation.class()?,
                '(' if translation.rest.starts_with('?') => translation.group()?,
                '*' | '+' | '?' => translation.repetition(&next.to_string())?,
                '{' => translation.count()?,
                other => translation.written.push(other),
            }
        }
        Ok(translation.written)
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn take(&mut self, text: &str) -> bool {
        let behind = self.rest.strip_prefix(text);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn unknown(&self) -> Fault {
        unknown(self.pattern)
    }

    /// What stands behind a backslash outside of a class.
    fn escape(&mut self) -> Result<(), Fault> {
        match self.next().ok_or(Fault::Error)? {
            'b' => self.written.push_str("(?-u:\\b)"),
            'B' => self.written.push_str("(?-u:\\B)"),
            letter @ ('A' | 'z') => self.written.extend(['\\', letter]),
            other => return self.escaped(other),
        }
        Ok(())
    }

    /// What may stand behind a backslash anywhere.
    fn escaped(&mut self, next: char) -> Result<(), Fault> {
        let written = match next {
            'd' => "[0-9]",
            'D' => "[^0-9]",
            's' => "[\\t\\n\\f\\r ]",
            'S' => "[^\\t\\n\\f\\r ]",
            'w' => "[0-9A-Za-z_]",
            'W' => "[^0-9A-Za-z_]",
            'a' => "\\x07",
            'f' => "\\f",
            'n' => "\\n",
            'r' => "\\r",
            't' => "\\t",
            'v' => "\\v",
            'x' => "\\x",
            // Octal numbers, quotations, bytes, Unicode's classes.
            '0' | 'Q' | 'C' | 'p' | 'P' => return Err(self.unknown()),
            '1'..='7' if self.rest.starts_with(|next: char| next.is_ascii_digit()) => {
                return Err(self.unknown());
            }
            next if next.is_ascii_alphanumeric() => return Err(Fault::Error),
            next if next.is_ascii() => {
                self.literal(next);
                ""
            }
            _ => return Err(self.unknown()),
        };
        self.written.push_str(written);
        Ok(())
    }

    fn literal(&mut self, next: char) {
        if next.is_ascii_punctuation() {
            self.written.push('\\');
            // These two have a meaning behind a backslash.
            if matches!(next, '<' | '>') {
                self.written.pop();
            }
        }
        self.written.push(next);
    }

    /// A class in brackets: what begins another class in `regex` is a letter like others in RE2.
    fn class(&mut self) -> Result<(), Fault> {
        self.written.push('[');
        if self.take("^") {
            self.written.push('^');
        }
        let mut first = true;
        loop {
            match self.next().ok_or(Fault::Error)? {
                ']' if !first => break,
                '[' if self.rest.starts_with(':') => {
                    let end = self.rest.find(":]").ok_or_else(|| self.unknown())?;
                    self.written.push('[');
                    self.written.push_str(&self.rest[..end + 2]);
                    self.rest = &self.rest[end + 2..];
                }
                '-' if self.rest.starts_with('-') => return Err(self.unknown()),
                '-' => self.written.push('-'),
                '\\' => {
                    let next = self.next().ok_or(Fault::Error)?;
                    self.escaped(next)?;
                }
                other => self.literal(other),
            }
            first = false;
        }
        self.written.push(']');
        Ok(())
    }

    /// `(?…`: flags, or a group with a name.
    fn group(&mut self) -> Result<(), Fault> {
        self.rest = &self.rest[1..];
        self.written.push_str("(?");
        if self.take("P<") || self.take("<") {
            let end = self.rest.find('>').ok_or(Fault::Error)?;
            let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if !self.rest[..end].chars().all(fits) {
                return Err(if self.rest[..end].is_ascii() {
                    Fault::Error
                } else {
                    self.unknown()
                });
            }
            self.written.push_str("P<");
            return Ok(());
        }
        let end = self.rest.find([':', ')']).ok_or(Fault::Error)?;
        if end == 0 && self.rest.starts_with(')') {
            return Err(self.unknown());
        }
        if !self.rest[..end].chars().all(|flag| "imsU-".contains(flag)) {
            return Err(Fault::Error);
        }
        Ok(())
    }

    /// `*`, `+`, `?`, or a count; RE2 refuses one behind another.
    fn repetition(&mut self, sign: &str) -> Result<(), Fault> {
        self.written.push_str(sign);
        if self.take("?") {
            self.written.push('?');
        }
        let count = self.rest.strip_prefix('{').and_then(count_in);
        let again = self.rest.starts_with(['*', '+', '?']) || count.is_some();
        if again { Err(Fault::Error) } else { Ok(()) }
    }

    /// A brace: a count if it looks like one, else a letter.
    fn count(&mut self) -> Result<(), Fault> {
        let Some((least, most, size)) = count_in(self.rest) else {
            self.written.push_str("\\{");
            return Ok(());
        };
        let largest = least.max(most.unwrap_or(0));
        if largest > MOST || most.is_some_and(|most| most < least) {
            return Err(Fault::Error);
        }
        self.counts = self.counts.saturating_mul(largest.max(1));
        if self.counts > MOST {
            return Err(self.unknown());
        }
        let sign = format!("{{{}", &self.rest[..size]);
        self.rest = &self.rest[size..];
        self.repetition(&sign)
    }
}

/// What stands behind the brace of `{n}`, `{n,}` or `{n,m}`: the numbers, and its length with the other
/// brace.
fn count_in(text: &str) -> Option<(u32, Option<u32>, usize)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != ',')?;
    let inside = text[end..].starts_with('}').then_some(&text[..end])?;
    let number = |digits: &str| {
        let all = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        all.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let (least, most) = match inside.split_once(',') {
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
        None => (number(inside)?, Some(number(inside)?)),
    };
    Some((least, most, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brace_that_begins_no_count_is_a_letter() {
        for (pattern, expected) in [
            ("a{2,3}", Ok("a{2,3}")),
            ("a{2,}?b", Ok("a{2,}?b")),
            ("{{1{1,{,2}", Ok("\\{\\{1\\{1,\\{,2}")),
            ("a{2}{3}", Err(Fault::Error)),
            ("a{3,2}", Err(Fault::Error)),
        ] {
            assert_eq!(Translation::of(pattern), expected.map(str::to_owned));
        }
        let many = "{".repeat(1_000_000);
        assert_eq!(Translation::of(&many), Ok("\\{".repeat(1_000_000)));
    }
}
