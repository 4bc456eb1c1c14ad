//! One direction of a stream: how far it has come, who holds it, and what is to be done with it.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use crate::error::Error;
use crate::headers::Headers;
use crate::host::{self, Direction};
use crate::next;
use crate::tasks;

pub(crate) use self::editor::{Edit, Editor};
pub(crate) use self::rewriter::TooMuch;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use self::rewriter::{Rewriter, Step};

mod editor;
mod rewriter;

/// What a callback tells the host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Continue,
    Pause,
}

/// What is to be done with what has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It goes on.
    Continue,
    /// It waits for what comes next.
    Pause,
    /// It cannot go on whole, so the stream must not.
    Cut,
    /// The filter has ended the stream.
    Refused,
}

/// How far the headers have come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gate {
    /// They have not come.
    Fresh,
    /// They are held until the future lets them go.
    Held,
    /// The future, or nobody, has anything against their going on.
    Open,
    /// They stay where they are.
    Shut,
}

/// What the host showed last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Headers,
    Body,
    /// The end of the message that has no trailers.
    End,
    Trailers,
}

/// See the module's documentation. Shared between the stream and what the future holds.
pub(crate) struct Flow {
    direction: Direction,
    gate: Cell<Gate>,
    stage: Cell<Stage>,
    /// How much body is in view in the host.
    size: Cell<usize>,
    /// Whether the message ended with its headers.
    bodiless: Cell<bool>,
    /// Whether the body has no end.
    endless: Cell<bool>,
    /// Whether the future holds the body behind headers that have gone on.
    held: Cell<bool>,
    /// Whether something has come that nothing was done with yet.
    fresh: Cell<bool>,
    /// Whether the host has been told to wait.
    paused: Cell<bool>,
    /// Whether anything has gone on.
    away: Cell<bool>,
    /// Whether the host has some of the changes of its headers or trailers, and not all.
    torn: Cell<bool>,
    verdict: Cell<Verdict>,
    /// Up to how much body the future waits for.
    wanted: Cell<Option<usize>>,
    waker: Cell<Option<Waker>>,
    /// What is to be changed behind the headers; without its type, so that a module whose filters
    /// change nothing there lacks the code.
    editor: RefCell<Option<Box<dyn Edit>>>,
}

impl Flow {
    pub(crate) fn new(direction: Direction) -> Self {
        Self {
            direction,
            gate: Cell::new(Gate::Fresh),
            stage: Cell::new(Stage::Headers),
            size: Cell::new(0),
            bodiless: Cell::new(false),
            endless: Cell::new(false),
            held: Cell::new(false),
            fresh: Cell::new(false),
            paused: Cell::new(false),
            away: Cell::new(false),
            torn: Cell::new(false),
            verdict: Cell::new(Verdict::Continue),
            wanted: Cell::new(None),
            waker: Cell::new(None),
            editor: RefCell::new(None),
        }
    }

    // What the host shows.

    pub(crate) fn headers_came(&self, gate: Gate, is_last: bool) {
        self.gate.set(gate);
        self.bodiless.set(is_last);
        self.fresh.set(true);
    }

    pub(crate) fn body_came(&self, size: usize, is_last: bool) {
        self.stage
            .set(if is_last { Stage::End } else { Stage::Body });
        self.size.set(size);
        self.fresh.set(true);
    }

    pub(crate) fn trailers_came(&self) {
        self.stage.set(Stage::Trailers);
        self.fresh.set(true);
    }

    // How far it is.

    pub(crate) fn gate(&self) -> Gate {
        self.gate.get()
    }

    pub(crate) fn set_gate(&self, gate: Gate) {
        self.gate.set(gate);
    }

    pub(crate) fn size(&self) -> usize {
        self.size.get()
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.bodiless.get() || matches!(self.stage.get(), Stage::End | Stage::Trailers)
    }

    /// Whether anything has come behind the headers.
    pub(crate) fn has_come(&self) -> bool {
        self.stage.get() != Stage::Headers
    }

    pub(crate) fn is_bodiless(&self) -> bool {
        self.bodiless.get()
    }

    pub(crate) fn is_endless(&self) -> bool {
        self.endless.get()
    }

    pub(crate) fn set_endless(&self) {
        self.endless.set(true);
    }

    /// Whether anything has gone on, so that it cannot be taken back.
    pub(crate) fn is_away(&self) -> bool {
        self.away.get()
    }

    /// Whether the future keeps it from going on.
    pub(crate) fn is_held(&self) -> bool {
        self.gate.get() == Gate::Held || self.held.get()
    }

    fn may_go(&self) -> bool {
        // A body is held where the host has shown some of it; its headers go on before.
        let is_held = self.held.get() && self.has_come();
        !is_held && matches!(self.gate.get(), Gate::Fresh | Gate::Open)
    }

    // What the future asks for.

    pub(crate) fn hold(&self) {
        self.held.set(true);
    }

    pub(crate) fn let_go(&self) {
        self.held.set(false);
    }

    /// Lets everything go as it is.
    pub(crate) fn release(&self) {
        self.held.set(false);
        if self.gate.get() == Gate::Held {
            self.gate.set(Gate::Open);
            self.editor.replace(None);
        }
    }

