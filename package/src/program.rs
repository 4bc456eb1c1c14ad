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
mod sbom;
mod search;
mod sign;

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use attache_module::{Screen, harmless_lines, size as bytes};
use clap::Parser;

use self::arguments::{Arguments, Verb};

/// Something could not be done; standard error says what, why and what to do.
const FAILED: u8 = 1;

pub(crate) fn run() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Package(package) => package::package(&package),
        Verb::Images(images) => inspect::images(&images),
        Verb::Sbom(sbom) => sbom::sbom(&sbom),
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
        Err(error) => {
            Screen::new().error(error.as_ref());
            ExitCode::from(FAILED)
        }
    }
}

/// Names a stage as it begins or ends, as cargo does.
fn stage(verb: &str, what: impl Display) {
    Screen::new().stage(verb, what);
}

/// Something that is not as it should be, while the command goes on.
fn warn(what: impl Display) {
    Screen::new().warn(what);
}

/// A result. What others wrote stands in it on one line, by [`attache_module::harmless`]; what was forgotten there is
/// made harmless here, in a way that leaves JSON what it is.
fn print(text: &str) -> io::Result<()> {
    Screen::new().print(&harmless_lines(text, ""))
}
