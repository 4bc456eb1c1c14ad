//! The larger commands.

pub(crate) mod coverage;
pub(crate) mod generate;
pub(crate) mod versions;

/// Says something beside the results.
#[expect(clippy::print_stderr, reason = "a program speaks")]
fn say(what: impl std::fmt::Display) {
    eprintln!("{what}");
}

/// Prints a part of the results.
#[expect(clippy::print_stdout, reason = "a program speaks")]
fn print(what: impl std::fmt::Display) {
    println!("{what}");
}
