//! Departures from Envoy, one at a time, for tests of tests.
//!
//! A case is worth what it notices. A [`Mutation`] makes the harness wrong in one place: a status, an
//! entry of the table of what may be read and written when, a property, or one rule. It is switched on
//! for one host, by [`HostBuilder::mutate`](crate::HostBuilder::mutate); there is no other way to it.
//! What no case of the conformance corpus notices is a gap in the corpus.
//!
//! The table has what cases of HTTP filters can notice. What nobody could ever notice is not in it.

mod availability;
mod properties;
mod rules;
mod statuses;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

pub use self::availability::Entry;
pub(crate) use self::availability::{Access, Holder, Resource};
pub use self::rules::Rule;
use crate::headers::Kind;
use crate::inline_headers;

/// One departure from Envoy.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Mutation {
    /// A host call answers another status in place of this one.
    Status {
        /// The import.
        call: &'static str,
        /// The status as it should be.
        status: u32,
    },
    /// A map or a buffer is there where it should not be, or the other way round.
    Availability(Entry),
    /// A property is absent.
    Property(&'static str),
    /// A header that Envoy holds once is held as often as it is added.
    SingleHeader {
        /// `request`, `response` or `trailers`.
        map: &'static str,
        /// The header.
        name: &'static str,
    },
    /// A foreign function is unknown.
    ForeignFunction(&'static str),
    /// One rule is another.
    Rule(Rule),
}

/// The kinds of header maps.
const MAPS: [(&str, Kind); 3] = [
    ("request", Kind::Request),
    ("response", Kind::Response),
    ("trailers", Kind::Trailers),
];

/// The foreign functions that can be unknown.
const FOREIGN_FUNCTIONS: &[&str] = &[
    "clear_route_cache",
    "compress",
    "declare_property",
    "expr_create",
    "expr_delete",
    "expr_evaluate",
    "set_envoy_filter_state",
    "sign",
    "uncompress",
    "verify_signature",
];

impl Mutation {
    /// The whole table, in an order that stays.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let statuses = statuses::all().map(|(call, status)| Self::Status { call, status });
        let properties = properties::PROPERTIES.iter().copied().map(Self::Property);
        let headers = MAPS.iter().flat_map(|(map, kind)| {
            inline_headers::inline(*kind).map(|name| Self::SingleHeader { map, name })
        });
        let functions = FOREIGN_FUNCTIONS.iter().copied().map(Self::ForeignFunction);
        statuses
            .chain(availability::all().map(Self::Availability))
            .chain(properties)
            .chain(headers)
            .chain(functions)
            .chain(Rule::ALL.iter().copied().map(Self::Rule))
            .collect()
    }

    /// What the harness does with it, in words.
    #[must_use]
    pub fn description(&self) -> String {
        match self {
            Self::Status { call, status } => {
                let other = statuses::another(call, *status);
                format!("`{call}` answers {other} in place of {status}")
            }
            Self::Availability(entry) => entry.description(),
            Self::Property(path) => format!("the property `{path}` is absent"),
            Self::SingleHeader { map, name } => {
                format!("a second `{name}` that a filter adds to {map} stands apart")
            }
            Self::ForeignFunction(name) => format!("there is no foreign function `{name}`"),
            Self::Rule(rule) => rule.description().to_owned(),
        }
    }
}

/// The id: one word, the same in every build.
impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { call, status } => write!(f, "status/{call}/{status}"),
            Self::Availability(entry) => write!(f, "availability/{entry}"),
            Self::Property(path) => write!(f, "property/{path}"),
            Self::SingleHeader { map, name } => write!(f, "single-header/{map}/{name}"),
            Self::ForeignFunction(name) => write!(f, "foreign-function/{name}"),
            Self::Rule(rule) => write!(f, "rule/{}", rule.id()),
        }
    }
}

/// Switches a mutation on, or watches which of them a play could show.
#[derive(Debug, Default)]
pub struct Mutator {
    active: Option<Mutation>,
    reached: Mutex<BTreeSet<Mutation>>,
}

