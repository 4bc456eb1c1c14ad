//! The command `attache`: build a filter and run it in a real Envoy.

#![forbid(unsafe_code)]

mod arguments;
mod build;
mod checkout;
mod completions;
mod exit;
mod inspect;
mod new;
mod run;
mod screen;
mod subject;
mod test;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Verb};
use crate::screen::Screen;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let screen = Screen::new();
    let done = match arguments.verb {
        Verb::New(new) => new::new(&new, &screen),
        Verb::Build(build) => build::build(&build, &screen),
        Verb::Inspect(inspect) => inspect::inspect(&inspect, &screen),
        Verb::Completions(shell) => completions::completions(&shell, &screen),
        Verb::Run(run) => run::run(&run, &screen),
        Verb::Test(test) => match test::test(&test.arguments, &screen) {
            Ok(status) => return ExitCode::from(status),
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.error(&error);
            ExitCode::from(exit::FAILED)
        }
    }
}
