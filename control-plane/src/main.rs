//! The program `attache-control-plane`: reloads filters in running Envoys.

#![forbid(unsafe_code)]

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::run()
}
