//! The program `attache-test`: plays suites on the harness and on a real Envoy.

#![forbid(unsafe_code)]

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::run()
}
