//! Call-outs under way, by the token that the host gave.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::tasks::events::{self, Answer, Ear, Event, Kind};
use crate::time;

thread_local! {
    static PENDING: RefCell<BTreeMap<Token, Entry>> = const { RefCell::new(BTreeMap::new()) };
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
    let entry = PENDING.with_borrow_mut(|table| table.remove(&token));
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
            table.remove(&token).map(|entry| entry.pending)
        } else {
            table.get(&token).map(|entry| Rc::clone(&entry.pending))
        }
    });
    // Where nobody waits any more, the answer is nobody's.
    if let Some(pending) = pending {
        pending.hear(kind);
    }
}

fn ended(context: u32) {
    let lost: Vec<Entry> = PENDING.with_borrow_mut(|table| {
        let tokens: Vec<Token> = table
            .iter()
            .filter(|(_, entry)| entry.registrant == context)
            .map(|(token, _)| *token)
            .collect();
        tokens
            .iter()
            .filter_map(|token| table.remove(token))
            .collect()
    });
    for entry in lost {
        entry.pending.lost();
    }
}
