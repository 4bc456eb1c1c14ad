//! The verbs of the program, which `attache` hands over.

mod bench;
mod envoy;
mod find;
mod record;
mod screen;
mod serve;
mod test;

use std::ffi::OsString;
use std::process::ExitCode;

use screen::Screen;

/// Something failed, or could not be played; the output says what, why and what to do. `clap` exits
/// with 2 for arguments it cannot read.
const FAILED: u8 = 1;

/// Does what the first word says; without a verb there, it plays suites.
pub(crate) fn run() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let verb = words.get(1).and_then(|word| word.to_str());
    let of_verb: fn(Vec<OsString>, &Screen) -> anyhow::Result<bool> = match verb {
        Some("bench") => bench::bench,
        Some("record") => record::record,
        Some("serve") => serve::serve,
        _ => test::test,
    };
    // Parsers take the first word for the program's name.
    if matches!(verb, Some("bench" | "record" | "serve" | "test")) {
        words.remove(1);
    }
    let screen = Screen::new();
    match of_verb(words, &screen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            screen.error(error.as_ref());
            ExitCode::from(FAILED)
        }
    }
}
