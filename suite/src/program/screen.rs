//! What a person sees.

use std::io;

use attache_suite::Report;

pub(crate) use attache_module::{Screen, Tone};

/// A report, with the word that matters coloured.
pub(crate) fn report(report: &Report, screen: &Screen) -> io::Result<()> {
    let mut text = String::new();
    for line in report.to_string().lines() {
        let painted = match line.trim_start().split_once(' ') {
            Some(("FAILED", _)) if line.starts_with("  F") => {
                line.replacen("FAILED", &screen.tint(Tone::Bad, "FAILED"), 1)
            }
            Some(("ok", _)) if line.starts_with("  ok") => {
                line.replacen("ok", &screen.tint(Tone::Good, "ok"), 1)
            }
            _ => line.to_owned(),
        };
        text.push_str(&painted);
        text.push('\n');
    }
    screen.print(&text)
}
