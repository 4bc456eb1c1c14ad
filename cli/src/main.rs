//! The command `attache`: build a filter and run it in a real Envoy.

#![forbid(unsafe_code)]

mod arguments;
mod build;
mod exit;
mod run;
mod screen;
mod subject;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Verb};
use crate::screen::Screen;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new();
    let done = match arguments.verb {
        Verb::Build(build) => build::build(&build, &screen),
        Verb::Run(run) => run::run(&run, &screen),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.error(&error);
            ExitCode::from(exit::FAILED)
        }
    }
}
