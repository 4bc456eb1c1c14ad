//! What a person sees: stages and errors on standard error, results on standard output.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use attache_module::harmless_lines;

/// The terminal, or the file, that the command writes to.
pub(crate) struct Screen {
    color_out: bool,
    color_err: bool,
    width: usize,
}

/// How a word is shown where colours are.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Bad,
    Changed,
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
    pub(crate) fn new() -> Self {
        // https://no-color.org: any value that is not empty.
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
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Whether programs that we run may colour their part of standard error.
    pub(crate) fn colors_errors(&self) -> bool {
        self.color_err
    }

    /// Names a stage as it begins or ends, as cargo does.
    pub(crate) fn stage(&self, verb: &str, what: impl Display) {
        let verb = paint(self.color_err, Tone::Good, &format!("{verb:>12}"));
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(io::stderr(), "{verb} {what}");
    }

    /// Something that is not as it should be, while the command goes on.
    pub(crate) fn warn(&self, what: impl Display) {
        let word = paint(self.color_err, Tone::Changed, "warning");
        let _ = writeln!(io::stderr(), "{word}: {}", lines(what));
    }

    /// An error with all its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let word = paint(self.color_err, Tone::Bad, "error");
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "{word}: {}", lines(error));
        for cause in error.chain().skip(1) {
            let _ = writeln!(stderr, "  caused by: {}", lines(cause));
        }
    }

    /// Writes a result.
    ///
    /// # Errors
    ///
    /// When standard output is closed.
    pub(crate) fn print(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    /// Colours a word of a result.
    pub(crate) fn tint(&self, tone: Tone, text: &str) -> String {
        paint(self.color_out, tone, text)
    }
}

/// What is said of a module may quote what its author wrote.
fn lines(text: impl Display) -> String {
    harmless_lines(&text.to_string(), "    ")
}

fn paint(color: bool, tone: Tone, text: &str) -> String {
    if color {
        format!("\x1b[{}m{text}\x1b[0m", tone.code())
    } else {
        text.to_owned()
    }
}

/// Bytes in the unit that people use for files: `186 KB` are 186,000.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{} KB", count.div_ceil(1_000)),
        _ => format!("{}.{} MB", count / 1_000_000, count / 100_000 % 10),
    }
}

/// A path as short as it can be told from here.
pub(crate) fn shown(path: &Path) -> impl Display {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    relative
        .unwrap_or_else(|| path.to_owned())
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        let shown: Vec<_> = [999, 1_000, 186_063, 36_857_864].map(bytes).into();
        assert_eq!(shown, ["999 B", "1 KB", "187 KB", "36.8 MB"]);
    }

    #[test]
    fn colour_is_for_terminals() {
        assert_eq!(paint(false, Tone::Bad, "x"), "x");
        assert_eq!(paint(true, Tone::Bad, "x"), "\x1b[31mx\x1b[0m");
    }
}
