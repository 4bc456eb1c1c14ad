//! What a person sees: stages and errors on standard error, results on standard output.

use std::io::{self, IsTerminal, Write};

/// Whether words are coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(bool);

/// How a word is shown where colours are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    Changed,
    Strong,
    Faint,
}

impl Paint {
    /// For standard output.
    pub(super) fn of_output() -> Self {
        Self(wanted() && io::stdout().is_terminal())
    }

    fn of_errors() -> Self {
        Self(wanted() && io::stderr().is_terminal())
    }

    pub(super) fn tint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Changed => "33",
            Tone::Strong => "1",
            Tone::Faint => "2",
        };
        match self.0 {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// Whether the terminal wants colours (<https://no-color.org>).
fn wanted() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let plain = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !refused && !plain
}

/// An error with all its causes.
pub(super) fn error(error: &anyhow::Error) {
    let mut stderr = io::stderr().lock();
    let word = Paint::of_errors().tint(Tone::Bad, "error");
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(stderr, "{word}: {error}");
    for cause in error.chain().skip(1) {
        let _ = writeln!(stderr, "  caused by: {cause}");
    }
}

/// Names a stage as it begins or ends, as cargo does.
pub(super) fn stage(verb: &str, what: impl std::fmt::Display) {
    let verb = Paint::of_errors().tint(Tone::Good, &format!("{verb:>12}"));
    let _ = writeln!(io::stderr(), "{verb} {what}");
}

/// A result.
///
/// # Errors
///
/// When standard output is closed.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
