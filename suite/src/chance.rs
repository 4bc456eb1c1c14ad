//! What differs from play to play whatever a filter does: the id that Envoy draws for a request, dates, and how
//! long the upstream took. A filter may show all of them, in a header of its own or in the log.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// An id as Envoy draws them, a date as HTTP has it, or the header with the upstream's time and its value.
static TOKENS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?P<id>\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)",
        r"|(?P<date>\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT\b)",
        r"|(?P<time>x-envoy-upstream-service-time\W{1,8}\d+)",
    ))
    .ok()
});

/// How the ids begin that the harness draws.
const OF_HARNESS: &str = "00000000-0000-4000-8000-";

/// How the dates begin that the harness tells: its clock starts there, and no case takes a day.
const DAY_OF_HARNESS: &str = "Thu, 01 Jan 2026 ";

/// What such values of the harness stand for on Envoy, in one case.
#[derive(Debug, Default)]
pub(crate) struct Chance {
    theirs: BTreeMap<String, String>,
    ours: BTreeMap<String, String>,
}

impl Chance {
    /// Whether two texts are the same but for such values; the first is the harness's. One id of the harness stands
    /// for one of Envoy's, wherever it is.
    pub(crate) fn same(&mut self, harness: &str, envoy: &str) -> bool {
        let Some(tokens) = &*TOKENS else {
            return harness == envoy;
        };
        let (ours, theirs): (Vec<_>, Vec<_>) = (
            tokens.captures_iter(harness).collect(),
            tokens.captures_iter(envoy).collect(),
        );
        let rest = |text| tokens.split(text).collect::<Vec<_>>();
        ours.len() == theirs.len()
            && rest(harness) == rest(envoy)
            && ours
                .iter()
                .zip(&theirs)
                .all(|(ours, theirs)| self.alike(ours, theirs))
    }

    fn alike(&mut self, ours: &Captures<'_>, theirs: &Captures<'_>) -> bool {
        let named = |name| Some((ours.name(name)?.as_str(), theirs.name(name)?.as_str()));
        if let Some((ours, theirs)) = named("id") {
            return ours == theirs
                || (ours.starts_with(OF_HARNESS) && self.stands_for(ours, theirs));
        }
        if let Some((ours, theirs)) = named("time") {
            let name = |text: &str| {
                text.trim_end_matches(|letter: char| letter.is_ascii_digit())
                    .to_owned()
            };
            return name(ours) == name(theirs);
        }
        let date = named("date");
        date.is_some_and(|(ours, theirs)| ours == theirs || ours.starts_with(DAY_OF_HARNESS))
    }

    fn stands_for(&mut self, ours: &str, theirs: &str) -> bool {
        let known = self.theirs.entry(ours.to_owned());
        let known_as = self.ours.entry(theirs.to_owned());
        known.or_insert_with(|| theirs.to_owned()) == theirs
            && known_as.or_insert_with(|| ours.to_owned()) == ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_a_date_and_a_time_may_differ_and_nothing_else() {
        let ours = "x-request-id: 00000000-0000-4000-8000-000000000001, date=Thu, 01 Jan 2026 00:00:07 GMT; \
                    \"x-envoy-upstream-service-time\", \"0\"";
        let theirs = "x-request-id: d61c2849-d735-4b7b-a644-199a8ea0621e, date=Tue, 01 Dec 2026 11:22:33 GMT; \
                      \"x-envoy-upstream-service-time\", \"14\"";
        let same = |ours, theirs| Chance::default().same(ours, theirs);
        assert!(same(ours, theirs));
        assert!(same("", ""));
        for (ours, theirs) in [
            ("a 5", "a 6"),
            (
                "x-envoy-upstream-service-time: 5 a",
                "x-envoy-upstream-service-time: 5 b",
            ),
            ("00000000-0000-4000-8000-000000000001", ""),
            // An id that the client sent is the same on both.
            (
                "d61c2849-d735-4b7b-a644-199a8ea0621e",
                "d61c2849-d735-4b7b-a644-199a8ea0621f",
            ),
            (
                "Mon, 30 Nov 2026 10:00:00 GMT",
                "d61c2849-d735-4b7b-a644-199a8ea0621e",
            ),
        ] {
            assert!(!same(ours, theirs), "{ours} {theirs}");
        }
        // A date that somebody sent is the same on both, too.
        let sent = [
            "Mon, 30 Nov 2026 10:00:00 GMT",
            "Mon, 30 Nov 2026 10:00:01 GMT",
        ];
        assert!(same(sent[0], sent[0]));
        assert!(!same(sent[0], sent[1]));
    }

    #[test]
    fn an_id_is_the_same_one_wherever_it_is_shown() {
        let ours = |number: u32| format!("00000000-0000-4000-8000-{number:012}");
        let (a, b) = (
            "d61c2849-d735-4b7b-a644-199a8ea0621e",
            "d61c2849-d735-4b7b-a644-199a8ea0621f",
        );
        let mut chance = Chance::default();
        assert!(chance.same(&ours(1), a));
        assert!(chance.same(&format!("{} {}", ours(1), ours(2)), &format!("{a} {b}")));
        assert!(!chance.same(&ours(1), b));
        assert!(!chance.same(&ours(3), a));
    }
}
