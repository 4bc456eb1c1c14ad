//! What the command line says, and what it leads to.

mod arguments;
mod check;
mod deploy;
mod evidence;
mod inspect;
mod package;
mod place;
mod pull;
mod push;
mod registry;
mod remote;
mod search;
mod sign;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use attache_module::harmless_lines;
use clap::Parser;

use self::arguments::{Arguments, Verb};

/// Something could not be done; standard error says what, why and what to do.
const FAILED: u8 = 1;

pub(crate) fn run() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Package(package) => package::package(&package),
        Verb::Images(images) => inspect::images(&images),
        Verb::Push(push) => push::push(&push),
        Verb::Pull(pull) => pull::pull(&pull),
        Verb::Copy(copy) => push::copy(&copy),
        Verb::Tags(tags) => pull::tags(&tags),
        Verb::Registry(registry) => registry::registry(&registry),
        Verb::Search(search) => search::search(&search),
        Verb::Sign(sign) => sign::sign(&sign),
        Verb::Verify(verify) => sign::verify(&verify),
        Verb::Deploy(deploy) => deploy::deploy(&deploy),
        Verb::Check(check) => check::check(&check),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has read enough.
        Err(error) if is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            show_error(&error);
            ExitCode::from(FAILED)
        }
    }
}

fn is_closed(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

fn show_error(error: &anyhow::Error) {
    let mut stderr = io::stderr().lock();
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(stderr, "{}: {}", tint("31", "error"), lines(error));
    for cause in error.chain().skip(1) {
        let _ = writeln!(stderr, "  caused by: {}", lines(cause));
    }
}

/// What is said on standard error may quote what others wrote.
fn lines(text: impl Display) -> String {
    harmless_lines(&text.to_string(), "    ")
}

/// Names a stage as it begins or ends, as cargo does.
fn stage(verb: &str, what: impl Display) {
    let verb = tint("32", &format!("{verb:>12}"));
    let _ = writeln!(io::stderr(), "{verb} {}", lines(what));
}

/// Something that is not as it should be, while the command goes on.
fn warn(what: impl Display) {
    let _ = writeln!(io::stderr(), "{}: {}", tint("33", "warning"), lines(what));
}

/// A result. What others wrote stands in it on one line, by [`attache_module::harmless`]; what was forgotten there is
/// made harmless here, in a way that leaves JSON what it is.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(harmless_lines(text, "").as_bytes())?;
    stdout.flush()
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

/// Bytes in the unit that people use for files.
fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{} KB", count.div_ceil(1_000)),
        _ => format!("{}.{} MB", count / 1_000_000, count / 100_000 % 10),
    }
}