    pub(crate) fn want(&self, limit: usize, waker: &Waker) {
        self.wanted.set(Some(limit));
        self.waker.set(Some(waker.clone()));
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.get().is_some()
    }

    pub(crate) fn want_nothing(&self) {
        self.wanted.set(None);
        self.waker.set(None);
    }

    /// Whether what the future waits for has come.
    pub(crate) fn wakes(&self, polled: &Waker) -> bool {
        let Some(limit) = self.wanted.get() else {
            return false;
        };
        let has_come = self.size.get() > limit || self.is_whole();
        if has_come {
            self.wake(polled);
        }
        has_come
    }

    pub(crate) fn wake(&self, polled: &Waker) {
        next::wake(self.waker.take(), polled);
    }

    pub(crate) fn read_all(&self, stream: u32) -> Result<Vec<u8>, Error> {
        if self.size.get() == 0 {
            return Ok(Vec::new());
        }
        Ok(tasks::within(stream, || {
            host::body(self.direction, 0, self.size.get())
        })??)
    }

    /// Whether a body can be put in place of the one that came.
    pub(crate) fn has_body(&self) -> bool {
        self.size.get() > 0 || self.stage.get() == Stage::End
    }

    pub(crate) fn has_trailers(&self) -> bool {
        self.stage.get() == Stage::Trailers
    }

    /// Notes a change; `None` while one of them is at work.
    pub(crate) fn edit<R>(&self, note: impl FnOnce(&mut Editor) -> R) -> Option<R> {
        let mut editor = self.editor.try_borrow_mut().ok()?;
        let editor = editor.get_or_insert_with(|| Box::new(Editor::default()));
        Some(note(editor.editor()))
    }

    /// Makes headers that go on now say what the body will be.
    pub(crate) fn prepare(&self, headers: &mut Headers) -> Result<(), Error> {
        match self.editor.try_borrow_mut() {
            Ok(mut editor) => editor
                .as_deref_mut()
                .map_or(Ok(()), |editor| editor.prepare(headers)),
            Err(_) => Ok(()),
        }
    }

    // What the host is told.

    /// Writes the changes of its headers or trailers.
    pub(crate) fn commit(&self, headers: &mut Headers) -> Result<(), Error> {
        headers.commit().map_err(|refusal| {
            self.torn.set(refusal.is_torn);
            refusal.error
        })
    }

    /// Whether some of them were written, and the rest refused: neither what came nor what the filter
    /// made of it may go on.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn.get()
    }

    /// Whether something has come that may go on, and a change has to be made first.
    #[inline]
    pub(crate) fn is_to_be_settled(&self) -> bool {
        if !self.fresh.get() || !self.may_go() {
            return false;
        }
        let is_edited = self.editor.try_borrow().is_ok_and(|it| it.is_some());
        if !is_edited {
            self.fresh.set(false);
            self.verdict.set(Verdict::Continue);
        }
        is_edited
    }

    /// Decides what becomes of it. Acts on the effective context. Answers who ends the stream, where the filter has
    /// ended it here.
    pub(crate) fn settle(&self, stream: u32) -> Result<Option<Box<dyn Edit>>, Error> {
        self.fresh.set(false);
        self.verdict.set(Verdict::Continue);
        // Taken out while the filter's code runs.
        let Some(mut editor) = self.editor.take() else {
            return Ok(None);
        };
        let verdict = editor.flush(self, stream);
        if verdict.is_err() {
            // With `failure_mode: allow` the rest goes on as it is, unless that is not all of it.
            if editor.is_needed() {
                self.verdict.set(Verdict::Cut);
            }
        }
        let verdict = verdict?;
        self.verdict.set(verdict);
        if verdict == Verdict::Refused {
            return Ok(Some(editor));
        }
        self.editor.replace(Some(editor));
        Ok(None)
    }

    /// Whether the stream has to be cut off here.
    pub(crate) fn is_cut(&self) -> bool {
        self.verdict.get() == Verdict::Cut
    }

    /// Whether all of the message has gone on.
    pub(crate) fn has_gone(&self) -> bool {
        self.is_whole() && self.is_away() && !self.paused.get()
    }

    /// The answer to the callback of this direction.
    pub(crate) fn answer(&self) -> Action {
        let goes = self.may_go() && self.verdict.get() == Verdict::Continue;
        self.paused.set(!goes);
        if !goes {
            return Action::Pause;
        }
        self.went_on();
        Action::Continue
    }

    /// Whether it waits in the host and may go on now; settled before.
    pub(crate) fn is_to_be_resumed(&self) -> bool {
        self.paused.get() && self.may_go() && self.verdict.get() == Verdict::Continue
    }

    /// Whether it waits in the host and nobody keeps it from going on.
    pub(crate) fn may_be_resumed(&self) -> bool {
        self.paused.get() && self.may_go()
    }

    pub(crate) fn resumed(&self) {
        self.paused.set(false);
        self.went_on();
    }

    pub(crate) fn remains_paused(&self) {
        self.paused.set(true);
    }

    fn went_on(&self) {
        self.away.set(self.gate.get() != Gate::Fresh);
        self.size.set(0);
    }
}
