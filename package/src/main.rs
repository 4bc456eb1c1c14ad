//! The program `attache-image`: modules as OCI images, and manifests that load them.

#![forbid(unsafe_code)]

mod program;

use std::process::ExitCode;

fn main() -> ExitCode {
    program::run()
}
