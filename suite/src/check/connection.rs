//! What was expected of a TCP connection against what was seen.

use super::Checker;
use crate::file::{ConnectionExpect, EndExpect, PeerExpect};
use crate::on_harness::Insight;
use crate::seen::{Connection, PeerEnd, Received};
use crate::yaml::Yaml;

impl Checker {
    pub(super) fn connection(
        &mut self,
        expect: &ConnectionExpect,
        found: &Connection,
        insight: Option<&Insight>,
    ) {
        for (key, expect, found) in [
            ("upstream", &expect.upstream, &found.upstream),
            ("downstream", &expect.downstream, &found.downstream),
        ] {
            if let Some(expect) = expect {
                self.within(key, |checker| checker.peer(expect, found));
            }
        }
        if let (Some(harness), Some(insight)) = (&expect.harness, insight) {
            self.within("harness", |checker| checker.harness(harness, insight));
        }
    }

    fn peer(&mut self, expect: &PeerExpect, found: &Received) {
        self.text("bytes", expect.bytes.as_ref(), &found.bytes);
        let end = word(found.end);
        if let Some(expected) = expect.end.map(EndExpect::word)
            && expected != end
        {
            let fix = Some(Yaml::word(end));
            self.differs("end", expected.to_owned(), end.to_owned(), fix);
        }
    }
}

impl EndExpect {
    fn word(self) -> &'static str {
        match self {
            Self::Open => word(PeerEnd::Open),
            Self::Fin => word(PeerEnd::Fin),
            Self::Reset => word(PeerEnd::Reset),
        }
    }
}

fn word(end: PeerEnd) -> &'static str {
    match end {
        PeerEnd::Open => "open",
        PeerEnd::Fin => "fin",
        PeerEnd::Reset => "reset",
    }
}

/// A connection as a file expects it, in full.
pub(crate) fn connection_yaml(seen: &Connection) -> Yaml {
    let peer = |received: &Received| {
        Yaml::Map(vec![
            ("bytes".to_owned(), Yaml::text(received.bytes.clone())),
            ("end".to_owned(), Yaml::word(word(received.end))),
        ])
    };
    Yaml::Map(vec![
        ("upstream".to_owned(), peer(&seen.upstream)),
        ("downstream".to_owned(), peer(&seen.downstream)),
    ])
}
