//! What the command line says, and what it leads to.

mod arguments;
mod serve;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Arguments, Verb};

/// Something could not be done; standard error says what, why and what to do.
const FAILED: u8 = 1;

pub(crate) fn run() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Serve(serve) => serve::serve(serve),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            show_error(&error);
            ExitCode::from(FAILED)
        }
    }
}

fn show_error(error: &anyhow::Error) {
    let mut stderr = io::stderr().lock();
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(stderr, "{}: {error}", tint("31", "error"));
    for cause in error.chain().skip(1) {
        let _ = writeln!(stderr, "  caused by: {cause}");
    }
}

/// Names a stage as it begins or ends, as cargo does.
fn stage(verb: &str, what: impl std::fmt::Display) {
    let verb = tint("32", &format!("{verb:>12}"));
    let _ = writeln!(io::stderr(), "{verb} {what}");
}

/// A word of standard error in a colour, on a terminal that wants colours (<https://no-color.org>).
fn tint(code: &str, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if plain || !io::stderr().is_terminal() {
        return text.to_owned();
    }
    format!("\x1b[{code}m{text}\x1b[0m")
}
