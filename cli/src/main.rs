//! The command `attache`: build a filter and run it in a real Envoy.

#![forbid(unsafe_code)]

mod arguments;
mod build;
mod checkout;
mod completions;
mod exit;
mod handover;
mod inspect;
mod new;
mod run;
mod screen;
mod subject;
mod test;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Handed, Verb};
use crate::handover::Program;
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
        Verb::Test(handed) => return ended(test::test(&handed.arguments, &screen), &screen),
        Verb::Bench(handed) => return hand_over(handover::TEST, "bench", &handed, &screen),
        Verb::Record(handed) => return hand_over(handover::TEST, "record", &handed, &screen),
        Verb::Package(handed) => return hand_over(handover::IMAGE, "package", &handed, &screen),
        Verb::Images(handed) => return hand_over(handover::IMAGE, "images", &handed, &screen),
        Verb::Sbom(handed) => return hand_over(handover::IMAGE, "sbom", &handed, &screen),
        Verb::Push(handed) => return hand_over(handover::IMAGE, "push", &handed, &screen),
        Verb::Pull(handed) => return hand_over(handover::IMAGE, "pull", &handed, &screen),
        Verb::Copy(handed) => return hand_over(handover::IMAGE, "copy", &handed, &screen),
        Verb::Tags(handed) => return hand_over(handover::IMAGE, "tags", &handed, &screen),
        Verb::Search(handed) => return hand_over(handover::IMAGE, "search", &handed, &screen),
        Verb::Registry(handed) => return hand_over(handover::IMAGE, "registry", &handed, &screen),
        Verb::Sign(handed) => return hand_over(handover::IMAGE, "sign", &handed, &screen),
        Verb::Verify(handed) => return hand_over(handover::IMAGE, "verify", &handed, &screen),
        Verb::Check(handed) => return hand_over(handover::IMAGE, "check", &handed, &screen),
        Verb::Deploy(handed) => return hand_over(handover::IMAGE, "deploy", &handed, &screen),
        Verb::Rollout(handed) => {
            return hand_over(handover::CONTROL_PLANE, "rollout", &handed, &screen);
        }
        Verb::Demo(handed) => return hand_over(handover::CONTROL_PLANE, "demo", &handed, &screen),
        Verb::ControlPlane(handed) => {
            let plane = handover::CONTROL_PLANE;
            return ended(plane.run(&handed.arguments, &screen), &screen);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.error(error.as_ref());
            ExitCode::from(exit::FAILED)
        }
    }
}

/// Hands a verb over to the program that does it.
fn hand_over(program: Program, verb: &str, handed: &Handed, screen: &Screen) -> ExitCode {
    let verb = [OsString::from(verb)].into_iter();
    let arguments: Vec<OsString> = verb.chain(handed.arguments.iter().cloned()).collect();
    ended(program.become_it(&arguments, screen), screen)
}

/// As a program ended, or why there was none.
fn ended(status: anyhow::Result<u8>, screen: &Screen) -> ExitCode {
    match status {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            screen.error(error.as_ref());
            ExitCode::from(exit::FAILED)
        }
    }
}
