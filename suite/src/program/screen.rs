//! What a person sees: stages and errors on standard error, results on standard output.

#![expect(clippy::print_stderr, reason = "a program speaks; only this file does")]

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use attache_suite::Report;

/// The terminal, or the file, that the program writes to.
pub(crate) struct Screen {
    color_out: bool,
    color_err: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        // https://no-color.org: any value that is not empty.
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            color_out: !plain && io::stdout().is_terminal(),
            color_err: !plain && io::stderr().is_terminal(),
        }
    }

    /// Whether programs that we run may colour their part of standard error.
    pub(crate) fn colors_errors(&self) -> bool {
        self.color_err
    }

    /// Names a stage as it begins, as cargo does.
    pub(crate) fn stage(&self, verb: &str, what: impl Display) {
        eprintln!(
            "{} {what}",
            paint(self.color_err, "32", &format!("{verb:>12}"))
        );
    }

    /// Something that is not as it should be, while the program goes on.
    pub(crate) fn warn(&self, what: impl Display) {
        eprintln!("{}: {what}", paint(self.color_err, "33", "warning"));
    }

    /// An error with all its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        eprintln!("{}: {error}", paint(self.color_err, "31", "error"));
        for cause in error.chain().skip(1) {
            eprintln!("  caused by: {cause}");
        }
    }

    /// A report, with the word that matters coloured.
    pub(crate) fn report(&self, report: &Report) -> io::Result<()> {
        let mut text = String::new();
        for line in report.to_string().lines() {
            let painted = match line.trim_start().split_once(' ') {
                Some(("FAILED", _)) if line.starts_with("  F") => {
                    line.replacen("FAILED", &self.bad("FAILED"), 1)
                }
                Some(("ok", _)) if line.starts_with("  ok") => {
                    line.replacen("ok", &paint(self.color_out, "32", "ok"), 1)
                }
                _ => line.to_owned(),
            };
            text.push_str(&painted);
            text.push('\n');
        }
        self.print(&text)
    }

    pub(crate) fn bad(&self, text: &str) -> String {
        paint(self.color_out, "31", text)
    }

    /// Writes a result.
    pub(crate) fn print(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

fn paint(color: bool, code: &str, text: &str) -> String {
    if color {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
