use std::cell::{Cell, RefCell};
use std::fmt;

use crate::error::Error;
use crate::host::Peer;
use crate::phases::Phases;
use crate::tcp::data::{Data, DataTransform};
use crate::tcp::ending::Closed;

/// How far a filter's future has brought its connection; shared by the connection and what the
/// future holds of it. Nothing of the filter's runs while one of the cells is borrowed.
pub(crate) struct Link {
    phases: Phases,
    pub(super) passed: Cell<bool>,
    pub(super) closed: Cell<Option<Closed>>,
    downstream: RefCell<Side>,
    upstream: RefCell<Side>,
    pub(super) first: RefCell<First>,
}

/// One direction.
#[derive(Default)]
struct Side {
    transform: Option<Box<dyn DataTransform>>,
    held: Vec<u8>,
}

/// The first bytes of a client, while the future looks at them.
#[derive(Default)]
pub(super) struct First {
    pub(super) stage: Stage,
    pub(super) limit: usize,
    /// How many bytes the future and `arrived` have.
    pub(super) taken: usize,
    /// What the future has not asked for yet.
    pub(super) arrived: Vec<u8>,
    /// What it has given back, which comes before that.
    pub(super) returned: Vec<u8>,
    /// How many bytes the host has beyond the limit.
    pub(super) left: usize,
    pub(super) ended: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Stage {
    /// Nobody wants them.
    #[default]
    Unwanted,
    /// They are held for the future.
    Held,
    /// The future has let them go.
    Released,
}

impl Link {
    pub(super) fn new(phases: Phases) -> Self {
        Self {
            phases,
            passed: Cell::new(false),
            closed: Cell::new(None),
            downstream: RefCell::default(),
            upstream: RefCell::default(),
            first: RefCell::default(),
        }
    }

    /// Refuses what the filter has not declared.
    pub(super) fn needs(&self, phases: Phases, what: &'static str) -> Result<(), Error> {
        if self.phases.contains(phases) {
            Ok(())
        } else {
            Err(Error::misuse(what))
        }
    }

    pub(super) fn set_transform(&self, peer: Peer, transform: Box<dyn DataTransform>) {
        let before = self.side(peer).borrow_mut().transform.replace(transform);
        drop(before);
    }

    /// Refuses transforms of a direction that the filter has not declared.
    pub(super) fn check_transforms(&self) -> Result<(), Error> {
        let set = |peer| self.side(peer).borrow().transform.is_some();
        if set(Peer::Downstream) {
            let what = "`map_downstream` needs `Phases::DOWNSTREAM`";
            self.needs(Phases::DOWNSTREAM, what)?;
        }
        if set(Peer::Upstream) {
            let what = "`map_upstream` needs `Phases::UPSTREAM`";
            self.needs(Phases::UPSTREAM, what)?;
        }
        Ok(())
    }

    /// Shows the transform of a direction what there is: `before`, which the host does not have,
    /// and `size` bytes of the host's. True if the transform wants the connection closed.
    pub(super) fn pump(
        &self,
        peer: Peer,
        before: Vec<u8>,
        size: usize,
        last: bool,
    ) -> Result<bool, Error> {
        let (transform, held) = {
            let mut side = self.side(peer).borrow_mut();
            (side.transform.take(), std::mem::take(&mut side.held))
        };
        let before = if held.is_empty() {
            before
        } else {
            [held, before].concat()
        };
        let mut data = Data::new(peer, before, size, last);
        let Some(mut transform) = transform else {
            data.commit(0)?;
            return Ok(false);
        };
        transform.data(&mut data);
        if data.closes() {
            return Ok(true);
        }
        let limit = transform.limit();
        let Some(held) = data.commit(limit)? else {
            log::warn!(
                "a connection ends here: its transform would hold more than its `limit` of {limit} bytes"
            );
            return Ok(true);
        };
        let mut side = self.side(peer).borrow_mut();
        side.held = held;
        side.transform = Some(transform);
        Ok(false)
    }

    /// Takes the transforms away; what they hold goes on with what comes next.
    pub(super) fn drop_transforms(&self) {
        for peer in [Peer::Downstream, Peer::Upstream] {
            let transform = self.side(peer).borrow_mut().transform.take();
            drop(transform);
        }
    }

    fn side(&self, peer: Peer) -> &RefCell<Side> {
        match peer {
            Peer::Upstream => &self.upstream,
            _ => &self.downstream,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Link")
            .field("passed", &self.passed)
            .finish_non_exhaustive()
    }
}
