//! What the host answers in unit tests: any status, any bytes.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use crate::status::Status;

/// One answer of the host.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) number: u64,
}

impl Answer {
    /// Success, with nothing handed over.
    pub(crate) fn ok() -> Self {
        Self::status(0)
    }

    /// A status alone.
    pub(crate) fn status(status: u32) -> Self {
        Self {
            status,
            bytes: Vec::new(),
            number: 0,
        }
    }

    /// Success, with bytes.
    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            ..Self::ok()
        }
    }

    /// With a number: an id, a token, a value, a time.
    pub(crate) fn number(mut self, number: u64) -> Self {
        self.number = number;
        self
    }
}

/// A call that was made, with its last argument that is bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
struct Script {
    next: VecDeque<Answer>,
    /// What is answered when `next` is used up.
    rest: Answer,
    /// What one call is answered, whatever else is said.
    by_name: BTreeMap<&'static str, Answer>,
    calls: Vec<Call>,
}

thread_local! {
    static SCRIPT: RefCell<Script> = RefCell::new(Script {
        next: VecDeque::new(),
        rest: Answer::status(Status::UNIMPLEMENTED.as_u32()),
        by_name: BTreeMap::new(),
        calls: Vec::new(),
    });
}

/// From here on, the host answers these one after the other, and then the last one for ever.
pub(crate) fn answer(answers: impl IntoIterator<Item = Answer>) {
    SCRIPT.with_borrow_mut(|script| {
        script.next = answers.into_iter().collect();
        if let Some(last) = script.next.pop_back() {
            script.rest = last;
        }
        script.by_name.clear();
        script.calls.clear();
    });
}

/// From here on until [`answer`], the host answers this call so, and others as said there.
pub(crate) fn answer_to(call: &'static str, answer: Answer) {
    SCRIPT.with_borrow_mut(|script| script.by_name.insert(call, answer));
}

/// The calls since [`answer`], by name.
pub(crate) fn calls() -> Vec<&'static str> {
    made().into_iter().map(|call| call.name).collect()
}

/// The calls since [`answer`].
pub(crate) fn made() -> Vec<Call> {
    SCRIPT.with_borrow(|script| script.calls.clone())
}

pub(super) fn play(name: &'static str, bytes: &[u8]) -> Answer {
    SCRIPT.with_borrow_mut(|script| {
        script.calls.push(Call {
            name,
            bytes: bytes.to_vec(),
        });
        if let Some(answer) = script.by_name.get(name) {
            return answer.clone();
        }
        script
            .next
            .pop_front()
            .unwrap_or_else(|| script.rest.clone())
    })
}

/// Every status of the ABI and some that are not in it, each with bytes of many shapes: what a host
/// that is broken, hostile or from the future may answer.
pub(crate) fn hostile() -> impl Iterator<Item = Answer> {
    let statuses = (0..=12).chain([13, 76, 4711, u32::MAX]);
    let shapes: [&[u8]; 9] = [
        b"",
        b"\0",
        b"\x02",
        b"text",
        b"\xff\xfe",
        &[0xff; 8],
        &[0x80, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, b'a', 0],
        &[0xff; 64],
    ];
    statuses.flat_map(move |status| {
        shapes.into_iter().flat_map(move |bytes| {
            [0, 1, u64::MAX].map(|number| Answer {
                status,
                bytes: bytes.to_vec(),
                number,
            })
        })
    })
}