impl Mutator {
    /// A host with it is as it should be, and remembers the mutations that would have made a decision
    /// another. A play that reached a mutation may notice it; one that did not cannot.
    #[must_use]
    pub fn watching() -> Self {
        Self::default()
    }

    /// A host with it has this mutation.
    #[must_use]
    pub fn of(mutation: Mutation) -> Self {
        Self {
            active: Some(mutation),
            ..Self::default()
        }
    }

    /// What was reached while watching.
    #[must_use]
    pub fn reached(&self) -> BTreeSet<Mutation> {
        let reached = self.reached.lock();
        reached.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the harness has this mutation. Without one it notes that it was asked, if the table has
    /// it.
    fn has(&self, mutation: Mutation, known: impl FnOnce() -> bool) -> bool {
        if let Some(active) = self.active {
            return active == mutation;
        }
        if known() {
            let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
            reached.insert(mutation);
        }
        false
    }

    /// Whether a rule is another.
    pub(crate) fn breaks(&self, rule: Rule) -> bool {
        self.has(Mutation::Rule(rule), || true)
    }

    /// The status that a host call answers.
    pub(crate) fn status(&self, call: &'static str, status: u32) -> u32 {
        let mutation = Mutation::Status { call, status };
        if self.has(mutation, || statuses::has(call, status)) {
            statuses::another(call, status)
        } else {
            status
        }
    }

    /// Whether a map or buffer is there, if it should be or not.
    pub(crate) fn flips(&self, entry: Entry) -> bool {
        self.has(Mutation::Availability(entry), || availability::has(entry))
    }

    /// Whether a second value of a header that Envoy holds once stands apart.
    pub(crate) fn parts(&self, kind: Kind, name: &[u8]) -> bool {
        let map = MAPS.iter().find(|(_, known)| *known == kind);
        let name =
            inline_headers::inline(kind).find(|known| known.as_bytes().eq_ignore_ascii_case(name));
        let (Some((map, _)), Some(name)) = (map, name) else {
            return false;
        };
        self.has(Mutation::SingleHeader { map, name }, || true)
    }

    /// Whether a foreign function is unknown that is not.
    pub(crate) fn forgets(&self, name: &[u8]) -> bool {
        let mut known = FOREIGN_FUNCTIONS.iter();
        let known = known.find(|known| known.as_bytes() == name);
        known.is_some_and(|name| self.has(Mutation::ForeignFunction(name), || true))
    }

    /// Whether a property is absent that is not.
    pub(crate) fn hides(&self, path: &[u8]) -> bool {
        properties::find(path).is_some_and(|path| self.has(Mutation::Property(path), || true))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_mutation_has_an_id_of_its_own() {
        let all = Mutation::all();
        let ids: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(ids.len(), all.len());
        assert!(ids.iter().all(|id| !id.contains(char::is_whitespace)));
    }

    #[test]
    fn another_status_is_another() {
        for (call, status) in statuses::all() {
            assert_ne!(statuses::another(call, status), status, "{call}");
        }
    }

    #[test]
    fn every_rule_is_asked_for_where_it_is_decided() {
        let source = source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        for rule in Rule::ALL {
            let asked = format!("Rule::{rule:?}");
            let followed = |rest: &str| rest.starts_with(|next: char| next.is_alphanumeric());
            let found = source
                .match_indices(&asked)
                .any(|(at, _)| !followed(&source[at + asked.len()..]));
            assert!(found, "{asked}");
        }
    }

    fn source(folder: &Path) -> String {
        let mut text = String::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                text.push_str(&source(&path));
            } else {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
        text
    }

    #[test]
    fn a_watching_mutator_changes_nothing_and_remembers() {
        let watching = Mutator::watching();
        assert_eq!(watching.status("proxy_done", 1), 1);
        assert_eq!(watching.status("proxy_done", 99), 99);
        let reached = Mutation::Status {
            call: "proxy_done",
            status: 1,
        };
        assert_eq!(watching.reached(), BTreeSet::from([reached]));
        assert_ne!(Mutator::of(reached).status("proxy_done", 1), 1);
    }
}
