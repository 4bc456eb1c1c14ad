//! Call-outs under way, by the token that the host gave.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::tasks::events::{self, Answer, Ear, Event, Kind};
use crate::time;

thread_local! {
    static PENDING: RefCell<Table> = const { RefCell::new(Table::new()) };
}

/// What is under way. Thousands may be while a service is slow, and streams end all the while: what is of a context
/// is found without looking at the rest.
struct Table {
    entries: BTreeMap<Token, Entry>,
    of_contexts: BTreeSet<(u32, Token)>,
}

impl Table {
    const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            of_contexts: BTreeSet::new(),
        }
    }

    fn insert(&mut self, token: Token, entry: Entry) -> Option<Entry> {
        let before = self.remove(token);
        self.of_contexts.insert((entry.registrant, token));
        self.entries.insert(token, entry);
        before
    }

    fn remove(&mut self, token: Token) -> Option<Entry> {
        let entry = self.entries.remove(&token)?;
        self.of_contexts.remove(&(entry.registrant, token));
        Some(entry)
    }

    /// Takes out one of `context`.
    fn remove_of(&mut self, context: u32) -> Option<Entry> {
        let first = Token {
            family: Family::Http,
            number: 0,
        };
        let (owner, token) = *self.of_contexts.range((context, first)..).next()?;
        if owner != context {
            return None;
        }
        self.remove(token)
    }
}

/// A call-out. Tokens are unique among their family only.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Token {
    pub(crate) family: Family,
    pub(crate) number: u32,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Family {
    Http,
    GrpcCall,
    GrpcStream,
}

/// Who waits for what a call-out brings.
pub(crate) trait Pending {
    /// Something arrived. What it brings can be read now, and never again.
    fn hear(&self, kind: Kind);

    /// Nothing will arrive any more: the context has ended that it would come through.
    fn lost(&self);
}

struct Entry {
    /// The context that answers come through.
    registrant: u32,
    pending: Rc<dyn Pending>,
}

/// Remembers who waits for a call-out that was made while `registrant` was the one that
/// [`registrant`](crate::tasks::registrant) names.
pub(crate) fn insert(token: Token, registrant: u32, pending: Rc<dyn Pending>) {
    events::hear(Ear::Calls, hear);
    // One answer may wake more than can have their turn at once.
    time::listen();
    let entry = Entry {
        registrant,
        pending,
    };
    let before = PENDING.with_borrow_mut(|table| table.insert(token, entry));
    // A host that gives a token twice answers one of the two only.
    if let Some(before) = before {
        before.pending.lost();
    }
}

/// Forgets a call-out; what arrives for it later is nobody's. Whether there was such a one.
pub(crate) fn remove(token: Token) -> bool {
    let entry = PENDING.with_borrow_mut(|table| table.remove(token));
    entry.is_some()
}

fn hear(event: Event) {
    match event {
        Event::Tick(_) | Event::Configured | Event::Left(_) => {}
        Event::Answer(answer) => arrived(answer),
        Event::Ended(context) => ended(context),
    }
}

fn arrived(Answer { token, kind }: Answer) {
    let (family, last) = match kind {
        Kind::Http { .. } => (Family::Http, true),
        Kind::GrpcCall { .. } => (Family::GrpcCall, true),
        Kind::GrpcClose { .. } => (Family::GrpcStream, true),
        Kind::GrpcInitialMetadata | Kind::GrpcMessage { .. } | Kind::GrpcTrailingMetadata => {
            (Family::GrpcStream, false)
        }
    };
    let token = Token {
        family,
        number: token,
    };
    let pending = PENDING.with_borrow_mut(|table| {
        if last {
            table.remove(token).map(|entry| entry.pending)
        } else {
            let entry = table.entries.get(&token);
            entry.map(|entry| Rc::clone(&entry.pending))
        }
    });
    // Where nobody waits any more, the answer is nobody's.
    if let Some(pending) = pending {
        pending.hear(kind);
    }
}

fn ended(context: u32) {
    // One after the other: what is told may make or give up another.
    while let Some(entry) = PENDING.with_borrow_mut(|table| table.remove_of(context)) {
        entry.pending.lost();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    struct Counted(Rc<Cell<u32>>);

    impl Pending for Counted {
        fn hear(&self, _: Kind) {}

        fn lost(&self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn the_end_of_a_context_is_told_to_its_own_calls_only() {
        let lost = Rc::new(Cell::new(0));
        let families = [Family::Http, Family::GrpcCall, Family::GrpcStream];
        let token = |family, number| Token { family, number };
        for registrant in [1, 2, 3] {
            for family in families {
                let pending = Rc::new(Counted(Rc::clone(&lost)));
                let entry = Entry {
                    registrant,
                    pending,
                };
                let token = token(family, registrant * 10);
                let before = PENDING.with_borrow_mut(|table| table.insert(token, entry));
                assert!(before.is_none());
            }
        }
        assert!(remove(token(Family::GrpcCall, 20)));
        assert!(!remove(token(Family::GrpcCall, 20)));
        ended(2);
        assert_eq!(lost.get(), 2);
        ended(2);
        assert_eq!(lost.get(), 2);
        ended(4);
        ended(0);
        assert_eq!(lost.get(), 2);
        ended(3);
        ended(1);
        assert_eq!(lost.get(), 8);
        PENDING.with_borrow(|table| {
            assert!(table.entries.is_empty() && table.of_contexts.is_empty());
        });
    }
}
