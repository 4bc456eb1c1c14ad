//! What known differences from Envoy explain of what two hosts saw otherwise.

use attache_harness::{KnownDifference, Reach};

use crate::seen::Seen;

/// Where a play on the harness came to a known difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Ground {
    pub(crate) difference: KnownDifference,
    /// The request that it is about, by its number; none if it is about no request of the case.
    pub(crate) stream: Option<usize>,
    /// So many lines of filters had been logged.
    pub(crate) lines: usize,
}

impl Ground {
    fn goes_on(&self) -> bool {
        self.difference.reach() != Reach::Response
    }

    /// Whether what became of a request may be its doing: of the client's view alone, or of the rest as well.
    fn touches(&self, stream: usize, only_response: bool) -> bool {
        match self.difference.reach() {
            Reach::Response => only_response && self.stream == Some(stream),
            _ => self.stream.is_none_or(|own| own <= stream),
        }
    }
}

/// Whether all that differs is about what known differences are about. Where Envoy has not come to the end of the case
/// there is nothing that it saw.
pub(crate) fn is_explained(grounds: &[Ground], harness: &Seen, envoy: Option<&Seen>) -> bool {
    let Some(envoy) = envoy else {
        let ends = |ground: &Ground| ground.difference.reach() == Reach::Process;
        return grounds.iter().any(ends);
    };
    let streams = harness.streams.iter().zip(&envoy.streams).enumerate();
    let of_streams = streams.into_iter().all(|(number, (ours, theirs))| {
        let only_response = (&ours.upstream, &ours.access) == (&theirs.upstream, &theirs.access);
        let touches = |ground: &Ground| ground.touches(number, only_response);
        ours == theirs || grounds.iter().any(touches)
    });
    let pairs = harness.log.iter().zip(&envoy.log);
    let alike = pairs.take_while(|(one, other)| one == other).count();
    let of_log = harness.log == envoy.log
        || grounds
            .iter()
            .any(|ground| ground.goes_on() && ground.lines <= alike);
    let without = |seen: &Seen| Seen {
        streams: Vec::new(),
        log: Vec::new(),
        ..seen.clone()
    };
    let of_rest = without(harness) == without(envoy) || grounds.iter().any(Ground::goes_on);
    of_streams && of_log && of_rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::{Ended, Line, Stream};

    fn seen(ends: &[Ended], lines: &[&str]) -> Seen {
        let stream = |downstream: &Ended| Stream {
            upstream: None,
            downstream: downstream.clone(),
            access: None,
        };
        Seen {
            streams: ends.iter().map(stream).collect(),
            log: lines
                .iter()
                .map(|line| Line::new("info", "a", line))
                .collect(),
            ..Seen::default()
        }
    }

    fn ground(difference: KnownDifference, stream: usize, lines: usize) -> Ground {
        Ground {
            difference,
            stream: Some(stream),
            lines,
        }
    }

    const BREAKS: KnownDifference = KnownDifference::ResponseLineBreaks;
    const UNREADABLE: KnownDifference = KnownDifference::UnreadableMessage;

    #[test]
    fn what_a_response_shows_explains_its_client_and_nothing_else() {
        let ours = seen(&[Ended::Held, Ended::Held], &["a"]);
        let theirs = seen(&[Ended::Held, Ended::Reset], &["a"]);
        assert!(is_explained(&[ground(BREAKS, 1, 0)], &ours, Some(&theirs)));
        assert!(!is_explained(&[ground(BREAKS, 0, 0)], &ours, Some(&theirs)));
        let logged = seen(&[Ended::Held, Ended::Held], &["b"]);
        assert!(!is_explained(&[ground(BREAKS, 1, 0)], &ours, Some(&logged)));
    }

    #[test]
    fn what_goes_on_explains_nothing_that_was_before() {
        let ours = seen(&[Ended::Held, Ended::Held], &["a", "b"]);
        let theirs = seen(&[Ended::Reset, Ended::Held], &["a", "c"]);
        let explained = |one| is_explained(&[one], &ours, Some(&theirs));
        assert!(explained(ground(UNREADABLE, 0, 1)));
        assert!(!explained(ground(UNREADABLE, 1, 1)), "another request");
        assert!(!explained(ground(UNREADABLE, 0, 2)), "a line before");
    }

    #[test]
    fn only_what_may_end_envoy_explains_that_it_ended() {
        let ours = seen(&[], &[]);
        let of = |difference| is_explained(&[ground(difference, 0, 0)], &ours, None);
        assert!(of(KnownDifference::BodyBehindWatermark));
        assert!(!of(UNREADABLE) && !of(BREAKS));
    }
}
