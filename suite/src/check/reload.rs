//! What was expected when a plugin was replaced.

use super::{Checker, one_a_line};
use crate::file::Matcher;
use crate::seen::Refusal;

impl Checker {
    pub(super) fn reload(&mut self, expect: Option<&Matcher>, found: Option<&Refusal>) {
        match (expect, found) {
            (None, None) => {}
            (None, Some(refusal)) => {
                let expected = "that the plugin is accepted".to_owned();
                self.differs("refused", expected, one_a_line(&refusal.lines), None);
            }
            (Some(expected), None) => {
                let expected = format!("that it is refused with {expected}");
                self.differs("refused", expected, "it is accepted".to_owned(), None);
            }
            (Some(expected), Some(refusal)) => {
                let own = |line: &String| expected.accepts(line.as_bytes());
                if !refusal.lines.iter().any(own) {
                    let found = one_a_line(&refusal.lines);
                    self.differs("refused", expected.to_string(), found, None);
                }
            }
        }
    }
}
