use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};

use crate::harmless_lines;

/// The exit status of a program whose results nobody reads to the end, as `… | head` does: what a shell shows
/// of programs that SIGPIPE ends.
pub const UNREAD: u8 = 141;

/// What stands before the second line of an error.
const MARGIN: &str = "    ";

/// The terminal, or the files, that a program writes to: stages and errors on standard error, results on
/// standard output.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    color_out: bool,
    color_err: bool,
    width: usize,
}

/// How a word is shown where colours are.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever colours words asks for one of these"
)]
pub enum Tone {
    /// As it should be, or new.
    Good,
    /// Not as it should be, or gone.
    Bad,
    /// To be looked at.
    Changed,
    /// What a block is about.
    Strong,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Changed => "33",
            Self::Strong => "1",
        }
    }
}

impl Screen {
    /// That of this process: with colours on terminals that want them, see <https://no-color.org>.
    #[must_use]
    pub fn new() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        Self {
            color_out: !plain && io::stdout().is_terminal(),
            color_err: !plain && io::stderr().is_terminal(),
            width: width.unwrap_or(80),
        }
    }

    /// Columns of the terminal; 80 where nobody says.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether programs that we run may colour their part of standard error.
    #[must_use]
    pub fn colors_errors(&self) -> bool {
        self.color_err
    }

    /// Names a stage as it begins or ends, as cargo does.
    pub fn stage(&self, verb: &str, what: impl Display) {
        let verb = paint(self.color_err, Tone::Good, &format!("{verb:>12}"));
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr(), "{verb} {}", lines(what));
    }

    /// Something that is not as it should be, while the program goes on.
    pub fn warn(&self, what: impl Display) {
        let word = paint(self.color_err, Tone::Changed, "warning");
        let _ = writeln!(io::stderr(), "{word}: {}", lines(what));
    }

    /// An error with all its causes.
    pub fn error(&self, error: &(dyn Error + 'static)) {
        let word = paint(self.color_err, Tone::Bad, "error");
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "{word}: {}", lines(error));
        let mut cause = error.source();
        while let Some(error) = cause {
            let _ = writeln!(stderr, "  caused by: {}", lines(error));
            cause = error.source();
        }
    }

    /// Writes a result. Where nobody reads standard output any more the process ends, without a word and with
    /// the status [`UNREAD`].
    ///
    /// # Errors
    ///
    /// When it cannot be written for another reason, such as a full disk.
    pub fn print(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let written = stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                std::process::exit(UNREAD.into())
            }
            written => written.map_err(|error| {
                let what = format!("cannot write to standard output: {error}");
                io::Error::new(error.kind(), what)
            }),
        }
    }

    /// Colours a word of a result.
    #[must_use]
    pub fn tint(&self, tone: Tone, text: &str) -> String {
        paint(self.color_out, tone, text)
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

/// What is said may quote what others wrote.
fn lines(text: impl Display) -> String {
    harmless_lines(&text.to_string(), MARGIN)
}

fn paint(color: bool, tone: Tone, text: &str) -> String {
    if color {
        format!("\x1b[{}m{text}\x1b[0m", tone.code())
    } else {
        text.to_owned()
    }
}

/// Bytes in the unit that people use for files: `186 KB` are 186,000.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} KB", bytes.div_ceil(1_000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        let shown: Vec<_> = [999, 1_000, 186_063, 36_857_864].map(size).into();
        assert_eq!(shown, ["999 B", "1 KB", "187 KB", "36.8 MB"]);
    }

    #[test]
    fn colour_is_for_terminals() {
        assert_eq!(paint(false, Tone::Bad, "x"), "x");
        assert_eq!(paint(true, Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
