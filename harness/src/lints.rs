//! What Envoy does to the surprise of those who write filters.

mod known;
mod streams;

use std::fmt;

pub use self::known::LintKind;
use crate::call::Call;
use crate::error::HostError;
use crate::timeline::Event;
use crate::world::World;

/// Surprises of one stream, or of one host, that are kept; a guest can make them without end.
const KEPT: usize = 200;

/// A surprise: the guest did what Envoy answers in a way that few expect. The harness answers in
/// the same way, and says so here.
///
/// `Display` prints name, event, reason, advice and reference in one line.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Lint {
    /// Which surprise it is.
    pub kind: LintKind,
    /// The plugin that met it.
    pub plugin: String,
    /// What happened, with the names and numbers of the case.
    pub what: String,
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, plugin, what) = (self.kind, &self.plugin, &self.what);
        write!(
            f,
            "lint {kind}: `{plugin}`: {what}; {}; {} ({})",
            kind.why(),
            kind.instead(),
            kind.reference()
        )
    }
}

impl fmt::Display for LintKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which surprises end a test: none, or all but those that were allowed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lints {
    /// Those of callbacks outside of streams.
    pub(crate) of_host: Vec<Lint>,
    pub(crate) denied: bool,
    pub(crate) allowed: Vec<LintKind>,
}

impl World {
    /// Reports a surprise of a plugin, to the stream on whose account the callback goes, or to the
    /// host. The same one is reported once.
    pub(crate) fn lint(
        &mut self,
        slot: Option<usize>,
        plugin: usize,
        kind: LintKind,
        what: impl Into<String>,
    ) {
        let lint = Lint {
            kind,
            plugin: self.plugins[plugin].name.to_string(),
            what: what.into(),
        };
        let lints = match slot {
            Some(slot) => &mut self.streams[slot].exchange.lints,
            None => &mut self.lints.of_host,
        };
        if lints.len() >= KEPT || lints.contains(&lint) {
            return;
        }
        lints.push(lint.clone());
        self.timeline(slot).push(Event::Lint(lint.clone()));
        if self.lints.denied && !self.lints.allowed.contains(&kind) && self.fatal.is_none() {
            let timeline = self.timeline(slot).clone();
            self.fatal = Some(HostError::Lint {
                lint: Box::new(lint),
                timeline,
            });
        }
    }
}

impl Call<'_> {
    /// Reports a surprise of the guest that makes this call, after the call in the timeline.
    pub(crate) fn lint(&mut self, kind: LintKind, what: impl Into<String>) {
        self.lints.push((kind, what.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_texts_are_fragments() {
        let mut names: Vec<_> = LintKind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LintKind::ALL.len());
        for kind in LintKind::ALL {
            for text in [kind.why(), kind.instead(), kind.reference()] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{kind}: {text}");
            }
        }
    }
}
