//! What the command line says, and what it leads to.

mod arguments;
mod demo;
mod rollout;
mod screen;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Arguments, Verb};

/// Something could not be done; standard error says what, why and what to do.
const FAILED: u8 = 1;

pub(crate) fn run() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Serve(serve) => serve::serve(*serve),
        Verb::Demo(demo) => demo::demo(&demo),
        Verb::Rollout(rollout) => rollout::rollout(&rollout),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::error(&error);
            ExitCode::from(FAILED)
        }
    }
}
