//! `attache completions`: what a shell needs to complete our command line.

use clap::CommandFactory;

use crate::arguments::{Arguments, Completions};
use crate::screen::Screen;

/// `attache completions`
pub(crate) fn completions(arguments: &Completions, screen: &Screen) -> anyhow::Result<()> {
    let mut command = Arguments::command();
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "attache", &mut script);
    screen.print(&String::from_utf8_lossy(&script))?;
    Ok(())
}
